//! One alarm as a mail: who writes to whom, with which credentials and certificates.

use super::address::{self, Security, Server};
use super::deliver::{Delivered, Undelivered};
use super::message::{Message, host, one_line};
use super::smtp::{Handover, SmtpError};
use crate::private_file;
use crate::settings;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::Address;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Mail};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use zeroize::Zeroizing;

const MAX_CREDENTIALS: usize = 4 * 1024;
/// How much of what a server says is kept.
const LONGEST_ANSWER: usize = 1_000;
const MASK: &str = "***";

/// Sends alarm `id` to all who are to have it.
pub fn send(id: i64, message: &Message, stop: &dyn Fn() -> bool) -> Result<Delivered, Undelivered> {
    let login = login().map_err(Undelivered::Failed)?;
    let shown = |text: &str| {
        let text = one_line(&login.as_ref().map_or(text.to_owned(), |login| login.masked(text)));
        text[..text.floor_char_boundary(LONGEST_ANSWER)].to_owned()
    };
    let outcome = prepare(id, message, login.as_ref()).map_err(Undelivered::Failed).and_then(|prepared| {
        prepared.handover().run(stop).map_err(|error| match error {
            SmtpError::Stopped => Undelivered::Stopped,
            error => Undelivered::Failed(error.to_string()),
        })
    });
    match outcome {
        Ok(accepted) => {
            let refused = accepted.refused.join("; ");
            let remark = (!refused.is_empty()).then(|| shown(&refused));
            Ok(Delivered { answer: shown(&accepted.answer), remark })
        }
        Err(Undelivered::Failed(reason)) => Err(Undelivered::Failed(shown(&reason))),
        Err(stopped) => Err(stopped),
    }
}

/// A mail and where it goes.
struct Prepared {
    server: Server,
    tls: Option<TlsParameters>,
    login: Option<Credentials>,
    from: Address,
    recipients: Vec<Address>,
    mail: Vec<u8>,
}

impl Prepared {
    fn handover(&self) -> Handover<'_> {
        Handover {
            server: &self.server,
            tls: self.tls.clone(),
            login: self.login.clone(),
            hello: hello(),
            from: self.from.clone(),
            recipients: self.recipients.clone(),
            mail: &self.mail,
        }
    }
}

fn missing(setting: &str) -> String {
    format!("{setting} is not set")
}

fn prepare(id: i64, message: &Message, login: Option<&Login>) -> Result<Prepared, String> {
    let server = Server::parse(&settings::alert::mail_server().ok_or_else(|| missing("pgseal.mail_server"))?)?;
    let from = address::parse_one(&settings::alert::mail_from().ok_or_else(|| missing("pgseal.mail_from"))?)?;
    let to = address::parse_list(&settings::alert::mail_to().ok_or_else(|| missing("pgseal.mail_to"))?)?;
    let cc = settings::alert::mail_cc().map_or(Ok(Vec::new()), |list| address::parse_list(&list))?;
    let mut recipients: Vec<Address> = Vec::new();
    for mailbox in to.iter().chain(&cc) {
        if !recipients.contains(&mailbox.email) {
            recipients.push(mailbox.email.clone());
        }
    }
    let tls = if server.security == Security::Plain { None } else { Some(tls(&server.host)?) };
    Ok(Prepared {
        server,
        tls,
        login: login.map(|login| Credentials::new(login.user.clone(), login.password.to_string())),
        from: from.email.clone(),
        recipients,
        mail: compose(id, message, from, to, cc)?,
    })
}

/// The mail, all in ASCII. lettre encodes every header.
fn compose(id: i64, message: &Message, from: Mailbox, to: Vec<Mailbox>, cc: Vec<Mailbox>) -> Result<Vec<u8>, String> {
    // The same alarm has the same id each time, so that a mailbox can tell one that came twice.
    let message_id = format!("<pgseal-{id}-{}@{}>", digest(message), from.email.domain());
    let builder = Mail::builder().date_now().message_id(Some(message_id)).from(from).subject(&message.subject);
    let builder = to.into_iter().fold(builder, |builder, mailbox| builder.to(mailbox));
    let builder = cc.into_iter().fold(builder, |builder, mailbox| builder.cc(mailbox));
    let mut mail = builder
        .header(ContentType::TEXT_PLAIN)
        .body(message.text.clone())
        .map_err(|error| format!("the mail cannot be written: {error}"))?;
    // So that nobody's notice of absence answers.
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    mail.headers_mut().insert_raw(HeaderValue::new(automatic, "auto-generated".to_owned()));
    let mut bytes = mail.formatted();
    // The end of the last line is that of the conversation's last line, which lettre adds.
    if bytes.ends_with(b"\r\n") {
        bytes.truncate(bytes.len() - 2);
    }
    Ok(bytes)
}

fn digest(message: &Message) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::new().chain_update(&message.subject).chain_update([0]).chain_update(&message.text).finalize();
    hex::encode(&digest[..8])
}

/// How this machine introduces itself.
fn hello() -> ClientId {
    let name = host();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    if is_name { ClientId::Domain(name) } else { ClientId::default() }
}

/// The system's root certificates, and those of the file that the setting names.
fn tls(host: &str) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = settings::alert::mail_tls_ca_file() {
        let refuse = |reason: String| format!("the file \"{path}\" of pgseal.mail_tls_ca_file {reason}");
        let pem = std::fs::read(&path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
        if !pem.windows(27).any(|part| part == b"-----BEGIN CERTIFICATE-----") {
            return Err(refuse("holds no certificate in PEM form".to_owned()));
        }
        let certificate = Certificate::from_pem(&pem);
        builder = builder.add_root_certificate(certificate.map_err(|error| refuse(format!("is damaged: {error}")))?);
    }
    builder.build_rustls().map_err(|error| format!("TLS cannot be prepared: {error}"))
}

/// User and password; `Debug` is left out on purpose.
struct Login {
    user: String,
    password: Zeroizing<String>,
}

impl Login {
    /// The text without the password, as it is and as it goes to the server.
    fn masked(&self, text: &str) -> String {
        if self.password.is_empty() {
            return text.to_owned();
        }
        let both = Zeroizing::new(format!("\0{}\0{}", self.user, self.password.as_str()));
        [Zeroizing::new(STANDARD.encode(both.as_bytes())), Zeroizing::new(STANDARD.encode(self.password.as_bytes()))]
            .iter()
            .map(|secret| secret.as_str())
            .chain([self.password.as_str()])
            .fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
    }
}

/// What the credentials file holds, if one is named: `user:password` on its first line.
fn login() -> Result<Option<Login>, String> {
    let Some(path) = settings::alert::mail_credentials_file() else { return Ok(None) };
    let refuse = |reason: String| format!("the file \"{path}\" of pgseal.mail_credentials_file {reason}");
    let bytes = private_file::read(&path, MAX_CREDENTIALS).map_err(|error| refuse(error.to_string()))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| refuse("is not UTF-8 text".to_owned()))?;
    let line = text.lines().next().unwrap_or_default();
    match line.split_once(':') {
        Some((user, password)) if !user.is_empty() && !password.is_empty() => {
            Ok(Some(Login { user: user.to_owned(), password: Zeroizing::new(password.to_owned()) }))
        }
        _ => Err(refuse("does not hold user:password on its first line".to_owned())),
    }
}
