//! What a run does, as long as nothing prunes: it verifies and records the verdict.

use crate::pg::error::Report;
use crate::pg::{clock, spi, user};
use crate::record::identity::uuid_text;
use crate::record::registry;
use crate::verify::answer::Question;
use pgrx::PgSqlErrorCode;
use pgseal_chain::HistoryId;

/// Verifies a history and records that; returns the number of the run. Call in a transaction.
pub fn verify_and_record(history: HistoryId) -> i64 {
    let started = clock::now();
    let Some(row) = registry::registrations().into_iter().find(|row| row.history == history) else {
        Report::new(PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT, "its row was removed from seal.history").raise()
    };
    let question = Question { tenant: None, history: Some(row.relation), witness: None };
    let lines = question.lines();
    let entries: u64 = lines.iter().map(|line| line.count.entries).sum();
    let first = &lines[0];
    let inserted = user::with_rights_of(user::extension_owner(), || {
        spi::execute(&format!(
            "INSERT INTO seal.run (id, history_id, history, started, finished, how, who, verdict, entries, findings,
                                   findings_new, findings_before_window, basis)
             SELECT COALESCE(pg_catalog.max(id), 0) + 1, '{}', {}, {}, pg_catalog.clock_timestamp(), 'schedule',
                    pg_catalog.session_user(), {}, {entries}, {}, {}, {}, {}
               FROM seal.run
             RETURNING id",
            uuid_text(&history.0),
            first.history.as_deref().map_or("NULL".to_owned(), spi::literal),
            spi::time_literal(started),
            spi::literal(first.verdict.as_str()),
            first.findings,
            first.findings_new,
            first.findings_before_window,
            spi::literal(&first.basis),
        ))
    });
    spi::value(inserted).and_then(|id| id.parse().ok()).unwrap_or_default()
}

/// Prunes a part of what may go; whether nothing is left to do. Call in a transaction of its own.
pub fn batch(_history: HistoryId, _run: i64) -> bool {
    true
}
