//! What the scheduler has to tell: a run that was missed or failed.

use crate::alert::message::one_line;
use crate::alert::{self, Alarm, AlarmKind};
use crate::pg::error::Report;
use crate::pg::spi;
use pgrx::PgSqlErrorCode;
use serde_json::json;

/// Raises an alarm about a history's run. Call in a transaction.
pub fn raise(kind: AlarmKind, history: &str, sentence: &str) {
    alert::raise(&Alarm {
        kind,
        history: Some(history.to_owned()),
        run: None,
        verdict: None,
        findings: 0,
        findings_new: 0,
        sentence: sentence.to_owned(),
        report: format!("To verify it now: {}\n", one_line(&question(history))),
        details: json!({}),
        anchor_line: None,
    });
}

/// For what cannot be raised, for want of a database or of a transaction.
pub fn log(history: Option<&str>, sentence: &str) {
    let hint = match history {
        Some(history) => format!("To verify it now: {}", question(history)),
        None => "Run in that database: SELECT * FROM seal.check_setup() WHERE NOT ok.".to_owned(),
    };
    Report::new(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, sentence).hint(hint).log();
}

fn question(history: &str) -> String {
    format!("SELECT * FROM seal.verify_history(history => {});", spi::literal(history))
}
