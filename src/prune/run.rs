//! One run: verified, recorded, and what it allows to delete.

use super::error::PruneError;
use super::plan::{self, Kept, Plan};
use super::{alarm, anchors, partitions, rows};
use crate::alert::{self, message::one_line};
use crate::key::KeyFault;
use crate::pg::error::Report;
use crate::pg::{clock, relation, server, spi};
use crate::record::checkpoint::{self, Draft};
use crate::record::cut::{self, Span};
use crate::record::identity::uuid_text;
use crate::record::journal::{self, Act, Note};
use crate::record::registry::{self, Registration};
use crate::record::runs::{self, How};
use crate::schedule::exclusive;
use crate::verify::acknowledge;
use crate::verify::answer::Question;
use crate::verify::locate::RowKey;
use crate::verify::outcome::Outcome;
use crate::verify::progress::{self, Phase};
use crate::verify::recorded;
use crate::verify::run::Scope;
use pgrx::PgSqlErrorCode;
use pgseal_chain::{Finding, HistoryId, Kind, Verdict};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How many entries go in one of several transactions.
const PART: u64 = 100_000;

/// How many findings a record lists; it counts all.
const MAX_RECORDED: usize = 1_000;

/// Why nothing was pruned though it might have gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// Its partitions.
    InUse,
    /// Its settings, its holds, or how far it is pruned.
    Changed,
}

impl Obstacle {
    pub fn as_str(self) -> &'static str {
        match self {
            Obstacle::InUse => "its partitions are in use for too long; the next run tries again",
            Obstacle::Changed => "its settings were changed meanwhile; the next run follows them",
        }
    }
}

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
    pub plan: Result<Plan, Kept>,
    /// What a checkpoint is made of when everything that may go is gone.
    draft: Option<(Draft, HistoryId)>,
}

/// Verifies what is asked and records it, one run for each history, unless `dry`. Raises where a
/// history is in another run.
pub fn verify(asked: Option<u32>, dry: bool) -> Vec<Recorded> {
    if server::in_recovery() {
        Report::from(PruneError::InRecovery).raise();
    }
    let root = asked.map(relation::root_of);
    let is_asked = |row: &&Registration| row.is_attached() && root.is_none_or(|root| row.relation == root);
    for history in registry::registrations().iter().filter(is_asked) {
        exclusive::hold_until_transaction_end(history.relation);
    }
    let started = clock::now();
    let scope = if dry { Scope::Needed } else { Scope::Census };
    let question = Question { tenant: None, history: asked, witness: None, scope };
    let outcomes = question.outcomes();
    let asked = Asked { how: How::Manual, history: None, started, dry };
    outcomes.into_iter().map(|outcome| judge(&question, outcome, asked)).collect()
}

/// Verifies a history because its schedule says so, and records that. Nobody else runs it.
pub fn verify_scheduled(history: HistoryId) -> Recorded {
    let started = clock::now();
    let question = about(history, Scope::Census);
    let Some(outcome) = question.outcomes().into_iter().next() else {
        Report::new(PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT, "it was detached meanwhile").raise()
    };
    judge(&question, outcome, Asked { how: How::Schedule, history: Some(history), started, dry: false })
}

/// Verifies what was sealed in a history since its newest checkpoint. Records that only if it found something
/// that the newest recorded run has not found.
pub fn verify_since(history: HistoryId) {
    let started = clock::now();
    let question = about(history, Scope::Since);
    let Some(outcome) = question.outcomes().into_iter().next() else { return };
    if outcome.findings.total > 0 && finds_more(&outcome, runs::newest_found(history)) {
        judge(&question, outcome, Asked { how: How::Check, history: Some(history), started, dry: false });
    }
}

/// Whether anything is found that is not among these findings: so many, and the fingerprints of those that were listed.
fn finds_more(outcome: &Outcome, before: Option<(u64, BTreeSet<String>)>) -> bool {
    let Some((total, known)) = before else { return true };
    let mut listed = outcome.findings.list.iter().take(MAX_RECORDED);
    outcome.findings.total > total || listed.any(|finding| !known.contains(&acknowledge::fingerprint(finding)))
}

fn about(history: HistoryId, scope: Scope) -> Question<'static> {
    let Some(row) = registry::registrations().into_iter().find(|row| row.history == history) else {
        Report::new(PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT, "its row was removed from seal.history").raise()
    };
    Question { tenant: None, history: Some(row.relation), witness: None, scope }
}

/// How a run came about.
#[derive(Clone, Copy)]
struct Asked {
    how: How,
    /// The history that was asked for, whether it could be read or not.
    history: Option<HistoryId>,
    /// µs since 2000-01-01 UTC.
    started: i64,
    dry: bool,
}

fn judge(question: &Question<'_>, mut outcome: Outcome, asked: Asked) -> Recorded {
    let draft = outcome.draft.take();
    let outcome = &outcome;
    let verdict = question.verdict(outcome);
    let draft = draft.filter(|_| verdict == Verdict::Intact);
    let recorded = Recorded {
        run: None,
        history: outcome.table.clone(),
        verdict,
        entries: outcome.nodes.values().map(|node| node.entries).sum(),
        findings: outcome.findings.total,
        findings_new: outcome.findings.total - acknowledge::count(outcome),
        window_start: outcome.window_start,
        plan: plan::of(outcome, verdict),
        draft: draft.zip(outcome.subject.as_ref().map(|subject| subject.history)),
    };
    if asked.dry {
        return recorded;
    }
    if let Some(error) = other_key(outcome) {
        Report::from(error).raise();
    }
    let recorded = Recorded { run: Some(record(outcome, &recorded, asked)), ..recorded };
    if let Some(alarm) = alarm::of(outcome, &recorded, asked.how) {
        alert::raise(&alarm);
    }
    if let Err(kept) = recorded.plan.as_ref().map_err(|kept| kept.is_trouble.then_some(&kept.sentence)) {
        kept.into_iter().for_each(|sentence| nothing_pruned(&recorded.history, sentence));
    }
    recorded
}

