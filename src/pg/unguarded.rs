//! Functions of the server that cannot raise where they are called here, without pgrx's guard around them.
//!
//! A guarded call saves a jump buffer and the state of error handling, and each has code of its own for that. A row is
//! sealed, and a transaction ended, with a handful of calls that end in no ERROR; between thirty-two sessions on two
//! cores that code is never in the processor's caches.

use pgrx::pg_sys;

pub(super) use server::{GetCurrentSubTransactionId, GetCurrentTimestamp, LWLockAcquire, LWLockRelease};

mod server {
    use super::pg_sys;

    unsafe extern "C-unwind" {
        /// Reads the clock.
        pub fn GetCurrentTimestamp() -> pg_sys::TimestampTz;

        /// Reads a variable of this backend.
        pub fn GetCurrentSubTransactionId() -> pg_sys::SubTransactionId;

        /// Raises only where a process holds 200 locks already.
        pub fn LWLockAcquire(lock: *mut pg_sys::LWLock, mode: pg_sys::LWLockMode::Type) -> bool;

        /// Raises only where the lock is not held.
        pub fn LWLockRelease(lock: *mut pg_sys::LWLock);
    }
}
