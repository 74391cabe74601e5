//! The findings of a recorded run, as they were listed then.

use super::answer::FoundLine;
use super::locate::RowKey;
use crate::pg::error::Report;
use crate::pg::snapshot::Sees;
use crate::pg::user;
use crate::record::{overall, runs};
use pgrx::PgSqlErrorCode;
use pgseal_chain::{Finding, Kind};
use serde_json::{Value, json};

/// Raises where there is no such run, or its record is not as it was written.
pub fn findings(run: i64) -> Vec<FoundLine> {
    let (stored, overall) =
        user::with_rights_of(user::extension_owner(), || (runs::stored(Sees::Stored), overall::as_seen(Sees::Stored)));
    let Some(stored) = stored.into_iter().find(|stored| stored.id == run) else {
        Report::new(PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT, format!("there is no run {run}"))
            .hint("Recorded runs: SELECT run, history, finished, verdict FROM seal.verification.")
            .raise()
    };
    if overall.runs.get(&run) != Some(&stored.digest()) {
        Report::new(PgSqlErrorCode::ERRCODE_DATA_CORRUPTED, format!("the record of run {run} was changed"))
            .detail("It is not the one in the journal.")
            .hint("Run: SELECT * FROM seal.findings().")
            .raise();
    }
    let record: Value = serde_json::from_str(&stored.record).unwrap_or(Value::Null);
    let history = record["history"].as_str().unwrap_or_default();
    let found = record["found"].as_array().into_iter().flatten();
    found.filter_map(|value| Some(FoundLine { history: history.to_owned(), finding: finding(value)? })).collect()
}

/// A finding as records and reports have it.
pub fn to_json(finding: &Finding<RowKey>) -> Value {
    let key = finding.key.as_ref().map(|key| serde_json::from_str(&key.json).unwrap_or(Value::Null));
    json!({
        "kind": finding.kind.as_str(),
        "chain": finding.chain,
        "position": finding.position,
        "last_position": finding.last_position,
        "in_window": !finding.before_window,
        "row_key": key,
        "expected": finding.expected,
        "found": finding.found,
        "detail": finding.detail,
    })
}

fn finding(value: &Value) -> Option<Finding<RowKey>> {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let kind = Kind::ALL.iter().copied().find(|kind| value["kind"] == kind.as_str());
    let key = Some(&value["row_key"]).filter(|key| !key.is_null());
    Some(Finding {
        chain: text("chain"),
        position: value["position"].as_u64(),
        last_position: value["last_position"].as_u64(),
        before_window: value["in_window"] == false,
        key: key.map(|key| RowKey { json: key.to_string(), content: None }),
        expected: text("expected"),
        found: text("found"),
        ..Finding::new(kind?, text("detail")?)
    })
}
