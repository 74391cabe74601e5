//! The secret that evolves: where its state is kept, how a stream begins. See docs/forward-security.md.
//!
//! The secret of the period in force stands in the state file and nowhere else: what needs it reads it there, for one
//! computation. So there is one place to wipe when a period ends.

mod fault;
mod state;
mod state_file;

pub use fault::EvolutionFault;
pub use state::State;

use super::KeyFault;
use super::source::{Purpose, Source};
use crate::pg::error::Report;
use crate::pg::{clock, startup};
use crate::settings;
use pgseal_chain::{EvolvingSecret, PeriodKind, Secret, Seen, Stream};

/// How long periods are; `None`: there are none.
pub fn kind() -> Option<PeriodKind> {
    settings::key_evolution()
}

/// What the clock and the machine say.
pub fn now() -> Seen {
    Seen { at: clock::now(), boot: clock::boot_id(), boot_time: clock::since_boot() }
}

/// Reads the state, or begins a stream where there is none. Runs in the postmaster. Where a key is required and that
/// cannot be done, the server ends.
pub fn init() {
    if kind().is_none() || !startup::is_for_users() {
        return;
    }
    if let Err(fault) = prepare() {
        match settings::require_key() {
            true => fault.refuse_start(),
            false => Report::from(fault).warn(),
        }
    }
}

fn prepare() -> Result<(), EvolutionFault> {
    require_two_secrets()?;
    match load() {
        Err(EvolutionFault::Missing { .. }) => begin_stream(clock::now()).map(drop),
        other => other.map(drop),
    }
}

/// A source that gives one and the same secret for both purposes would leave the root in the server's hands.
fn require_two_secrets() -> Result<(), EvolutionFault> {
    match Source::configured() {
        Ok(source) if !source.tells_purposes() => Err(EvolutionFault::OnePurpose { setting: source.name() }),
        // Without any source there is no root either, which is said where it is needed.
        _ => Ok(()),
    }
}

/// The state as it is now.
pub fn load() -> Result<State, EvolutionFault> {
    let wanted = kind().ok_or(EvolutionFault::Off)?;
    let path = path()?;
    let text = state_file::read(&path)?;
    let state = State::parse(&text).ok_or_else(|| EvolutionFault::Damaged { path: path.clone() })?;
    match state.stream.kind == wanted {
        true => Ok(state),
        false => Err(EvolutionFault::OtherKind { path, found: state.stream.kind.as_str(), wanted: wanted.as_str() }),
    }
}

/// Keeps the state in the place of the former one, which is overwritten.
pub fn store(state: &State) -> Result<(), EvolutionFault> {
    state_file::write(&path()?, &state.text())
}

/// Begins a stream in the period of this time, µs since 2000-01-01 UTC, and keeps its state.
pub fn begin_stream(at: i64) -> Result<State, EvolutionFault> {
    let state = draw_stream(kind().ok_or(EvolutionFault::Off)?, at)?;
    store(&state)?;
    Ok(state)
}

/// A new stream, from the root of the key in force, which is fetched and wiped again.
pub fn draw_stream(kind: PeriodKind, at: i64) -> Result<State, EvolutionFault> {
    let key_id = super::current().map_err(EvolutionFault::NoRoot)?.id;
    let root = root(&key_id).map_err(EvolutionFault::NoRoot)?;
    let mut id = [0; 16];
    getrandom::fill(&mut id).expect("the operating system gives random bytes");
    let first = kind.period(at);
    let stream = Stream { id, kind, first, key_id };
    Ok(State {
        secret: EvolvingSecret::first(&root, &stream),
        root: hex::encode(root.fingerprint()),
        seen: Seen { at, ..now() },
        period: first,
        stream,
    })
}

/// The root of a key id, which only a verifier needs: from it come all secrets of all streams.
pub fn root(key_id: &str) -> Result<Secret, KeyFault> {
    let source = Source::configured()?;
    if !source.tells_purposes() {
        return Err(KeyFault::NoRoot { setting: source.name() });
    }
    let root = source.fetch(key_id, Purpose::Verify)?;
    // Where a source takes no notice of the purpose, the sealing server would always have the root.
    match super::held(key_id) {
        Some(key) if key.secret.fingerprint() == root.fingerprint() => {
            Err(KeyFault::RootSeals { origin: source.name(), id: key_id.to_owned() })
        }
        _ => Ok(root),
    }
}

fn path() -> Result<String, EvolutionFault> {
    settings::key_state_file().ok_or(EvolutionFault::NoPath)
}
