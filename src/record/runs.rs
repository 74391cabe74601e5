//! Recorded runs: what each scheduled or asked-for verification came to. The journal has the digest
//! of each record.

use super::identity::{self, uuid_text};
use super::journal::{self, Act, Note};
use super::overall::Overall;
use super::tables::{self, Table};
use crate::pg::snapshot::Sees;
use crate::pg::value::{ColumnType, TypeOid};
use crate::pg::{scan, spi, user};
use pgseal_chain::HistoryId;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Who asked for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Manual,
    Schedule,
    /// By a check since the checkpoint that found something.
    Check,
}

impl How {
    pub fn as_str(self) -> &'static str {
        match self {
            How::Manual => "manual",
            How::Schedule => "schedule",
            How::Check => "check",
        }
    }
}

/// One row of `seal.run`.
#[derive(Debug, Clone)]
pub struct Run {
    pub id: i64,
    /// As `jsonb::text` prints it.
    pub record: String,
}

impl Run {
    pub fn digest(&self) -> String {
        identity::digest(&self.record)
    }
}

/// All rows, by number.
pub fn stored(sees: Sees) -> Vec<Run> {
    let mut found = Vec::new();
    if let Some(open) = Table::Run.open() {
        let jsonb = ColumnType::new(TypeOid::JSONB);
        scan::visit_as(&open, sees, |row| {
            found.push(Run {
                id: row.get(0).map_or(0, |value| value.as_i64()),
                record: tables::jsonb_text(row, 1, &jsonb),
            });
        });
    }
    found.sort_by_key(|run| run.id);
    found
}

/// Stores a record and journals its digest; returns the run's number. `started` in µs since 2000-01-01 UTC.
pub fn record(history: Option<HistoryId>, table: &str, record: &Value, how: How, verdict: &str, started: i64) -> i64 {
    let mut run = Run { id: 0, record: spi::jsonb_text(record) };
    user::with_rights_of(user::extension_owner(), || {
        let id = spi::value(spi::execute("SELECT pg_catalog.nextval('seal.run_id')"));
        run.id = id.and_then(|id| id.parse().ok()).unwrap_or(0);
        spi::execute(&format!(
            "INSERT INTO seal.run (id, record) VALUES ({}, {}::pg_catalog.jsonb)",
            run.id,
            spi::literal(&run.record)
        ));
    });
    journal::note(Note {
        act: Act::Verify,
        history,
        table: Some(table.to_owned()),
        sentence: format!("run {} of {table} ({}): {verdict}", run.id, how.as_str()),
        details: json!({
            "run": run.id,
            "how": how.as_str(),
            "verdict": verdict,
            "started": started,
            "digest": run.digest(),
        }),
    });
    run.id
}

/// How many findings the newest recorded run of a history has, and the fingerprints of those that it lists.
pub fn newest_found(history: HistoryId) -> Option<(u64, BTreeSet<String>)> {
    let id = json!(uuid_text(&history.0));
    let runs = stored(Sees::Stored).into_iter().rev();
    let mut records = runs.filter_map(|run| serde_json::from_str::<Value>(&run.record).ok());
    let record = records.find(|record| record["history_id"] == id)?;
    let listed = record["found"].as_array().into_iter().flatten();
    let fingerprints = listed.filter_map(|finding| finding["fingerprint"].as_str().map(str::to_owned));
    Some((record["findings"].as_u64().unwrap_or(0), fingerprints.collect()))
}

/// Sentences on runs that are not as they were recorded.
pub fn differences(overall: &Overall, sees: Sees) -> Vec<String> {
    if overall.runs.is_empty() && Table::Run.oid().is_none() {
        return Vec::new();
    }
    let stored = stored(sees);
    let mut found = Vec::new();
    for (id, digest) in &overall.runs {
        let mut of_id = stored.iter().filter(|run| run.id == *id).peekable();
        if of_id.peek().is_none() {
            found.push(format!("the record of run {id} was removed from seal.run"));
        } else if of_id.any(|run| run.digest() != *digest) {
            found.push(format!("the record of run {id} in seal.run is not the one in the journal"));
        }
    }
    let unknown = stored.iter().filter(|run| !overall.runs.contains_key(&run.id));
    found.extend(unknown.map(|run| format!("the record of run {} in seal.run is not in the journal", run.id)));
    found
}
