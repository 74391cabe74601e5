//! One verification of one history, from locks to findings.
//!
//! Order matters: the table and its leaves are locked (ACCESS SHARE), then the heads are read, and
//! only then one snapshot is taken for all queries. What a head says was committed before the
//! snapshot, so it must be in it; what the snapshot has beyond the head is newer.

use super::basis;
use super::internal::{Anchors, Internal, Memory};
use super::locate::RowKey;
use super::outcome::{self, Outcome, Subject};
use super::pass;
use super::progress::{self, Phase};
use super::reading::{Read, Reading, RunGuard};
use super::{configuration, lag, witness};
use crate::pg::relation;
use crate::pg::snapshot::Sees;
use crate::pg::{server, snapshot, spi, user};
use crate::record::columns::{self, SealPlaces};
use crate::record::definition::{self, Attachment, Definition};
use crate::record::identity::in_anchors;
use crate::record::registry::{self, Registration};
use crate::record::{anchor, journal, nodes};
use crate::seal::heads::{self, Remembered};
use pgseal_chain::{Finding, Findings, HistoryId, Kind, WitnessLine};

/// How much of a history is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Whatever the question needs: the whole history, or for a tenant what a checkpoint leaves to read.
    Needed,
    /// The whole history.
    All,
    /// The whole history, with what a checkpoint is made of.
    Census,
    /// What was sealed since the newest checkpoint; the whole history if there is none.
    Since,
}

/// What is asked about a history.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// Limits what is counted and which findings concern the asker.
    pub tenant: Option<&'a str>,
    /// What somebody outside the server saw.
    pub witness: Option<&'a WitnessLine>,
    pub scope: Scope,
}

impl Ask<'_> {
    /// Whether a checkpoint can answer it.
    pub fn may_rest(&self) -> bool {
        match self.scope {
            Scope::Needed => self.tenant.is_some(),
            Scope::All | Scope::Census => false,
            Scope::Since => true,
        }
    }
}

/// What is known of a history from outside its table, before the snapshot is taken.
struct Outside {
    remembered: Vec<Remembered>,
    memory: Memory,
}

/// Verifies a history. `None` if it was detached, or forgotten, while we waited for its table.
pub fn verify(registration: &Registration, ask: Ask<'_>) -> Option<Outcome> {
    let _shown = progress::begin(registration.relation, Phase::Locking);
    user::with_rights_of(user::extension_owner(), || {
        let table_is_there = relation::lock_with_descendants(registration.relation);
        let table = relation::name_of(registration.relation);
        // An ALTER TABLE or a detach may have been committed since the row was read.
        let registration = registry::registrations().into_iter().find(|row| row.history == registration.history)?;
        if definition::attachment(&registration) == Attachment::Detached {
            return None;
        }
        if !table_is_there {
            let sentence = format!("the table of this history (oid {}) is gone", registration.relation);
            return Some(outcome::only(Finding::new(Kind::ConfigurationAltered, sentence), table));
        }
        for internal in [journal::table(), anchor::table()].into_iter().flatten() {
            relation::lock_with_descendants(internal);
        }
        progress::enter(Phase::Records, 0);
        let in_recovery = server::in_recovery();
        let outside = Outside {
            remembered: if in_recovery { Vec::new() } else { heads::of_history(registration.history) },
            memory: Memory::read(in_recovery),
        };
        snapshot::with_fresh(|| verify_locked(registration.history, table, ask, &outside))
    })
}

/// What the answer says of a line that is too old.
const WITNESS_IS_PRUNED: &str = "; the anchor of the witness was pruned: compare with a newer line";

fn verify_locked(history: HistoryId, table: String, ask: Ask<'_>, outside: &Outside) -> Option<Outcome> {
    let registration = registry::registrations_as(Sees::Snapshot).into_iter().find(|row| row.history == history)?;
    let may_rest = ask.may_rest().then(|| examine(&registration, &table, ask, outside, Anchors::SinceCheckpoint));
    may_rest.flatten().or_else(|| examine(&registration, &table, ask, outside, Anchors::All))
}

