//! One snapshot for a whole verification.

use pgrx::pg_sys;

struct Active;

impl Drop for Active {
    fn drop(&mut self) {
        // SAFETY: pushed by `with_fresh`; whatever was pushed above it has been popped.
        unsafe { pg_sys::PopActiveSnapshot() }
    }
}

/// Runs `work` under a snapshot taken now, also where the transaction keeps an older one. Queries
/// that run read-only inside all see the same.
pub fn with_fresh<R>(work: impl FnOnce() -> R) -> R {
    // SAFETY: inside a transaction; pushing copies and registers the snapshot.
    unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot()) };
    let _active = Active;
    work()
}
