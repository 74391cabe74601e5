//! Errors as a DBA reads them: SQLSTATE, what happened, DETAIL, HINT with the command to run.

use pgrx::pg_sys;
use pgrx::pg_sys::panic::{CaughtError, ErrorReport};
use pgrx::{PgLogLevel, PgSqlErrorCode};
use std::ffi::{CStr, CString};
use std::fmt;

/// An SQLSTATE of pgseal's own: five digits and capital letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlState(pub [u8; 5]);

impl SqlState {
    /// As the server packs it: six bits for each character, the first one lowest.
    fn packed(self) -> i32 {
        self.0.iter().rev().fold(0, |packed, digit| packed << 6 | i32::from(digit.wrapping_sub(b'0') & 0x3f))
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// One report to the client or the server log, in the server's own style.
#[derive(Debug, Clone)]
pub struct Report {
    pub code: PgSqlErrorCode,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

impl Report {
    pub fn new(code: PgSqlErrorCode, message: impl Into<String>) -> Report {
        Report { code, message: message.into(), detail: None, hint: None }
    }

    pub fn detail(mut self, detail: impl Into<String>) -> Report {
        self.detail = Some(detail.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Report {
        self.hint = Some(hint.into());
        self
    }

    fn emit(self, level: PgLogLevel) {
        let mut report = ErrorReport::new(self.code, self.message, "pgseal");
        if let Some(detail) = self.detail {
            report = report.set_detail(detail);
        }
        if let Some(hint) = self.hint {
            report = report.set_hint(hint);
        }
        report.report(level);
    }

    /// Ends the statement with this ERROR.
    pub fn raise(self) -> ! {
        self.emit(PgLogLevel::ERROR);
        unreachable!("an ERROR does not return")
    }

    /// Ends this process with this FATAL: the server, in its first process. Nothing on the stack is dropped.
    pub fn end_process(self) -> ! {
        self.emit(PgLogLevel::FATAL);
        unreachable!("a FATAL does not return")
    }

    /// Must not be called while a lock guard or a secret is alive on the stack: a pending cancel
    /// may turn the report into a jump.
    pub fn warn(self) {
        self.emit(PgLogLevel::WARNING);
    }

    /// A WARNING with an SQLSTATE of pgseal's own, which pgrx's list of codes cannot hold. As for
    /// [`Report::warn`].
    pub fn warn_as(self, state: SqlState) {
        let text = |text: String| CString::new(text.replace('\0', "")).unwrap_or_default();
        let message = text(self.message);
        let detail = self.detail.map(text);
        let hint = self.hint.map(text);
        let pointer = |text: &Option<CString>| text.as_deref().map_or(std::ptr::null(), CStr::as_ptr).cast_mut();
        let mut data = pg_sys::ErrorData {
            elevel: PgLogLevel::WARNING as i32,
            sqlerrcode: state.packed(),
            message: message.as_ptr().cast_mut(),
            detail: pointer(&detail),
            hint: pointer(&hint),
            ..Default::default()
        };
        // SAFETY: the server copies the texts, which live until it returns, and writes to none of them; a
        // NULL is a part that the report does not have.
        unsafe { pg_sys::ThrowErrorData(&mut data) }
    }

    pub fn notice(self) {
        self.emit(PgLogLevel::NOTICE);
    }

    /// Server log only.
    pub fn log(self) {
        self.emit(PgLogLevel::LOG);
    }
}

/// What an ERROR that was caught says.
pub(super) fn message_of(error: &CaughtError) -> &str {
    match error {
        CaughtError::PostgresError(report)
        | CaughtError::ErrorReport(report)
        | CaughtError::RustPanic { ereport: report, .. } => report.message(),
    }
}

/// Unwraps a result or ends the statement with its error.
pub trait OrRaise<T> {
    fn or_raise(self) -> T;
}

impl<T, E: Into<Report>> OrRaise<T> for Result<T, E> {
    fn or_raise(self) -> T {
        match self {
            Ok(value) => value,
            Err(error) => error.into().raise(),
        }
    }
}
