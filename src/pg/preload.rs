//! Whether the library was loaded by the postmaster, and when all others are.

use super::error::Report;
use pgrx::{PgSqlErrorCode, pg_guard, pg_sys};
use std::ffi::CStr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Ends with an ERROR that names the line for postgresql.conf unless the postmaster is loading
/// `shared_preload_libraries`.
pub fn require() {
    if in_progress() {
        return;
    }
    // SAFETY: shared_preload_libraries_string is set by the GUC machinery before any library can
    // be loaded; it is NULL or a NUL-terminated string that nothing changes during this call.
    let loaded = unsafe {
        let raw = pg_sys::shared_preload_libraries_string;
        if raw.is_null() { String::new() } else { CStr::from_ptr(raw).to_string_lossy().into_owned() }
    };
    let line = if loaded.trim().is_empty() { "pgseal".to_owned() } else { format!("{loaded}, pgseal") };
    Report::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "pgseal must be loaded when the server starts",
    )
    .detail("The newest signature of every chain lives in shared memory, which only the server's start can reserve.")
    .hint(format!("Put this line into postgresql.conf and restart the server: shared_preload_libraries = '{line}'"))
    .raise()
}

fn in_progress() -> bool {
    // SAFETY: a plain bool of the server that only the postmaster's start-up changes.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}

/// What is to run when all libraries are loaded.
static WAITING: Mutex<Vec<fn()>> = Mutex::new(Vec::new());
static PREVIOUS: OnceLock<pg_sys::shmem_request_hook_type> = OnceLock::new();

/// Has `work` run once, in the postmaster, when all of `shared_preload_libraries` are loaded, whatever their order.
/// Call in `_PG_init`.
pub fn when_all_are_loaded(work: fn()) {
    waiting().push(work);
    // SAFETY: _PG_init of a preloaded library is the place to chain this hook; the previous value is kept and called.
    unsafe {
        if PREVIOUS.set(pg_sys::shmem_request_hook).is_ok() {
            pg_sys::shmem_request_hook = Some(all_are_loaded);
        }
    }
}

fn waiting() -> MutexGuard<'static, Vec<fn()>> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The server asks for requests of shared memory after the last library, and not again after a crash.
#[pg_guard]
unsafe extern "C-unwind" fn all_are_loaded() {
    if let Some(Some(previous)) = PREVIOUS.get() {
        // SAFETY: the hook of a library that was loaded before; called where the server calls it.
        unsafe { previous() }
    }
    let all = std::mem::take(&mut *waiting());
    all.into_iter().for_each(|work| work());
}
