//! Errors as a DBA reads them: SQLSTATE, what happened, DETAIL, HINT with the command to run.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

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

    /// Must not be called while a lock guard or a secret is alive on the stack: a pending cancel
    /// may turn the report into a jump.
    pub fn warn(self) {
        self.emit(PgLogLevel::WARNING);
    }

    pub fn notice(self) {
        self.emit(PgLogLevel::NOTICE);
    }

    /// Server log only.
    pub fn log(self) {
        self.emit(PgLogLevel::LOG);
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
