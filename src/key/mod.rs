//! The sealing keys: where their secrets come from, which of them this server holds, and what is derived from them.
//! No secret leaves this module.

pub mod evolution;
mod fault;
mod ring;
mod source;
mod starting;
mod template;
mod verification;

pub use fault::KeyFault;

use crate::pg::error::Report;
use crate::pg::{secret_memory, startup};
use crate::settings;
use pgrx::PgSqlErrorCode;
use pgseal_chain::{HistoryId, HistoryKeys, RecordKey, Secret};
use source::Source;
use std::cell::RefCell;
use std::io;
use std::sync::OnceLock;
use verification::Export;
use zeroize::Zeroizing;

/// A key that this server has.
#[derive(Clone)]
pub struct Key {
    /// `1`, `2` …: what `%k` stands for.
    pub id: String,
    secret: Secret,
}

/// Why the server had no usable key when it started.
static FAULT: OnceLock<KeyFault> = OnceLock::new();

/// Fetches the key, once, in the postmaster. Where a key is required and there is none, the server ends.
pub fn init() {
    if let Err(fault) = fetch_first() {
        match settings::require_key() && startup::is_for_users() {
            true => fault.refuse_start(),
            false => Report::from(fault.clone()).warn(),
        }
        let _ = FAULT.set(fault);
    }
    evolution::init();
}

fn fetch_first() -> Result<(), KeyFault> {
    secret_memory::init().map_err(|reason| KeyFault::NoMemory { reason })?;
    if let Some(path) = settings::verification_file() {
        return match Source::configured() {
            Err(KeyFault::NotConfigured) => verification::load(&path),
            Ok(source) => Err(KeyFault::SeveralSources(source.name(), "pgseal.verification_file")),
            Err(fault) => Err(fault),
        };
    }
    let id = starting::id();
    ring::fetch(&id)?;
    ring::put_in_force(&id);
    Ok(())
}

/// The number of a key's id; `None` if it is none.
pub fn number(id: &str) -> Option<u32> {
    id.parse().ok().filter(|number: &u32| *number > 0 && number.to_string() == id)
}

fn fault_at_start() -> KeyFault {
    if verification::is_all() {
        return KeyFault::VerificationOnly;
    }
    FAULT.get().cloned().unwrap_or(KeyFault::NotConfigured)
}

/// Whether this server has what seals, or why not.
pub fn may_seal() -> Result<(), KeyFault> {
    if verification::is_all() { Err(KeyFault::VerificationOnly) } else { Ok(()) }
}

/// The key in force on this server, or why there is none.
pub fn current() -> Result<Key, KeyFault> {
    let id = ring::in_force().ok_or_else(fault_at_start)?;
    let secret = ring::held(&id).ok_or_else(fault_at_start)?;
    Ok(Key { id, secret })
}

/// The key of this id; fetched, if this server does not hold it yet.
pub fn by_id(id: &str) -> Result<Key, KeyFault> {
    let current = ring::in_force().ok_or_else(fault_at_start)?;
    let missing = |fault| KeyFault::Missing { id: id.to_owned(), fault: Box::new(fault) };
    if number(id).is_none() {
        return Err(missing(KeyFault::NoSuchId));
    }
    if id != current && ring::held(id).is_none() {
        let source = Source::configured().map_err(missing)?;
        if !source.knows_ids() {
            return Err(missing(KeyFault::OneKeyOnly(source.name())));
        }
    }
    match ring::held_or_fetched(id) {
        Ok(secret) => Ok(Key { id: id.to_owned(), secret }),
        Err(fault) if id == current => Err(fault),
        Err(fault) => Err(missing(fault)),
    }
}

/// The key of this id, if this server holds it already.
pub fn held(id: &str) -> Option<Key> {
    Some(Key { id: id.to_owned(), secret: ring::held(id)? })
}

/// The key of this id, to judge what it sealed; fetched, if this server does not hold it yet.
pub fn to_verify(id: &str) -> Result<Verifier, KeyFault> {
    if !verification::is_all() {
        return by_id(id).map(Verifier::Key);
    }
    match verification::fingerprint(id) {
        Some(fingerprint) => Ok(Verifier::Exported { id: id.to_owned(), fingerprint }),
        None => Err(KeyFault::NoVerificationSecret),
    }
}

/// The same, if this server holds it already.
pub fn held_to_verify(id: &str) -> Option<Verifier> {
    if verification::is_all() { to_verify(id).ok() } else { held(id).map(Verifier::Key) }
}