/// `None` if not all anchors were checked, and the answer needs them.
fn examine(
    registration: &Registration,
    table: &str,
    ask: Ask<'_>,
    outside: &Outside,
    anchors: Anchors,
) -> Option<Outcome> {
    let history = registration.history;
    let mut definition = Definition::load_as(registration.clone(), Sees::Snapshot);
    // Without any key nothing of it can be judged.
    let has_key = definition.key_fault.is_none() || definition.epochs.iter().any(|epoch| epoch.keys.is_some());
    let internal = match has_key {
        true => Internal::check(&outside.memory, Some(history), anchors),
        false => Internal::default(),
    };
    let own_cuts = internal.histories.get(&history).map(|own| own.cuts.clone()).unwrap_or_default();
    let pruned_elsewhere = nodes::cuts(registration, &own_cuts, Sees::Snapshot);
    let journaled = internal.histories.get(&history).cloned().map(|mut journaled| {
        journaled.cuts.extend(pruned_elsewhere.clone());
        journaled
    });
    let journaled = journaled.as_ref();
    if has_key && definition.alterations.is_empty() {
        definition.compare(journaled);
    }
    let attributes = relation::attributes_of(registration.relation);
    let places = columns::signable(&attributes);
    // A window that was changed outside pgseal is not followed.
    let window_months = registration.window_months.filter(|_| definition.alterations.is_empty());
    let reading = Reading {
        history,
        tenant_column: pass::tenant_column_name(&definition),
        relation: registration.relation,
        key_columns: key_columns(registration.relation),
        cuts: journaled.map(|journaled| journaled.cuts.clone()).unwrap_or_default(),
        window_start: window_months.map(window_start),
        // Without all seal columns the passes cannot be asked for.
        complete: SealPlaces::find(&attributes).is_some(),
        table: table.to_owned(),
        places,
        ask,
        internal: &internal,
        remembered: &outside.remembered,
        definition: &definition,
    };
    let mut findings: Findings<RowKey> =
        configuration::check(&definition, &reading.places, journaled.map(|journaled| &journaled.definition))
            .into_iter()
            .collect();
    findings.append(internal.findings.iter().cloned().collect());
    findings.append(internal.regressions(&in_anchors(history)).collect());
    let checkpoint = internal.checkpoint();
    let _run = RunGuard::begin();
    let had_checkpoint = checkpoint.is_some();
    let rested = checkpoint.filter(|_| findings.total == 0).and_then(|checkpoint| reading.since(checkpoint));
    if rested.is_none() && !internal.has_all_anchors() {
        return None;
    }
    let read = rested.unwrap_or_else(|| reading.whole());
    let Read { audited, known, rest, .. } = &read;
    findings.append(read.findings.iter().cloned().collect());
    if let (false, true) = (read.is_whole, reading.complete) {
        findings.append(reading.locate(known.clone()));
    }
    if let Some(fault) = definition.key_fault.as_ref().filter(|_| audited.is_none()) {
        findings.push(Finding::new(Kind::UnknownKey, format!("the records of this history cannot be judged: {fault}")));
    }
    if reading.complete {
        findings.append(internal.closings.dated_back(table, &read.heads).into_iter().collect());
    }
    findings.append(internal.closings.young_cuts(&own_cuts).into_iter().collect());
    if reading.complete {
        findings.append(reading.generated(read.condition.as_deref()));
    }
    let grounds = basis::Grounds { audited: audited.as_ref(), tails: &read.tails, rest: rest.as_ref(), had_checkpoint };
    let basis = basis::text(&grounds, ask, journaled)
        + &internal.closings.basis()
        + &lag::text(&internal.news(&in_anchors(history)), &read.heads, &reading.cuts)
        + if read.witness_is_pruned { WITNESS_IS_PRUNED } else { "" };
    let name = |chain: &Vec<u8>| String::from_utf8_lossy(chain).into_owned();
    Some(Outcome {
        nodes: outcome::count_nodes(audited.as_ref()),
        basis,
        heads: read.heads.iter().map(|(chain, head)| (name(chain), *head)).collect(),
        rested: rest.as_ref().filter(|_| ask.tenant.is_none()).map_or(0, |rest| rest.checkpoint.entries()),
        draft: if findings.total == 0 { read.into_draft(history, &internal, pruned_elsewhere.clone()) } else { None },
        findings,
        acknowledged: journaled.map(|journaled| journaled.acknowledged.clone()).unwrap_or_default(),
        window_start: reading.window_start,
        has_tenant_column: reading.tenant_column.is_some(),
        readable: true,
        key_fault: definition.key_fault.clone(),
        subject: Some(Subject {
            history,
            relation: registration.relation,
            window_months,
            tenant_column: reading.tenant_column,
            keys: definition.key_ids(),
            journaled: journaled.cloned(),
            pruned_elsewhere,
        }),
        table: reading.table,
    })
}

/// Journal, anchors and witness where no history is left under which they would be judged; `None` if
/// nothing is wrong with them.
pub fn verify_internal(witness: Option<&WitnessLine>) -> Option<Outcome> {
    if crate::key::current().is_err() {
        return None;
    }
    user::with_rights_of(user::extension_owner(), || {
        for internal in [journal::table(), anchor::table()].into_iter().flatten() {
            relation::lock_with_descendants(internal);
        }
        let memory = Memory::read(server::in_recovery());
        snapshot::with_fresh(|| {
            let internal = Internal::check(&memory, None, Anchors::All);
            let seen = witness.map(|line| witness::of_history(line, anchor::JOURNAL));
            let names = internal.judge_names(None);
            let findings: Findings<RowKey> = internal
                .findings
                .into_iter()
                .chain(names)
                .chain(seen.into_iter().flat_map(|seen| seen.findings))
                .collect();
            (!findings.is_empty()).then(|| Outcome {
                findings,
                ..outcome::only(Finding::new(Kind::ConfigurationAltered, ""), "seal.journal".to_owned())
            })
        })
    })
}

/// The start of a window of so many months, in µs since 2000-01-01 UTC.
pub fn window_start(months: i32) -> i64 {
    spi::value(spi::read(&format!(
        "SELECT (pg_catalog.date_part('epoch', pg_catalog.now() - pg_catalog.make_interval(months => {months})) - 946684800)::pg_catalog.int8"
    )))
    .and_then(|seconds| seconds.parse::<i64>().ok())
    .map_or(i64::MIN, |seconds| seconds * 1_000_000)
}

/// The primary key's columns, by which people name a row.
fn key_columns(relation: u32) -> Vec<String> {
    spi::column(spi::read(&format!(
        "SELECT a.attname FROM pg_catalog.pg_index i
           CROSS JOIN pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k (attnum, place)
           JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
          WHERE i.indrelid = {relation} AND i.indisprimary
          ORDER BY k.place"
    )))
}
