//! One verification of one history, from locks to findings.
//!
//! Order matters: the table and its leaves are locked (ACCESS SHARE), then the heads are read, and
//! only then one snapshot is taken for all queries. What a head says was committed before the
//! snapshot, so it must be in it; what the snapshot has beyond the head is newer.

use super::audit::{self, Audited};
use super::basis::{self, Tails};
use super::ends;
use super::internal::{Anchors, Internal, Memory, elsewhere};
use super::locate::{self, RowKey};
use super::outcome::{self, Outcome, Subject};
use super::pass::{self, PassPlan};
use super::since::{self, Rest};
use super::{configuration, generated, witness};
use crate::pg::relation;
use crate::pg::shared_memory::{self, RunSlot};
use crate::pg::snapshot::Sees;
use crate::pg::{server, snapshot, spi, user};
use crate::record::checkpoint::{CensusId, Checkpoint, Draft};
use crate::record::columns::{self, Place, SealPlaces};
use crate::record::cut::Cut;
use crate::record::definition::{self, Attachment, Definition};
use crate::record::identity::in_anchors;
use crate::record::registry::{self, Registration};
use crate::record::{anchor, journal};
use crate::seal::heads::{self, Remembered};
use pgseal_chain::{Audit, Census, Finding, Findings, Head, HistoryId, Kind, Known, WitnessLine};
use std::collections::BTreeMap;
use std::rc::Rc;

/// How much of a history is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Whatever the question needs: the whole history, or for a tenant what a checkpoint leaves to read.
    Needed,
    /// The whole history, with what a checkpoint is made of.
    Whole,
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
            Scope::Whole => false,
            Scope::Since => true,
        }
    }
}

/// The run's secret in shared memory, for this backend and its workers; gone when dropped.
struct RunGuard;

impl RunGuard {
    fn begin() -> RunGuard {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).expect("the operating system gives random bytes");
        shared_memory::set_run_slot(RunSlot { secret, active: true });
        RunGuard
    }
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        shared_memory::set_run_slot(RunSlot { secret: [0; 16], active: false });
    }
}

/// What is known of a history from outside its table, before the snapshot is taken.
struct Outside {
    remembered: Vec<Remembered>,
    memory: Memory,
}

/// Verifies a history. `None` if it was detached, or forgotten, while we waited for its table.
pub fn verify(registration: &Registration, ask: Ask<'_>) -> Option<Outcome> {
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
    // Without the key nothing of it can be judged.
    let internal = match definition.key_fault {
        None => Internal::check(&outside.memory, Some(history), anchors),
        Some(_) => Internal::default(),
    };
    let journaled = internal.histories.get(&history);
    if definition.key_fault.is_none() && definition.alterations.is_empty() {
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
    let draft = read.draft(history, &internal).filter(|_| findings.total == 0);
    let Read { audited, known, rest, .. } = &read;
    findings.append(read.findings.iter().cloned().collect());
    if let (false, true) = (read.is_whole, reading.complete) {
        findings.append(reading.locate(known.clone()));
    }
    if let Some(fault) = definition.key_fault.as_ref().filter(|_| audited.is_none()) {
        findings.push(Finding::new(Kind::UnknownKey, format!("the records of this history cannot be judged: {fault}")));
    }
    if reading.complete {
        findings.append(reading.generated(read.condition.as_deref()));
    }
    let grounds = basis::Grounds { audited: audited.as_ref(), tails: &read.tails, rest: rest.as_ref(), had_checkpoint };
    Some(Outcome {
        nodes: outcome::count_nodes(audited.as_ref()),
        basis: basis::text(&grounds, ask, journaled) + if read.witness_is_pruned { WITNESS_IS_PRUNED } else { "" },
        draft: draft.filter(|_| findings.total == 0),
        findings,
        acknowledged: journaled.map(|journaled| journaled.acknowledged.clone()).unwrap_or_default(),
        window_start: reading.window_start,
        has_tenant_column: reading.tenant_column.is_some(),
        readable: true,
        key_fault: definition.key_fault.clone(),
        rested: rest.as_ref().filter(|_| ask.tenant.is_none()).map_or(0, |rest| rest.checkpoint.entries()),
        subject: Some(Subject {
            history,
            relation: registration.relation,
            window_months,
            tenant_column: reading.tenant_column,
            keys: definition.key_ids(),
            journaled: journaled.cloned(),
        }),
        table: reading.table,
    })
}

/// A history as it is read under the run's snapshot.
struct Reading<'a> {
    history: HistoryId,
    relation: u32,
    table: String,
    places: Vec<Place>,
    tenant_column: Option<String>,
    key_columns: Vec<String>,
    cuts: BTreeMap<String, Cut>,
    window_start: Option<i64>,
    complete: bool,
    ask: Ask<'a>,
    internal: &'a Internal,
    remembered: &'a [Remembered],
    definition: &'a Definition,
}

