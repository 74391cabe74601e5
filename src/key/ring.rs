//! The keys that this server holds: fetched once each, kept where all its processes find them.

use super::fault::KeyFault;
use super::source::{Purpose, Source};
use crate::pg::{secret_memory, server};
use pgseal_chain::Secret;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Label of the id of the key that this server seals with.
const IN_FORCE: &str = "key in force";

/// For how long a process does not ask again for a key that it did not get.
const FAILURE_HOLDS: Duration = Duration::from_secs(15);

thread_local! {
    static FAILED: RefCell<BTreeMap<String, (Instant, KeyFault)>> = const { RefCell::new(BTreeMap::new()) };
}

fn label(id: &str) -> String {
    format!("key {id}")
}

/// Id of the key that this server seals with; none while it has no usable key.
pub fn in_force() -> Option<String> {
    secret_memory::get(IN_FORCE).and_then(|id| String::from_utf8(id.to_vec()).ok())
}

/// From now on this server seals with the key of this id, which it holds.
pub fn put_in_force(id: &str) {
    secret_memory::put(IN_FORCE, id.as_bytes());
}

/// The secret, if this server holds it.
pub fn held(id: &str) -> Option<Secret> {
    Secret::from_bytes(secret_memory::get(&label(id))?.to_vec()).ok()
}

/// The secret, fetched if this server does not hold it yet. A process that failed does not try again for 15 s:
/// thousands of records may need the same key.
pub fn held_or_fetched(id: &str) -> Result<Secret, KeyFault> {
    if let Some(secret) = held(id) {
        return Ok(secret);
    }
    let failed = FAILED.with_borrow(|failed| {
        failed.get(id).filter(|(at, _)| at.elapsed() < FAILURE_HOLDS).map(|(_, fault)| fault.clone())
    });
    match failed {
        Some(fault) => Err(fault),
        // Its leader has tried.
        None if server::is_parallel_worker() => Err(KeyFault::NotConfigured),
        None => fetch(id).inspect_err(|fault| {
            FAILED.with_borrow_mut(|failed| failed.insert(id.to_owned(), (Instant::now(), fault.clone())));
        }),
    }
}

/// The secret as its source gives it now, which the server holds from then on.
pub fn fetch(id: &str) -> Result<Secret, KeyFault> {
    let secret = Source::configured()?.fetch(id, Purpose::Sign)?;
    // Without room for it every process fetches it for itself.
    secret.expose(|bytes| secret_memory::put(&label(id), bytes));
    Ok(secret)
}

/// Wipes the secret from the server's memory.
pub fn forget(id: &str) {
    secret_memory::remove(&label(id));
}
