//! Settings: one whose value nobody may read back, and a search path that nobody else chose.

use pgrx::pg_sys;
use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, pg_guard};
use std::ffi::{CStr, CString, c_char, c_int};

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
