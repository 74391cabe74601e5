//! Finds out what a report says: verifies, then reads what the journal and the records of runs tell.

use super::facts::{Asked, Facts, Found, HistoryFacts, Made, Period, Server};
use super::former::{Continuity, Former};
use super::journal::{self as acts_of, Scope};
use super::life::Life;
use super::runs::{self, Run, Runs};
use crate::pg::output::PinnedOutput;
use crate::pg::snapshot::Sees;
use crate::pg::{clock, durability, relation, server, snapshot, spi, user};
use crate::record::journal::Entry;
use crate::record::journaled::{self, Journaled};
use crate::record::nodes::Nodes;
use crate::record::{anchor, columns, identity, journal, overall, witness};
use crate::verify::answer::{self, Question};
use crate::verify::outcome::{Outcome, Subject};
use crate::verify::run;
use crate::verify::{acknowledge, pass, status};
use pgseal_chain::{Finding, HistoryId, Kind, Verdict};
use std::collections::BTreeMap;

/// What somebody wants on a page.
pub struct Request<'a> {
    pub tenant: Option<&'a str>,
    /// Oid of a table or one of its leaves; `None`: all histories.
    pub history: Option<u32>,
    pub period: Period,
    pub previous: Option<&'a Former>,
}

/// The journal and the recorded runs, under one snapshot.
struct Records {
    acts: Vec<Entry>,
    histories: BTreeMap<HistoryId, Journaled>,
    runs: Vec<Run>,
}

pub fn gather(request: &Request<'_>) -> Facts {
    let begun = clock::now();
    // Before the verification, which then has seen everything that this anchor stands for.
    let anchor = user::with_rights_of(user::extension_owner(), newest_anchor);
    let former_anchor = request.previous.and_then(|former| former.anchor.as_ref());
    // What is filed for years rests on nothing that was verified before.
    let scope = run::Scope::All;
    let question = Question { tenant: request.tenant, history: request.history, witness: former_anchor, scope };
    let outcomes = question.outcomes();
    // What this page says was there must still be there after a crash.
    durability::flush();
    let records = user::with_rights_of(user::extension_owner(), || snapshot::with_fresh(Records::read));
    let mut histories: Vec<HistoryFacts> =
        outcomes.iter().map(|outcome| history(&question, outcome, &records, request.period)).collect();
    if histories.is_empty() {
        histories.push(nothing_attached());
    }
    let previous = request.previous.map(Former::continuity);
    let asked_histories = request.history.map(|_| with_earlier(&outcomes, &records.histories));
    let scope = Scope { histories: asked_histories, tenant: request.tenant, period: request.period };
    Facts {
        verdict: verdict(&histories, previous.as_ref()),
        histories,
        server: server(),
        asked: Asked {
            tenant: request.tenant.map(str::to_owned),
            history: request.history.map(|asked| relation::name_of(relation::root_of(asked))),
            period: request.period,
        },
        witness: witness_state(),
        anchor,
        changes: scope.changes(&records.acts),
        detached: if request.history.is_none() { acts_of::detached(&records.histories) } else { Vec::new() },
        not_covered: not_covered(previous.as_ref()),
        previous,
        made: made(begun),
    }
}

impl Records {
    fn read() -> Records {
        let acts = journal::acts(Sees::Snapshot);
        let runs = runs::recorded(&overall::of(&acts));
        Records { histories: journaled::histories(&acts), runs, acts }
    }
}

fn made(begun: i64) -> Made {
    let users = spi::execute("SELECT pg_catalog.session_user(), pg_catalog.current_user()").into_iter().next();
    let mut users = users.into_iter().flatten().flatten();
    let (by, role) = (users.next().unwrap_or_default(), users.next().unwrap_or_default());
    Made { at: begun, took: clock::now() - begun, by, role }
}

fn server() -> Server {
    let version = spi::value(spi::execute("SELECT pg_catalog.current_setting('server_version')")).unwrap_or_default();
    Server {
        system_identifier: server::system_identifier(),
        database: server::database_name(),
        host: server::host_name(),
        postgresql: version.split(' ').next().unwrap_or_default().to_owned(),
        standby: server::in_recovery(),
    }
}

fn witness_state() -> String {
    if server::in_recovery() {
        return "this server only replays: anchors leave the primary, if they do".into();
    }
    let state = status::witness();
    state.problem
}

/// The line of the newest anchor of any place.
fn newest_anchor() -> Option<String> {
    let mut newest: Option<anchor::Anchor> = None;
    let (nodes, _) = Nodes::known(Sees::Stored);
    for chain in anchor::chains(Sees::Stored).into_iter().filter(|chain| !nodes.is_strange(chain)) {
        anchor::visit(&chain, Sees::Stored, |anchor| {
            let authentic = anchor.is_authentic();
            if authentic && newest.as_ref().is_none_or(|newest| newest.at < anchor.at) {
                newest = Some(anchor);
            }
            !authentic
        });
    }
    witness::line(&newest?, server::database_name()).map(|line| line.to_string())
}

