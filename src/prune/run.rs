//! One run: verified, recorded, and what it allows to delete.

use super::error::PruneError;
use super::plan::{self, Plan};
use super::{anchors, partitions, rows};
use crate::pg::error::Report;
use crate::pg::lock::{self, ChainLock};
use crate::pg::{clock, relation, server, spi};
use crate::record::cut::{self, Span};
use crate::record::journal::{self, Act, Note};
use crate::record::registry::{self, Registration};
use crate::record::runs::{self, How};
use crate::record::tables::Table;
use crate::verify::acknowledge;
use crate::verify::answer::Question;
use crate::verify::locate::RowKey;
use crate::verify::run::Outcome;
use pgseal_chain::{Finding, Verdict};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many findings a record lists; it counts all.
const MAX_RECORDED: usize = 1_000;

/// Why nothing was pruned though it may go.
pub const IN_USE: &str = "its partitions are in use for too long; the next run tries again";

/// One history after its run.
pub struct Recorded {
    /// The run's number; `None`: it was only tried out.
    pub run: Option<i64>,
    /// Name of the table.
    pub history: String,
    pub verdict: Verdict,
    pub entries: u64,
    pub findings: u64,
    /// Those that nobody has acknowledged.
    pub findings_new: u64,
    /// µs since 2000-01-01 UTC.
    pub window_start: Option<i64>,
    /// What may be deleted now, or why nothing is.
    pub plan: Result<Plan, String>,
}

/// Verifies what is asked and records it, one run for each history, unless `dry`. Raises where a
/// history is in another run.
pub fn verify(asked: Option<u32>, how: How, dry: bool) -> Vec<Recorded> {
    if server::in_recovery() {
        Report::from(PruneError::InRecovery).raise();
    }
    let root = asked.map(relation::root_of);
    let is_asked = |row: &&Registration| row.is_attached() && root.is_none_or(|root| row.relation == root);
    for history in registry::registrations().iter().filter(is_asked) {
        if !lock(history.relation) {
            Report::from(PruneError::Busy { table: relation::name_of(history.relation) }).raise();
        }
    }
    let started = clock::now();
    let question = Question { tenant: None, history: asked, witness: None };
    let outcomes = question.outcomes();
    outcomes.iter().map(|outcome| judge(&question, outcome, how, started, dry)).collect()
}

/// Makes this transaction the only one that verifies and prunes the history.
fn lock(relation: u32) -> bool {
    let Some(catalog) = Table::Run.oid() else { return true };
    lock::acquire(ChainLock { catalog, relation, number: 0 }, false)
}

fn judge(question: &Question<'_>, outcome: &Outcome, how: How, started: i64, dry: bool) -> Recorded {
    let verdict = question.verdict(outcome);
    let recorded = Recorded {
        run: None,
        history: outcome.table.clone(),
        verdict,
        entries: outcome.nodes.values().map(|node| node.entries).sum(),
        findings: outcome.findings.total,
        findings_new: outcome.findings.total - acknowledge::count(outcome),
        window_start: outcome.window_start,
        plan: plan::of(outcome, verdict),
    };
    let run = (!dry).then(|| record(outcome, &recorded, how, started));
    Recorded { run, ..recorded }
}

fn record(outcome: &Outcome, recorded: &Recorded, how: How, started: i64) -> i64 {
    let time = |micros: i64| clock::text(micros);
    let who = spi::value(spi::execute("SELECT pg_catalog.session_user()"));
    let found: Vec<Value> = outcome.findings.list.iter().take(MAX_RECORDED).map(finding).collect();
    let record = json!({
        "history": outcome.table,
        "started": time(started),
        "finished": time(clock::now()),
        "how": how.as_str(),
        "who": who,
        "verdict": recorded.verdict.as_str(),
        "entries": recorded.entries,
        "findings": recorded.findings,
        "findings_new": recorded.findings_new,
        "findings_before_window": outcome.findings.before_window,
        "window_months": outcome.subject.as_ref().and_then(|subject| subject.window_months),
        "window_start": outcome.window_start.map(time),
        "found": found,
        "keys": outcome.subject.as_ref().map(|subject| subject.keys.clone()).unwrap_or_default(),
        "basis": outcome.basis,
        "host": server::host_name(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    let history = outcome.subject.as_ref().map(|subject| subject.history);
    runs::record(history, &outcome.table, &record, how, recorded.verdict.as_str())
}

fn finding(finding: &Finding<RowKey>) -> Value {
    let key = finding.key.as_ref().map(|key| serde_json::from_str(&key.json).unwrap_or(Value::Null));
    json!({
        "chain": finding.chain,
        "position": finding.position,
        "last_position": finding.last_position,
        "kind": finding.kind.as_str(),
        "in_window": !finding.before_window,
        "row_key": key,
        "expected": finding.expected,
        "found": finding.found,
        "detail": finding.detail,
    })
}

/// Deletes up to about `limit` entries and journals the cuts; says what went. `None`: what should go is
/// in use.
pub fn prune(run: i64, plan: &mut Plan, limit: u64) -> Option<BTreeMap<String, Span>> {
    let removed = match plan.partitions.is_empty() {
        true => rows::remove(plan, limit),
        false => partitions::remove(plan)?,
    };
    if !removed.is_empty() {
        let table = relation::name_of(plan.relation);
        let entries: u64 = removed.values().map(Span::entries).sum();
        journal::note(Note {
            act: Act::Cut,
            history: Some(plan.history),
            sentence: format!(
                "run {run} pruned {entries} entries of {table} from before {}",
                clock::text(plan.window_start)
            ),
            details: json!({"run": run, "chains": cut::to_json(&removed)}),
            table: Some(table),
        });
    }
    Some(removed)
}

/// Deletes the anchors that no history needs any more, if every history of this database has a window
/// and these runs found nothing in the anchors; says how many.
pub fn prune_anchors(runs: &[Recorded]) -> u64 {
    let attached = registry::registrations().into_iter().filter(Registration::is_attached).count();
    let starts: Vec<i64> = runs.iter().filter(|run| run.findings == 0).filter_map(|run| run.window_start).collect();
    match (runs.iter().filter_map(|run| run.run).max(), starts.iter().min()) {
        (Some(run), Some(start)) if starts.len() == attached && runs.len() == attached => anchors::remove(run, *start),
        _ => 0,
    }
}
