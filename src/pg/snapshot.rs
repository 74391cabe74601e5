//! One snapshot for a whole verification, and what a look outside one sees.

use pgrx::pg_sys;

/// How much of other transactions a look sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sees {
    /// All that is committed by now, and what this transaction has done.
    Stored,
    /// What the active snapshot sees.
    Snapshot,
}

impl Sees {
    /// For a scan. The active snapshot is valid as long as it stays active.
    pub(super) fn snapshot(self) -> pg_sys::Snapshot {
        match self {
            Sees::Stored => &raw mut pg_sys::SnapshotSelfData,
            // SAFETY: reads a pointer of this process.
            Sees::Snapshot => unsafe { pg_sys::GetActiveSnapshot() },
        }
    }
}

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
