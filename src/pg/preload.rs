//! Whether the library was loaded by the postmaster.

use super::error::Report;
use pgrx::{PgSqlErrorCode, pg_sys};
use std::ffi::CStr;

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
    .hint(format!("Set pgseal.key_file or pgseal.key_command, without which it does not start, put this line into postgresql.conf, and restart the server: shared_preload_libraries = '{line}'"))
    .raise()
}

fn in_progress() -> bool {
    // SAFETY: a plain bool of the server that only the postmaster's start-up changes.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}
