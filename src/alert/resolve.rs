//! The addresses of a host. The system's resolver cannot be interrupted and may take long, so it works in a
//! thread of its own, which nobody waits for longer than they want to.

use nix::sys::signal::{SigSet, SigmaskHow};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Why there are no addresses.
pub enum Unresolved {
    Stopped,
    TimedOut,
    Failed(String),
}

/// Looks a host up; `stop` is asked every `turn`.
pub fn addresses(
    host: &str,
    port: u16,
    limit: Duration,
    turn: Duration,
    stop: &dyn Fn() -> bool,
) -> Result<Vec<SocketAddr>, Unresolved> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let failed = |reason: String| Unresolved::Failed(reason);
    let (answer, answered) = mpsc::channel();
    let name = host.to_owned();
    start(move || {
        // Nobody may be listening any more.
        let _ = answer.send((name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>));
    })
    .map_err(|error| failed(error.to_string()))?;
    let deadline = Instant::now() + limit;
    loop {
        match answered.recv_timeout(turn) {
            Ok(Ok(found)) if found.is_empty() => return Err(failed("the name has no address".to_owned())),
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(RecvTimeoutError::Disconnected) => return Err(failed("the resolver broke down".to_owned())),
            Err(RecvTimeoutError::Timeout) if stop() => return Err(Unresolved::Stopped),
            Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => return Err(Unresolved::TimedOut),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Starts a thread that gets no signal: the server's handlers belong to its main thread.
fn start(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let started = std::thread::Builder::new().name("pgseal resolver".to_owned()).spawn(work);
    before.thread_set_mask()?;
    started.map(drop)
}
