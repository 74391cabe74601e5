//! The sealing secret: where it comes from, and the one copy that every backend inherits.

pub mod evolution;
mod fault;
mod source;

pub use fault::KeyFault;

use crate::pg::error::Report;
use pgrx::PgSqlErrorCode;
use pgseal_chain::{HistoryId, HistoryKeys, RecordKey, Secret};
use source::Source;
use std::cell::RefCell;
use std::sync::OnceLock;

/// Id of the key that a server begins with; `%k` in a command or path.
pub const FIRST_KEY_ID: &str = "1";

/// A usable key.
pub struct Key {
    pub id: &'static str,
    pub secret: Secret,
    /// Where it came from, without any part of it: `key_file`, `key_command` or `key`.
    pub source: &'static str,
}

thread_local! {
    static INTERNAL_KEYS: RefCell<Vec<(&'static str, HistoryId, RecordKey)>> = const { RefCell::new(Vec::new()) };
}

static KEY: OnceLock<Result<Key, KeyFault>> = OnceLock::new();

/// Fetches the key, once, in the postmaster; backends are forked from it and inherit the result.
pub fn init() {
    let fetched = fetch();
    if let Err(fault) = &fetched {
        Report::from(fault.clone()).warn();
    }
    let _ = KEY.set(fetched);
}

fn fetch() -> Result<Key, KeyFault> {
    let source = Source::configured()?;
    let secret = source.fetch(FIRST_KEY_ID, source::Purpose::Sign)?;
    Ok(Key { id: FIRST_KEY_ID, secret, source: source.name() })
}

/// The key in force, or why there is none.
pub fn current() -> Result<&'static Key, KeyFault> {
    match KEY.get() {
        Some(Ok(key)) => Ok(key),
        Some(Err(fault)) => Err(fault.clone()),
        None => Err(KeyFault::NotConfigured),
    }
}

/// The key of this id, if this server has it.
pub fn by_id(id: &str) -> Result<&'static Key, KeyFault> {
    let key = current()?;
    if key.id == id { Ok(key) } else { Err(KeyFault::OtherId { wanted: id.to_owned(), have: key.id }) }
}

impl Key {
    /// The key that authenticates what an internal chain holds. Derived once in each process: anchors
    /// are many.
    pub fn of_internal_chain(&self, chain: HistoryId) -> RecordKey {
        INTERNAL_KEYS.with_borrow_mut(|known| {
            if let Some((.., record_key)) = known.iter().find(|(id, of, _)| *id == self.id && *of == chain) {
                return record_key.clone();
            }
            let record_key = HistoryKeys::derive(&self.secret, chain).record_key();
            known.push((self.id, chain, record_key.clone()));
            record_key
        })
    }
}

/// First 8 bytes of an HMAC under the key, hex: names it without telling it.
pub fn fingerprint(key: &Key) -> String {
    hex::encode(key.secret.fingerprint())
}

impl From<KeyFault> for Report {
    fn from(fault: KeyFault) -> Report {
        Report::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "pgseal has no usable key")
            .detail(format!("{}.", fault.sentence()))
            .hint(fault.remedy())
    }
}
