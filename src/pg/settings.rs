//! A text setting whose value nobody may read back.

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, pg_guard};
use std::ffi::{CStr, CString, c_char};

/// Defines a setting that only the configuration file can set at server start and that SHOW,
/// `current_setting` and `pg_settings` never print.
pub fn define_secret(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<Option<CString>>,
) {
    let flags = GucFlags::SUPERUSER_ONLY | GucFlags::NO_SHOW_ALL | GucFlags::DISALLOW_IN_AUTO_FILE;
    // SAFETY: the show hook returns a static string; no check or assign hook sees the value.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            name,
            short,
            long,
            setting,
            GucContext::Postmaster,
            flags,
            None,
            None,
            Some(hidden),
        );
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn hidden() -> *const c_char {
    c"(not shown)".as_ptr()
}

/// Makes any other setting with this prefix an error, so that a typing mistake is seen.
pub fn reserve_prefix(prefix: &'static CStr) {
    // SAFETY: a static NUL-terminated string; called in _PG_init after all settings are defined.
    unsafe { pgrx::pg_sys::MarkGUCPrefixReserved(prefix.as_ptr()) }
}