/// What one unordered pass came to.
struct Read {
    audited: Option<Audited>,
    /// What is wrong apart from single entries.
    findings: Vec<Finding<RowKey>>,
    /// Where chains had to begin and end.
    known: Known,
    tails: Tails,
    witness_is_pruned: bool,
    /// Whether all that was read are whole chains that end where they should.
    is_whole: bool,
    /// Which census its entries are counted for.
    census: Option<CensusId>,
    rest: Option<Rest>,
    /// Which rows were looked at, if not all.
    condition: Option<String>,
}

impl Read {
    /// What a checkpoint is made of, if there is nothing wrong.
    fn draft(&self, history: HistoryId, internal: &Internal) -> Option<Draft> {
        let id = self.census.clone().filter(|_| self.is_whole && self.findings.is_empty())?;
        let empty = || id.key(history).map(Census::new);
        let audited = self.audited.as_ref();
        let census = audited.and_then(|audited| audited.census.clone()).or_else(empty)?;
        let chains = audited.into_iter().flat_map(|audited| audited.sums.chains());
        let top = |chain: &[u8]| String::from_utf8(chain.to_vec()).ok();
        let tops = chains.map(|(chain, sum)| Some((top(chain)?, (sum.highest_position, sum.highest_mac))));
        Some(Draft {
            census,
            tops: tops.collect::<Option<_>>()?,
            anchors: internal.newest_anchors(),
            id,
            adds_up: true,
        })
    }
}