fn nothing_pruned(history: &str, sentence: &str) {
    Report::new(PgSqlErrorCode::ERRCODE_WARNING, format!("nothing of history \"{history}\" is pruned"))
        .detail(format!("Reason: {sentence}."))
        .hint("See docs/operations.md, \"Nothing is pruned\".")
        .warn();
}

/// Why no run may be recorded: under a key that is not the history's, its record would be a forgery to the right one.
fn other_key(outcome: &Outcome) -> Option<PruneError> {
    let unjudged = outcome.findings.list.iter().find(|finding| finding.kind == Kind::UnknownKey);
    let unjudged = unjudged.filter(|_| outcome.subject.is_none()).map(|finding| finding.detail.clone());
    let fault = outcome.key_fault.as_ref().map(KeyFault::to_string).or(unjudged)?;
    let remedy = outcome.key_fault.as_ref().map(KeyFault::remedy);
    Some(PruneError::AnotherKey { table: outcome.table.clone(), fault, remedy })
}

fn record(outcome: &Outcome, recorded: &Recorded, asked: Asked) -> i64 {
    let who = spi::value(spi::execute("SELECT pg_catalog.session_user()"));
    let history = asked.history.or(outcome.subject.as_ref().map(|subject| subject.history));
    let record = json!({
        "history": outcome.table,
        "history_id": history.map(|history| uuid_text(&history.0)),
        "started": asked.started,
        "finished": clock::now(),
        "how": asked.how.as_str(),
        "who": who,
        "verdict": recorded.verdict.as_str(),
        "entries": recorded.entries,
        "findings": recorded.findings,
        "findings_new": recorded.findings_new,
        "findings_before_window": outcome.findings.before_window,
        "window_months": outcome.subject.as_ref().and_then(|subject| subject.window_months),
        "window_start": outcome.window_start,
        "found": found(outcome),
        "keys": outcome.subject.as_ref().map(|subject| subject.keys.clone()).unwrap_or_default(),
        "basis": outcome.basis,
        "not_pruned": recorded.plan.as_ref().err().map(|kept| &kept.sentence),
        "host": server::host_name(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    runs::record(history, &outcome.table, &record, asked.how, recorded.verdict.as_str(), asked.started)
}

/// The findings as they are recorded.
fn found(outcome: &Outcome) -> Vec<Value> {
    outcome.findings.list.iter().take(MAX_RECORDED).map(finding).collect()
}

fn finding(finding: &Finding<RowKey>) -> Value {
    let mut value = recorded::to_json(finding);
    value["fingerprint"] = json!(acknowledge::fingerprint(finding));
    value
}

/// Deletes a part of what the run allows to delete; whether nothing is left to do. For several transactions,
/// each with its cut.
pub fn prune_some(recorded: &mut Recorded) -> bool {
    let Some(run) = recorded.run else { return true };
    let is_over = match recorded.prune(PART) {
        Ok(removed) => removed.is_empty() || recorded.plan.as_ref().is_ok_and(Plan::is_done),
        Err(obstacle) => {
            let what = format!("run {run} of {} left entries that it might have pruned", one_line(&recorded.history));
            Report::new(PgSqlErrorCode::ERRCODE_OBJECT_IN_USE, what)
                .detail(format!("Reason: {}.", obstacle.as_str()))
                .log();
            true
        }
    };
    if is_over {
        recorded.leave_checkpoint();
        if recorded.findings == 0 && recorded.plan.is_ok() {
            anchors::remove_if_unneeded(run);
        }
    }
    is_over
}

impl Recorded {
    /// Deletes up to about `limit` entries and journals the cuts; says what went.
    pub fn prune(&mut self, limit: u64) -> Result<BTreeMap<String, Span>, Obstacle> {
        let (Some(run), Ok(plan)) = (self.run, &mut self.plan) else { return Ok(BTreeMap::new()) };
        prune(run, plan, self.draft.as_mut().map(|(draft, _)| draft), limit)
    }

    /// Stores what the run verified and did not prune. The last step of a run.
    pub fn leave_checkpoint(&mut self) {
        if let (Some(run), Some((draft, history))) = (self.run, self.draft.take()) {
            checkpoint::store(draft, history, &self.history, run);
        }
    }
}

fn prune(run: i64, plan: &mut Plan, draft: Option<&mut Draft>, limit: u64) -> Result<BTreeMap<String, Span>, Obstacle> {
    let _shown = progress::begin(plan.relation, Phase::Locking);
    // Whoever sets a hold or a window comes before this, and is heeded, or after it is committed.
    exclusive::keep_settings(plan.relation);
    // Likewise whoever detaches it, or takes a partition out of it.
    if !relation::lock_with_descendants(plan.relation) || !plan.is_current() {
        return Err(Obstacle::Changed);
    }
    progress::enter(Phase::Pruning, plan.entries().min(limit));
    let removed = match plan.partitions.is_empty() {
        true => rows::remove(plan, draft, limit),
        false => partitions::remove(plan, draft).ok_or(Obstacle::InUse)?,
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
    Ok(removed)
}
