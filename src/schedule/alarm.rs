//! What the scheduler has to tell: a run that was missed or failed.

use crate::pg::error::Report;
use crate::pg::spi;
use pgrx::PgSqlErrorCode;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmKind {
    /// The time of a run passed while nothing could run.
    Missed,
    /// A run ended with an ERROR, or could not be begun.
    Failed,
}

/// Raises an alarm about a history's run. Call in a transaction.
pub fn raise(kind: AlarmKind, history: Option<&str>, sentence: &str) {
    log(kind, history, sentence);
}

/// The same where nothing but the server's log is at hand.
pub fn log(kind: AlarmKind, history: Option<&str>, sentence: &str) {
    let report = Report::new(
        match kind {
            AlarmKind::Missed => PgSqlErrorCode::ERRCODE_WARNING,
            AlarmKind::Failed => PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
        },
        sentence,
    );
    let question = history.map(|history| format!("history => {}", spi::literal(history))).unwrap_or_default();
    report.hint(format!("To verify it now: SELECT * FROM seal.verify_history({question}).")).log();
}