fn history(question: &Question<'_>, outcome: &Outcome, records: &Records, period: Period) -> HistoryFacts {
    let lines = question.node_lines(outcome);
    let id = outcome.subject.as_ref().map(|subject| subject.history);
    let runs = id.and_then(|id| Some(Runs::of(id, records.histories.get(&id)?, &records.runs, period)));
    let life = id.and_then(|id| Life::of(id, &records.acts, &records.histories, question.tenant, period));
    let first = lines.first();
    HistoryFacts {
        table: Some(outcome.table.clone()),
        id,
        verdict: question.verdict(outcome),
        in_period: outcome.subject.as_ref().and_then(|of| count_in(&outcome.table, of, question.tenant, period)),
        window_months: outcome.subject.as_ref().and_then(|subject| subject.window_months),
        window_start: outcome.window_start,
        heads: outcome.heads.clone(),
        findings: outcome.findings.total,
        findings_new: outcome.findings.total - acknowledge::count(outcome),
        findings_before_window: outcome.findings.before_window,
        found: found(outcome),
        basis: outcome.basis.clone(),
        next_step: first.map(|line| line.next_step.clone()).unwrap_or_default(),
        runs,
        unsigned_columns: outcome
            .subject
            .as_ref()
            .zip(life.as_ref())
            .map_or(Vec::new(), |(of, life)| unsigned_columns(of, life)),
        life,
        nodes: lines.into_iter().map(|line| (line.node, line.count)).collect(),
    }
}

/// The findings, those about rows of other tenants without their key.
fn found(outcome: &Outcome) -> Vec<Found> {
    let found = outcome.findings.list.iter().map(|finding| Found {
        acknowledged: outcome.acknowledged.get(&acknowledge::fingerprint(finding)).cloned(),
        finding: Finding { key: finding.key.clone().filter(|_| finding.of_tenant), ..finding.clone() },
    });
    found.collect()
}

/// How many entries say that they were sealed in a limited period, of the tenant asked for or of everybody.
fn count_in(table: &str, subject: &Subject, tenant: Option<&str>, period: Period) -> Option<u64> {
    if !period.is_limited() {
        return None;
    }
    let since = period.since.map(|since| format!("seal_at >= {}", spi::time_literal(since)));
    let until = period.until.map(|until| format!("seal_at < {}", spi::time_literal(until)));
    let of_tenant = match (tenant, &subject.tenant_column) {
        (Some(_), None) => return Some(0),
        (Some(tenant), Some(column)) => Some(pass::prints_as(column, tenant)),
        (None, _) => None,
    };
    let conditions: Vec<String> = [since, until, of_tenant].into_iter().flatten().collect();
    let query = format!("SELECT pg_catalog.count(*) FROM {table} WHERE {}", conditions.join(" AND "));
    let has_times = columns::SealPlaces::find(&relation::attributes_of(subject.relation)).is_some();
    let rows = has_times.then(|| {
        user::with_rights_of(user::extension_owner(), || {
            // As the tenant is written in what is signed.
            let _pinned = PinnedOutput::pin();
            snapshot::with_fresh(|| spi::read(&query))
        })
    });
    spi::value(rows?)?.parse().ok()
}

/// Generated columns, and those that came while nobody could see it.
fn unsigned_columns(subject: &Subject, life: &Life) -> Vec<String> {
    let attributes = relation::attributes_of(subject.relation);
    let generated = attributes.iter().filter(|column| column.generated).map(|column| column.name.clone());
    let others = columns::signable(&attributes).into_iter().map(|place| place.name);
    generated.chain(others.filter(|name| !life.signed_columns.contains(name))).collect()
}

fn verdict(histories: &[HistoryFacts], previous: Option<&Continuity>) -> Verdict {
    let lost = previous.filter(|previous| previous.contained == Some(false)).map(|_| Verdict::Tampered);
    histories.iter().map(|history| history.verdict).chain(lost).min().unwrap_or(Verdict::NothingSealed)
}

fn nothing_attached() -> HistoryFacts {
    let line = answer::nothing_attached();
    HistoryFacts {
        table: None,
        id: None,
        verdict: line.verdict,
        nodes: BTreeMap::from([(line.node, line.count)]),
        in_period: None,
        window_months: None,
        window_start: None,
        heads: BTreeMap::new(),
        findings: 0,
        findings_new: 0,
        findings_before_window: 0,
        found: Vec::new(),
        basis: line.basis,
        next_step: line.next_step,
        runs: None,
        life: None,
        unsigned_columns: Vec::new(),
    }
}

/// The histories that were verified, and what their tables were before.
fn with_earlier(outcomes: &[Outcome], histories: &BTreeMap<HistoryId, Journaled>) -> Vec<HistoryId> {
    let own = outcomes.iter().filter_map(|outcome| outcome.subject.as_ref()).map(|subject| subject.history);
    own.flat_map(|history| {
        let names = histories.get(&history).map(|journaled| journaled.earlier.as_slice()).unwrap_or_default();
        let earlier = histories.keys().filter(|id| names.contains(&identity::uuid_text(&id.0))).copied();
        earlier.chain([history]).collect::<Vec<_>>()
    })
    .collect()
}

fn not_covered(previous: Option<&Continuity>) -> Vec<String> {
    let mut sentences = vec![
        "whether what was inserted is true, complete and on time".to_owned(),
        "what somebody does who has the key, or who replaces pgseal itself".to_owned(),
        "the removal of entries younger than the newest anchor, once the server was restarted".to_owned(),
        "definitions and functions that were changed while the guard was switched off, and changed back".to_owned(),
    ];
    if previous.is_none_or(|previous| previous.contained.is_none()) {
        sentences.push(
            "an older state of the whole server that was put back: compare with a former report or a witness"
                .to_owned(),
        );
    }
    sentences
}

/// Whether the journal itself is among what was altered, so that what is told from it may not be all.
pub fn is_journal_altered(history: &HistoryFacts) -> bool {
    history.found.iter().any(|found| {
        let chain = found.finding.chain.as_deref().unwrap_or_default();
        chain.starts_with("journal ") || found.finding.kind == Kind::UnknownKey
    })
}
