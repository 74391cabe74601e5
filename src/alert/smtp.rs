//! The conversation with a mail server, step by step: each has its time, and `stop` can end it at once.
//!
//! lettre's blocking client reads on through every signal until its time is over, and counts the
//! time anew with each byte. So its asynchronous one is used, under a runtime that has no thread but this.

use super::address::{Security, Server};
use super::resolve::{self, Unresolved};
use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How long a step may take.
const STEP: Duration = Duration::from_secs(10);
/// How long a server gets for its goodbye, once it has the mail.
const GOODBYE: Duration = Duration::from_secs(1);
/// The longest time between two looks at the clock and at what asks to stop.
const TURN: Duration = Duration::from_millis(20);

/// Why a mail was not handed over. What the server said may contain anything.
#[derive(Debug, Error)]
pub enum SmtpError {
    #[error("was stopped")]
    Stopped,
    #[error("{0}: no end within 10 s")]
    TimedOut(&'static str),
    #[error("{step}: {reason}")]
    Failed { step: &'static str, reason: String },
}

/// One mail to be handed over.
pub struct Handover<'a> {
    pub server: &'a Server,
    /// For `StartTls` and `Tls`.
    pub tls: Option<TlsParameters>,
    pub login: Option<Credentials>,
    pub hello: ClientId,
    pub from: Address,
    pub recipients: Vec<Address>,
    /// All of ASCII.
    pub mail: &'a [u8],
}

/// What the server said in the end, and whom it refused.
pub struct Accepted {
    pub answer: String,
    pub refused: Vec<String>,
}

impl Handover<'_> {
    pub fn run(self, stop: &dyn Fn() -> bool) -> Result<Accepted, SmtpError> {
        let Server { host, port, security } = self.server;
        let step = "looking up the mail server";
        let addresses = resolve::addresses(host, *port, STEP, TURN, stop).map_err(|error| match error {
            Unresolved::Stopped => SmtpError::Stopped,
            Unresolved::TimedOut => SmtpError::TimedOut(step),
            Unresolved::Failed(reason) => SmtpError::Failed { step, reason },
        })?;
        let is_here = addresses.iter().all(|address| address.ip().is_loopback());
        if self.login.is_some() && *security == Security::Plain && !is_here {
            return Err(SmtpError::Failed {
                step: "before connecting",
                reason: "the password would travel unencrypted, use smtp+starttls:// or smtps://".to_owned(),
            });
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let failed = |error: io::Error| SmtpError::Failed { step: "starting", reason: error.to_string() };
        runtime.map_err(failed)?.block_on(self.converse(&addresses, stop))
    }

    async fn converse(self, addresses: &[SocketAddr], stop: &dyn Fn() -> bool) -> Result<Accepted, SmtpError> {
        let mut connection = self.connect(addresses, stop).await?;
        if let Some(login) = &self.login {
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            within("logging in", stop, connection.auth(&mechanisms, login)).await?;
        }
        let sender = Mail::new(Some(self.from), Vec::new());
        within("naming the sender", stop, connection.command(sender)).await?;
        let mut refused = Vec::new();
        for recipient in &self.recipients {
            let step = "naming a recipient";
            let command = connection.command(Rcpt::new(recipient.clone(), Vec::new()));
            // That the server will not have one must not keep the others from getting it.
            let answer = within(step, stop, async { Ok::<_, NoReason>(command.await) }).await?;
            match answer {
                Ok(_) => {}
                Err(error) if error.status().is_some() => refused.push(format!("{recipient} was refused: {error}")),
                Err(error) => return Err(SmtpError::Failed { step, reason: error.to_string() }),
            }
        }
        if refused.len() == self.recipients.len() {
            return Err(SmtpError::Failed { step: "naming the recipients", reason: refused.join("; ") });
        }
        within("announcing the mail", stop, connection.command(Data)).await?;
        let answer = within("handing the mail over", stop, connection.message(self.mail)).await?;
        let _ = tokio::time::timeout(GOODBYE, connection.quit()).await;
        Ok(Accepted { answer: text(&answer), refused })
    }

    async fn connect(
        &self,
        addresses: &[SocketAddr],
        stop: &dyn Fn() -> bool,
    ) -> Result<AsyncSmtpConnection, SmtpError> {
        let security = self.server.security;
        let tls = || {
            let step = "preparing TLS";
            self.tls.clone().ok_or(SmtpError::Failed { step, reason: "there are no parameters".to_owned() })
        };
        if security == Security::Tls {
            let connecting = AsyncSmtpConnection::connect_tokio1(addresses, None, &self.hello, Some(tls()?), None);
            return within("connecting with TLS", stop, connecting).await;
        }
        let stream = within("connecting", stop, TcpStream::connect(addresses)).await?;
        let greeting = AsyncSmtpConnection::connect_with_transport(Box::new(ByteByByte(stream)), &self.hello);
        let mut connection = within("waiting for the greeting", stop, greeting).await?;
        if security == Security::StartTls {
            within("changing to TLS", stop, connection.starttls(tls()?, &self.hello)).await?;
        }
        Ok(connection)
    }
}

/// Of what cannot fail.
#[derive(Debug, Error)]
enum NoReason {}

/// Runs a step until its end, its time or a stop.
async fn within<T, E: std::error::Error>(
    step: &'static str,
    stop: &dyn Fn() -> bool,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, SmtpError> {
    let deadline = Instant::now() + STEP;
    let mut work = pin!(work);
    loop {
        if stop() {
            return Err(SmtpError::Stopped);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(SmtpError::TimedOut(step));
        }
        if let Ok(done) = tokio::time::timeout(left.min(TURN), work.as_mut()).await {
            return done.map_err(|error| SmtpError::Failed { step, reason: error.to_string() });
        }
    }
}

fn text(answer: &Response) -> String {
    format!("{} {}", answer.code(), answer.message().collect::<Vec<_>>().join(" "))
}

/// A stream from which one byte is read at a time.
///
/// lettre keeps what it has read ahead when the conversation changes to TLS: whoever sits in between could
/// slip in answers in the open, which would then be taken for the server's, and make believe that
/// an alarm was delivered. Read like this, nothing is ever ahead.
#[derive(Debug)]
struct ByteByByte(TcpStream);

impl AsyncRead for ByteByByte {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut byte = [0];
        let room = into.remaining().min(1);
        let mut one = ReadBuf::new(&mut byte[..room]);
        ready!(Pin::new(&mut self.0).poll_read(context, &mut one))?;
        into.put_slice(one.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByteByByte {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl AsyncTokioStream for ByteByByte {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }
}
