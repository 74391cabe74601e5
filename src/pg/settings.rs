//! Settings: one whose value nobody may read back, and a search path that nobody else chose.

use pgrx::pg_sys;
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

/// Judges a setting's new value before it is taken. What `check` is must not raise.
pub trait Check {
    /// Name of the setting.
    const NAME: &'static str;
    /// The refusal, a sentence that names the place of the fault.
    fn check(value: &str) -> Result<(), String>;
}

/// Defines a setting that a reload can change and whose values are checked. The server never quotes a value
/// that was refused: it may be one that was meant for another setting, such as a password.
pub fn define_checked<C: Check>(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<Option<CString>>,
) {
    // SAFETY: the check hook is guarded against panics.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            name,
            short,
            long,
            setting,
            GucContext::Sighup,
            GucFlags::empty(),
            Some(check_hook::<C>),
            None,
            None,
        );
    }
}

unsafe extern "C-unwind" fn check_hook<C: Check>(
    value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    let check = || {
        // SAFETY: the server passes a pointer to the value, which is NULL or a NUL-terminated string.
        let given = unsafe { (*value).as_ref().map(|value| CStr::from_ptr(value)) };
        let refusal = match given.map(CStr::to_str) {
            None => None,
            Some(Ok(text)) => C::check(text).err(),
            Some(Err(error)) => Some(format!("It is not UTF-8 text from byte {} on.", error.valid_up_to() + 1)),
        };
        let Some(refusal) = refusal else { return true };
        let message = format!("invalid value for parameter \"{}\"", C::NAME);
        // SAFETY: the server reads these two when the hook says no, and resets the context they are in.
        unsafe {
            pg_sys::GUC_check_errmsg_string = for_report(message);
            pg_sys::GUC_check_errdetail_string = for_report(refusal);
        }
        false
    };
    // SAFETY: makes an ERROR of a panic; called by the server, from C.
    unsafe { pgrx::pgrx_extern_c_guard(check) }
}

/// A copy that lives as long as the report that the server is about to make.
fn for_report(text: String) -> *mut c_char {
    let text = CString::new(text.replace('\0', "")).unwrap_or_default();
    // SAFETY: copies a NUL-terminated string into a context that always exists.
    unsafe { pg_sys::MemoryContextStrdup(pg_sys::ErrorContext, text.as_ptr()) }
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
        // SAFETY: as for a function's SET clauses: a nest level of its own, and values that any user
        // may set. An ERROR ends the level with its transaction.
        unsafe {
            let level = pg_sys::NewGUCNestLevel();
            for (name, value) in PINNED {
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
            // SAFETY: ends the level that `pin` began; levels begun inside have ended.
            unsafe { pg_sys::AtEOXact_GUC(true, self.level) }
        }
    }
}
