//! Settings: one whose value nobody may read back, those that are checked before they are taken, and a search path
//! that nobody else chose.

use super::error::Report;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::pgrx_extern_c_guard;
use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, pg_guard};
use std::ffi::{CStr, CString, c_char, c_int, c_void};

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

/// Which values a setting takes.
pub trait Checked {
    /// Must neither raise nor panic: the server's first process calls it, too.
    ///
    /// # Errors
    ///
    /// What is told of a value that is refused: in the log after a reload, to the client after ALTER SYSTEM.
    fn check(value: &str) -> Result<(), Report>;
}

/// Defines a setting of the configuration file that a reload changes, if its new value is taken.
pub fn define_checked<C: Checked>(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<Option<CString>>,
) {
    // SAFETY: the hook is guarded, and keeps nothing that it is given.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            name,
            short,
            long,
            setting,
            GucContext::Sighup,
            GucFlags::empty(),
            Some(check::<C>),
            None,
            None,
        );
    }
}

unsafe extern "C-unwind" fn check<C: Checked>(
    value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: the server passes a NULL or a NUL-terminated string, and has reset the texts that it takes a
    // refusal from; what they point to lives in the memory context of the moment, as the server's own do.
    unsafe {
        pgrx_extern_c_guard(|| {
            let value = *value;
            if value.is_null() {
                return true;
            }
            let Err(refusal) = C::check(&CStr::from_ptr(value).to_string_lossy()) else { return true };
            pg_sys::GUC_check_errcode(refusal.code as c_int);
            pg_sys::GUC_check_errmsg_string = copied(Some(refusal.message));
            pg_sys::GUC_check_errdetail_string = copied(refusal.detail);
            pg_sys::GUC_check_errhint_string = copied(refusal.hint);
            false
        })
    }
}

/// The text in the server's memory; NULL without one.
unsafe fn copied(text: Option<String>) -> *mut c_char {
    match text.and_then(|text| CString::new(text).ok()) {
        // SAFETY: copies a NUL-terminated string into the memory context of the moment.
        Some(text) => unsafe { pg_sys::pstrdup(text.as_ptr()) },
        None => std::ptr::null_mut(),
    }
}

/// `log_timezone`: the time zone of the server as a whole, whatever a session or a database sets.
pub fn log_timezone() -> String {
    // SAFETY: the value of an existing setting, which stays as it is until it is copied.
    unsafe {
        let value = pg_sys::GetConfigOption(c"log_timezone".as_ptr(), true, false);
        if value.is_null() { String::new() } else { CStr::from_ptr(value).to_string_lossy().into_owned() }
    }
}

/// Makes any other setting with this prefix an error, so that a typing mistake is seen.
pub fn reserve_prefix(prefix: &'static CStr) {
    // SAFETY: a static NUL-terminated string; called in _PG_init after all settings are defined.
    unsafe { pg_sys::MarkGUCPrefixReserved(prefix.as_ptr()) }
}

/// While alive, names and operators in SQL mean those of `pg_catalog`, whatever the session says,
/// names are printed with their schema and without needless quotes, and queries run at once, without
/// being compiled and without workers.
pub struct PinnedPath {
    level: c_int,
}

const PINNED: [(&CStr, &CStr); 4] = [
    (c"search_path", c"pg_catalog, pg_temp"),
    (c"quote_all_identifiers", c"off"),
    (c"jit", c"off"),
    (c"max_parallel_workers_per_gather", c"0"),
];

impl PinnedPath {
    pub fn pin() -> PinnedPath {
        PinnedPath::pin_with(&[])
    }

    /// The same with further settings that any user may set.
    pub fn pin_with(further: &[(&'static CStr, &'static CStr)]) -> PinnedPath {
        // SAFETY: as for a function's SET clauses: a nest level of its own, and values that any user
        // may set. An ERROR ends the level with its transaction.
        unsafe {
            let level = pg_sys::NewGUCNestLevel();
            for (name, value) in PINNED.iter().chain(further) {
                pg_sys::set_config_option(
                    name.as_ptr(),
                    value.as_ptr(),
                    pg_sys::GucContext::PGC_USERSET,
                    pg_sys::GucSource::PGC_S_SESSION,
                    pg_sys::GucAction::GUC_ACTION_SAVE,
                    true,
                    0,
                    false,
                );
            }
            PinnedPath { level }
        }
    }
}

impl Drop for PinnedPath {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: ends the level that `pin` began; levels begun inside have ended. Not as a commit:
            // what somebody else's code set meanwhile for the session does not outlive it.
            unsafe { pg_sys::AtEOXact_GUC(false, self.level) }
        }
    }
}
