//! The ends of transactions and savepoints, and what to do there.

use super::{executor, unguarded};
use pgrx::{pg_guard, pg_sys};
use std::ffi::c_void;
use std::sync::OnceLock;

/// Where a top-level transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionEvent {
    /// Last chance to write and to fail.
    BeforeCommit,
    BeforePrepare,
    /// Durable and visible; locks are still held. Nothing may fail from here on.
    Committed,
    Prepared,
    Aborted,
}

/// Number of a (sub)transaction within its top transaction; the top one is 1.
pub type Level = u32;

/// How a savepoint ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SavepointEvent {
    Released { level: Level, parent: Level },
    RolledBack { level: Level },
}

type OnTransaction = fn(TransactionEvent);
type OnSavepoint = fn(SavepointEvent);

/// Room for three parts of pgseal.
static HANDLERS: [OnceLock<(OnTransaction, OnSavepoint)>; 3] = [const { OnceLock::new() }; 3];

fn handlers() -> impl Iterator<Item = &'static (OnTransaction, OnSavepoint)> {
    HANDLERS.iter().filter_map(OnceLock::get)
}

/// Registers the two handlers for every later transaction of every backend. Call in `_PG_init`:
/// callbacks run in reverse order of registration, so that what other libraries write at commit
/// comes before ours. Our own handlers run in the order in which they were registered here.
pub fn register(on_transaction: OnTransaction, on_savepoint: OnSavepoint) {
    let is_first = handlers().next().is_none();
    let room = HANDLERS.iter().find(|place| place.get().is_none()).expect("room for every part of pgseal");
    let _ = room.set((on_transaction, on_savepoint));
    if is_first {
        // SAFETY: the callbacks are functions of this library, which is never unloaded.
        unsafe {
            pg_sys::RegisterXactCallback(Some(transaction_callback), std::ptr::null_mut());
            pg_sys::RegisterSubXactCallback(Some(savepoint_callback), std::ptr::null_mut());
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn transaction_callback(event: pg_sys::XactEvent::Type, _arg: *mut c_void) {
    use pg_sys::XactEvent::*;
    let event = match event {
        XACT_EVENT_PRE_COMMIT => TransactionEvent::BeforeCommit,
        XACT_EVENT_PRE_PREPARE => TransactionEvent::BeforePrepare,
        XACT_EVENT_COMMIT => TransactionEvent::Committed,
        XACT_EVENT_PREPARE => TransactionEvent::Prepared,
        XACT_EVENT_ABORT => TransactionEvent::Aborted,
        _ => return,
    };
    for (handler, _) in handlers() {
        handler(event);
    }
    match event {
        TransactionEvent::BeforeCommit | TransactionEvent::BeforePrepare => {}
        ended => executor::transaction_ended(ended == TransactionEvent::Aborted),
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn savepoint_callback(
    event: pg_sys::SubXactEvent::Type,
    level: pg_sys::SubTransactionId,
    parent: pg_sys::SubTransactionId,
    _arg: *mut c_void,
) {
    use pg_sys::SubXactEvent::*;
    match event {
        SUBXACT_EVENT_START_SUB => executor::savepoint_started(level),
        SUBXACT_EVENT_COMMIT_SUB => executor::savepoint_ended(level, false),
        SUBXACT_EVENT_ABORT_SUB => executor::savepoint_ended(level, true),
        _ => {}
    }
    let event = match event {
        SUBXACT_EVENT_COMMIT_SUB => SavepointEvent::Released { level, parent },
        SUBXACT_EVENT_ABORT_SUB => SavepointEvent::RolledBack { level },
        _ => return,
    };
    for (_, handler) in handlers() {
        handler(event);
    }
}

/// The current (sub)transaction's number.
pub fn level() -> Level {
    // SAFETY: reads this backend's transaction state.
    unsafe { unguarded::GetCurrentSubTransactionId() }
}

/// Whether the transaction has written, or may have: it has an id of its own.
pub fn has_written() -> bool {
    // SAFETY: reads this backend's transaction state.
    unsafe { pg_sys::GetTopTransactionIdIfAny() != pg_sys::InvalidTransactionId }
}