/// What verifies one history and no other, of each key of these ids, as a line for `pgseal.verification_file`.
pub fn history_secret(history: HistoryId, table: &str, ids: &[String]) -> Result<Zeroizing<String>, KeyFault> {
    let keys = ids.iter().map(|id| by_id(id)).collect::<Result<Vec<Key>, KeyFault>>()?;
    let keys: Vec<Export<'_>> = keys.iter().map(|key| Export { id: &key.id, secret: &key.secret }).collect();
    Ok(verification::export(history, table, &keys))
}

/// A key as far as this server can judge with it.
pub enum Verifier {
    Key(Key),
    /// Of the key of this id it has what verifies some histories.
    Exported {
        id: String,
        fingerprint: String,
    },
}

impl Verifier {
    /// The keys of one history, or of an internal chain.
    pub fn keys(&self, history: HistoryId) -> Result<HistoryKeys, KeyFault> {
        match self {
            Verifier::Key(key) => Ok(key.keys(history)),
            Verifier::Exported { id, .. } => verification::keys(id, history).ok_or(KeyFault::NoVerificationSecret),
        }
    }

    pub fn fingerprint(&self) -> String {
        match self {
            Verifier::Key(key) => key.fingerprint(),
            Verifier::Exported { fingerprint, .. } => fingerprint.clone(),
        }
    }
}

/// The key of this id as its source gives it now, to be put in force.
///
/// # Errors
///
/// Where the source has one key only, or gives none under this id.
pub fn next(id: &str) -> Result<Key, KeyFault> {
    let source = Source::configured()?;
    if !source.knows_ids() {
        return Err(KeyFault::OneKeyOnly(source.name()));
    }
    ring::forget(id);
    let secret = ring::fetch(id).map_err(|fault| KeyFault::Missing { id: id.to_owned(), fault: Box::new(fault) })?;
    Ok(Key { id: id.to_owned(), secret })
}

/// Wipes a key from the server's memory.
pub fn forget(id: &str) {
    ring::forget(id);
}

/// Name of the setting that keys come from.
pub fn source() -> Option<String> {
    Source::configured().ok().map(|source| source.name().to_owned())
}

/// What authenticates the internal chains, derived once in each process: their entries are many.
#[derive(Default)]
struct InternalKeys {
    generation: u64,
    known: Vec<(String, HistoryId, RecordKey)>,
}

thread_local! {
    static INTERNAL_KEYS: RefCell<InternalKeys> = RefCell::default();
}

/// The key that authenticates what an internal chain holds under the key of this id, if that is at hand.
pub fn of_internal_chain(id: &str, chain: HistoryId) -> Result<RecordKey, KeyFault> {
    let generation = secret_memory::generation();
    let known = INTERNAL_KEYS.with_borrow_mut(|keys| {
        if keys.generation != generation {
            *keys = InternalKeys { generation, known: Vec::new() };
        }
        keys.known.iter().find(|(of, for_chain, _)| of == id && *for_chain == chain).map(|(.., key)| key.clone())
    });
    if let Some(record_key) = known {
        return Ok(record_key);
    }
    let record_key = to_verify(id)?.keys(chain)?.record_key();
    INTERNAL_KEYS.with_borrow_mut(|keys| keys.known.push((id.to_owned(), chain, record_key.clone())));
    Ok(record_key)
}

impl Key {
    /// The keys of one history, or of an internal chain.
    pub fn keys(&self, history: HistoryId) -> HistoryKeys {
        HistoryKeys::derive(&self.secret, history)
    }

    /// Has this server take the key as its own if it is newer, also after its next start. A rotation is of one
    /// database; whoever attaches the first history of another one takes the newest key.
    ///
    /// # Errors
    ///
    /// Where that cannot be kept for the next start.
    pub fn follow(&self) -> io::Result<()> {
        if ring::in_force().is_some_and(|id| number(&id) < number(&self.id)) {
            ring::put_in_force(&self.id);
        }
        if number(&starting::id()) < number(&self.id) { starting::set(&self.id) } else { Ok(()) }
    }

    /// First 8 bytes of an HMAC under the key, hex: names it without telling it.
    pub fn fingerprint(&self) -> String {
        hex::encode(self.secret.fingerprint())
    }
}

impl From<KeyFault> for Report {
    fn from(fault: KeyFault) -> Report {
        Report::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "pgseal has no usable key")
            .detail(format!("{}.", fault.sentence()))
            .hint(fault.remedy())
    }
}
