//! The server's clock.

use pgrx::pg_sys;

/// Now, in microseconds since 2000-01-01 00:00 UTC.
pub fn now() -> i64 {
    // SAFETY: reads the system clock; no precondition.
    unsafe { pg_sys::GetCurrentTimestamp() }
}