impl Reading<'_> {
    fn plan(&self) -> PassPlan {
        PassPlan {
            relation: self.relation,
            tenant: self.ask.tenant.map(str::to_owned),
            key_columns: self.key_columns.clone(),
            census: None,
            since: None,
        }
    }

    /// The whole history.
    fn whole(&self) -> Read {
        let census = (self.ask.scope == Scope::Whole).then(CensusId::draw).and_then(Result::ok);
        let plan = PassPlan { census: census.clone(), ..self.plan() };
        let audited = self.complete.then(|| audit(&plan, &self.table, &self.places, self.history)).flatten();
        let known = ends::known(self.remembered, &self.cuts, self.window_start, self.ask.tenant.is_some());
        let tops = tops(audited.as_ref());
        Read { census, ..self.judge(audited, known, &tops) }
    }

    /// What a checkpoint leaves to read; `None` if that does not answer the question, or anything is wrong.
    fn since(&self, checkpoint: Rc<Checkpoint>) -> Option<Read> {
        let usable = self.ask.may_rest() && self.complete;
        let rest = Rest::on(checkpoint, &self.cuts, self.ask.tenant).filter(|_| usable)?;
        let is_tenant_column = |place: &&Place| Some(&place.name) == self.tenant_column.as_ref();
        let since = rest.since(self.places.iter().find(is_tenant_column));
        let condition = since.condition.clone();
        let census = self.ask.tenant.map(|_| rest.checkpoint.id.clone());
        let plan = PassPlan { since: Some(since), census, ..self.plan() };
        let _path = since::by_index();
        let audited = audit(&plan, &self.table, &self.places, self.history).unwrap_or_else(Audited::nothing);
        let mut known = ends::known(self.remembered, &self.cuts, self.window_start, self.ask.tenant.is_some());
        known.cuts = rest.begins(&self.cuts);
        let reached = rest.checkpoint.chains.iter();
        let mut tops: BTreeMap<Vec<u8>, u64> =
            reached.map(|(chain, reached)| (chain.clone().into_bytes(), reached.position)).collect();
        tops.extend(self::tops(Some(&audited)));
        let read = self.judge(Some(audited), known, &tops);
        let fits = read.is_whole
            && read.findings.is_empty()
            && read.audited.as_ref().is_some_and(|audited| rest.holds(audited, self.history, &self.table));
        fits.then(|| Read { rest: Some(rest), condition: Some(condition).filter(|text| !text.is_empty()), ..read })
    }

    /// Compares what a pass saw with what is known from outside the table. `tops` are the highest positions.
    fn judge(&self, audited: Option<Audited>, mut known: Known, tops: &BTreeMap<Vec<u8>, u64>) -> Read {
        let name = in_anchors(self.history);
        let mut findings: Vec<Finding<RowKey>> = Vec::new();
        if audited.is_some() {
            let tops = tops.iter().map(|(chain, position)| (chain.as_slice(), *position));
            let brought = self.internal.brought_over(&name, tops);
            findings.extend(brought.into_iter().map(|(chain, first, last)| brought_over(chain, first, last)));
        }
        findings.extend(self.internal.judge_names(audited.as_ref().map(|audited| &audited.named)));
        let anchored = self.internal.anchored(&name);
        known.heads.extend(anchored.iter().map(|(chain, position, mac)| Head {
            chain: chain.clone().into_bytes(),
            position: *position,
            mac: Some(*mac),
        }));
        let mut witness_is_pruned = false;
        if let Some(line) = self.ask.witness {
            let seen = witness::of_history(line, &name);
            witness_is_pruned = seen.is_pruned;
            findings.extend(seen.findings);
            known.heads.extend(seen.heads);
        }
        // What was pruned was there.
        known.heads.retain(|head| {
            let cut = str::from_utf8(&head.chain).ok().and_then(|chain| self.cuts.get(chain));
            cut.is_none_or(|cut| head.position > cut.position)
        });
        let is_whole = match &audited {
            Some(audited) => ends::are_whole(audited, &known, &self.table),
            None => known.heads.is_empty(),
        };
        Read {
            tails: Tails::of(tops, &known, self.internal.newest()),
            audited,
            findings,
            known,
            witness_is_pruned,
            is_whole,
            census: None,
            rest: None,
            condition: None,
        }
    }

    /// Names what is wrong, entry by entry.
    fn locate(&self, known: Known) -> Findings<RowKey> {
        locate::prepare(known);
        spi::read(&self.plan().query("locate", &self.table, &self.places, true));
        let findings = locate::take_result();
        if self.definition.alterations.is_empty() || self.definition.key_fault.is_some() {
            return findings;
        }
        // Entries of an epoch whose record was changed prove nothing; the changed record is the finding.
        findings.list.into_iter().filter(|finding| finding.kind != Kind::UnknownKey).collect()
    }

    fn generated(&self, condition: Option<&str>) -> Findings<RowKey> {
        let tenant = match (self.ask.tenant, self.tenant_column.as_deref()) {
            (Some(tenant), Some(column)) => Some((column, tenant)),
            (Some(_), None) => return Findings::default(),
            (None, _) => None,
        };
        let _path = condition.map(|_| since::by_index());
        let question =
            generated::Question { relation: self.relation, key_columns: &self.key_columns, tenant, condition };
        generated::check(&self.table, &question).into_iter().collect()
    }
}

fn tops(audited: Option<&Audited>) -> BTreeMap<Vec<u8>, u64> {
    let chains = audited.into_iter().flat_map(|audited| audited.sums.chains());
    chains.map(|(chain, sum)| (chain.to_vec(), sum.highest_position)).collect()
}

/// The unordered pass over some tables of a history only, under the active snapshot, with a census of them;
/// `None` where a row in them is not authentic.
pub fn audit_parts(
    history: HistoryId,
    relation: u32,
    tables: &[u32],
    census: Option<CensusId>,
) -> Option<(Audit, Option<Census>)> {
    let mut counted = census.as_ref().and_then(|census| census.key(history)).map(Census::new);
    let plan = PassPlan { relation, tenant: None, key_columns: Vec::new(), census, since: None };
    let places = columns::signable(&relation::attributes_of(relation));
    let _run = RunGuard::begin();
    let mut all = Audited::nothing().sums;
    for table in tables {
        let Some(audited) = audit(&plan, &relation::name_of(*table), &places, history) else { continue };
        if audited.suspicious > 0 {
            return None;
        }
        all.merge(&audited.sums);
        if let (Some(counted), Some(census)) = (&mut counted, &audited.census) {
            counted.merge(census);
        }
    }
    Some((all, counted))
}

fn audit(plan: &PassPlan, table: &str, places: &[Place], history: HistoryId) -> Option<Audited> {
    audit::prepare(plan.census.as_ref().and_then(|census| census.key(history)));
    spi::read(&plan.query("audit", table, places, false));
    audit::take_result()
}

fn brought_over(chain: String, first: u64, last: u64) -> Finding<RowKey> {
    Finding::new(Kind::Forged, elsewhere("entry", first, last)).at(chain, first, last)
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
