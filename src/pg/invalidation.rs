//! Tells backend-local caches that a table's definition changed.

use pgrx::{pg_guard, pg_sys};
use std::sync::OnceLock;

static HANDLER: OnceLock<fn(Option<u32>)> = OnceLock::new();

/// Calls `handler` with a relation's oid, or `None` for all, whenever its catalog entries change.
pub fn on_relation_change(handler: fn(Option<u32>)) {
    if HANDLER.set(handler).is_ok() {
        // SAFETY: the callback is a function of this library, which is never unloaded.
        unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(callback), pg_sys::Datum::null()) }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn callback(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    if let Some(handler) = HANDLER.get() {
        handler((relation != pg_sys::InvalidOid).then(|| relation.to_u32()));
    }
}

/// Makes every backend forget what it cached about this relation, when the transaction commits.
pub fn invalidate(relation: u32) {
    // SAFETY: queues a message; the relation exists and is locked by the caller.
    unsafe { pg_sys::CacheInvalidateRelcacheByRelid(relation.into()) }
}
