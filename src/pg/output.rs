//! Output functions under settings that never change, whatever the session says.

use pgrx::pg_sys;
use std::ffi::{CStr, c_int};
use std::sync::atomic::{AtomicPtr, Ordering};

unsafe extern "C" {
    static mut bytea_output: c_int;
}

/// The value of the server's enum for `bytea_output = hex`.
const BYTEA_OUTPUT_HEX: c_int = 1;

/// While alive, output functions print with TimeZone UTC, DateStyle ISO, IntervalStyle postgres,
/// extra_float_digits 1, bytea_output hex and without needless quotes. The output functions read these variables only, so
/// the settings themselves need not be touched. Restored on drop, also when an ERROR unwinds.
pub struct PinnedOutput {
    zone: *mut pg_sys::pg_tz,
    date_style: c_int,
    date_order: c_int,
    interval_style: c_int,
    float_digits: c_int,
    bytea: c_int,
    quote_all: bool,
}

static UTC: AtomicPtr<pg_sys::pg_tz> = AtomicPtr::new(std::ptr::null_mut());

fn utc() -> *mut pg_sys::pg_tz {
    let known = UTC.load(Ordering::Relaxed);
    if !known.is_null() {
        return known;
    }
    // SAFETY: "GMT" is built in; the server caches the zone for the life of the process.
    let zone = unsafe { pg_sys::pg_tzset(c"GMT".as_ptr()) };
    UTC.store(zone, Ordering::Relaxed);
    zone
}

impl PinnedOutput {
    pub fn pin() -> PinnedOutput {
        let zone = utc();
        // SAFETY: variables of this backend, read by output functions in this thread only. The
        // values written are legal ones of their settings.
        unsafe {
            let saved = PinnedOutput {
                zone: pg_sys::session_timezone,
                date_style: pg_sys::DateStyle,
                date_order: pg_sys::DateOrder,
                interval_style: pg_sys::IntervalStyle,
                float_digits: pg_sys::extra_float_digits,
                bytea: bytea_output,
                quote_all: pg_sys::quote_all_identifiers,
            };
            pg_sys::session_timezone = zone;
            pg_sys::DateStyle = pg_sys::USE_ISO_DATES as c_int;
            pg_sys::DateOrder = pg_sys::DATEORDER_MDY as c_int;
            pg_sys::IntervalStyle = pg_sys::INTSTYLE_POSTGRES as c_int;
            pg_sys::extra_float_digits = 1;
            bytea_output = BYTEA_OUTPUT_HEX;
            pg_sys::quote_all_identifiers = false;
            saved
        }
    }
}

impl Drop for PinnedOutput {
    fn drop(&mut self) {
        // SAFETY: as in `pin`; the saved values were in force before.
        unsafe {
            pg_sys::session_timezone = self.zone;
            pg_sys::DateStyle = self.date_style;
            pg_sys::DateOrder = self.date_order;
            pg_sys::IntervalStyle = self.interval_style;
            pg_sys::extra_float_digits = self.float_digits;
            bytea_output = self.bytea;
            pg_sys::quote_all_identifiers = self.quote_all;
        }
    }
}

/// A type's output function, looked up once.
pub struct OutputFunction(Box<pg_sys::FmgrInfo>);

impl OutputFunction {
    pub fn of_type(type_oid: u32) -> OutputFunction {
        let mut function = Box::<pg_sys::FmgrInfo>::default();
        let (mut oid, mut varlena) = (pg_sys::InvalidOid, false);
        // SAFETY: raises for an unknown type; the function's own cache goes to TopMemoryContext,
        // which outlives every plan that holds this value.
        unsafe {
            pg_sys::getTypeOutputInfo(type_oid.into(), &mut oid, &mut varlena);
            pg_sys::fmgr_info_cxt(oid, &mut *function, pg_sys::TopMemoryContext);
        }
        OutputFunction(function)
    }

    /// Appends the output text, printed under pinned settings.
    pub(super) fn write(&self, datum: pg_sys::Datum, out: &mut Vec<u8>) {
        let _pinned = PinnedOutput::pin();
        // SAFETY: the datum is of the type this function was made for (see `value::Column`). The
        // function writes to its own cache behind the pointer, in this thread only.
        unsafe {
            let text = pg_sys::OutputFunctionCall(std::ptr::from_ref(&*self.0).cast_mut(), datum);
            out.extend_from_slice(CStr::from_ptr(text).to_bytes());
            pg_sys::pfree(text.cast());
        }
    }
}
