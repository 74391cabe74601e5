//! One verification of one history, from locks to findings.
//!
//! Order matters: the table and its leaves are locked (ACCESS SHARE), then the heads are read, and
//! only then one snapshot is taken for all queries. What a head says was committed before the
//! snapshot, so it must be in it; what the snapshot has beyond the head is newer.

use super::audit::{self, Audited};
use super::basis::{self, Tails};
use super::internal::{Internal, Memory, elsewhere};
use super::locate::{self, RowKey};
use super::pass::{self, PassPlan};
use super::{configuration, generated, witness};
use crate::key::KeyFault;
use crate::pg::relation;
use crate::pg::shared_memory::{self, RunSlot};
use crate::pg::snapshot::Sees;
use crate::pg::{server, snapshot, spi, user};
use crate::record::columns::{self, Place, SealPlaces};
use crate::record::cut::Cut;
use crate::record::definition::{self, Attachment, Definition};
use crate::record::identity::in_anchors;
use crate::record::journaled::{Acknowledgement, Journaled};
use crate::record::registry::{self, Registration};
use crate::record::{anchor, journal};
use crate::seal::heads::{self, Remembered};
use crate::seal::plan::{self, chain_name};
use pgseal_chain::{Audit, ChainName, Finding, Findings, GENESIS, Head, HistoryId, Kind, Known, Mac, WitnessLine};
use std::collections::BTreeMap;

/// Entries of one node that stand for the tenant asked for, or of everybody.
#[derive(Debug, Clone, Default)]
pub struct NodeCount {
    pub entries: u64,
    /// µs since 2000-01-01 UTC.
    pub first: Option<i64>,
    /// µs since 2000-01-01 UTC.
    pub last: Option<i64>,
}

/// What a verification found.
pub struct Outcome {
    /// Schema-qualified name of the table, or what is left of it.
    pub table: String,
    /// By node name; this node is always there.
    pub nodes: BTreeMap<String, NodeCount>,
    pub findings: Findings<RowKey>,
    /// Known incidents, by fingerprint of the finding.
    pub acknowledged: BTreeMap<String, Acknowledgement>,
    /// µs since 2000-01-01 UTC.
    pub window_start: Option<i64>,
    /// What the answer rests on.
    pub basis: String,
    pub has_tenant_column: bool,
    /// Whether the table could be read as a history.
    pub readable: bool,
    /// Why entries cannot be judged, where a key is missing.
    pub key_fault: Option<KeyFault>,
    /// What was verified; `None` where no history could be read.
    pub subject: Option<Subject>,
    /// The newest authentic entry of each chain: position and mac.
    pub heads: BTreeMap<String, (u64, Mac)>,
}

/// The history that a run is about, under the run's snapshot.
pub struct Subject {
    pub history: HistoryId,
    /// Oid of its table.
    pub relation: u32,
    pub window_months: Option<i32>,
    /// Today's name of the tenant column.
    pub tenant_column: Option<String>,
    /// Ids of the keys of its epochs.
    pub keys: Vec<String>,
    /// As the journal has it; `None` if it does not know the history.
    pub journaled: Option<Journaled>,
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

/// Verifies a whole history; `tenant` limits what is counted and which findings concern the asker.
/// `None` if it was detached, or forgotten, while we waited for its table.
pub fn verify(registration: &Registration, tenant: Option<&str>, witness: Option<&WitnessLine>) -> Option<Outcome> {
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
            return Some(only(Finding::new(Kind::ConfigurationAltered, sentence), table));
        }
        for internal in [journal::table(), anchor::table()].into_iter().flatten() {
            relation::lock_with_descendants(internal);
        }
        let in_recovery = server::in_recovery();
        let outside = Outside {
            remembered: if in_recovery { Vec::new() } else { heads::of_history(registration.history) },
            memory: Memory::read(in_recovery),
        };
        snapshot::with_fresh(|| verify_locked(registration.history, table, tenant, witness, &outside))
    })
}

/// What the answer says of a line that is too old.
const WITNESS_IS_PRUNED: &str = "; the anchor of the witness was pruned: compare with a newer line";

fn verify_locked(
    history: HistoryId,
    table: String,
    tenant: Option<&str>,
    witness: Option<&WitnessLine>,
    outside: &Outside,
) -> Option<Outcome> {
    let registration = registry::registrations_as(Sees::Snapshot).into_iter().find(|row| row.history == history)?;
    let mut definition = Definition::load_as(registration.clone(), Sees::Snapshot);
    // Without the key nothing of it can be judged.
    let internal = match definition.key_fault {
        None => Internal::check(&outside.memory),
        Some(_) => Internal::default(),
    };
    let journaled = internal.histories.get(&history);
    if definition.key_fault.is_none() && definition.alterations.is_empty() {
        definition.compare(journaled);
    }
    let attributes = relation::attributes_of(registration.relation);
    let places = columns::signable(&attributes);
    let has_tenant_column = pass::tenant_column_name(&definition).is_some();
    // A window that was changed outside pgseal is not followed.
    let window_months = registration.window_months.filter(|_| definition.alterations.is_empty());
    let window_start = window_months.map(window_start);
    let mut findings: Findings<RowKey> =
        configuration::check(&definition, &places, journaled.map(|journaled| &journaled.definition))
            .into_iter()
            .collect();
    findings.append(internal.findings.iter().cloned().collect());
    let plan = PassPlan {
        relation: registration.relation,
        tenant: tenant.map(str::to_owned),
        key_columns: key_columns(registration.relation),
    };
    // Without all seal columns the passes cannot be asked for.
    let complete = SealPlaces::find(&attributes).is_some();
    let _run = RunGuard::begin();
    let audited = complete.then(|| audit(&plan, &table, &places)).flatten();
    if let Some(audited) = &audited {
        let tops = audited.sums.chains().map(|(chain, sum)| (chain, sum.highest_position));
        let brought = internal.brought_over(&in_anchors(history), tops);
        findings.append(brought.into_iter().map(|(chain, first, last)| brought_over(chain, first, last)).collect());
    }
    findings.append(internal.regressions(&in_anchors(history)).collect());
    let named = audited.as_ref().map(|audited| &audited.named);
    findings.append(internal.judge_names(named).into_iter().collect());
    let cuts = journaled.map(|journaled| journaled.cuts.clone()).unwrap_or_default();
    let mut known = known_heads(&outside.remembered, &cuts, window_start, tenant.is_some());
    let anchored = internal.anchored(&in_anchors(history));
    known.heads.extend(anchored.iter().map(|(chain, position, mac)| Head {
        chain: chain.clone().into_bytes(),
        position: *position,
        mac: Some(*mac),
    }));
    let mut witness_is_pruned = false;
    if let Some(line) = witness {
        let seen = witness::of_history(line, &in_anchors(history));
        witness_is_pruned = seen.is_pruned;
        findings.append(seen.findings.into_iter().collect());
        known.heads.extend(seen.heads);
    }
    // What was pruned was there.
    known.heads.retain(|head| {
        let cut = str::from_utf8(&head.chain).ok().and_then(|chain| cuts.get(chain));
        cut.is_none_or(|cut| head.position > cut.position)
    });
    let tails = Tails::of(audited.as_ref(), &known, internal.newest());
    if complete && !is_whole(audited.as_ref(), &known, &table) {
        findings.append(locate(&plan, &table, &places, known, &definition));
    }
    if let Some(fault) = definition.key_fault.as_ref().filter(|_| audited.is_none()) {
        findings.push(Finding::new(Kind::UnknownKey, format!("the records of this history cannot be judged: {fault}")));
    }
    if complete {
        findings.append(check_generated(&definition, &plan, &table));
    }
    Some(Outcome {
        nodes: count_nodes(audited.as_ref()),
        basis: basis::text(audited.as_ref(), &tails, tenant, journaled)
            + if witness_is_pruned { WITNESS_IS_PRUNED } else { "" },
        table,
        findings,
        acknowledged: journaled.map(|journaled| journaled.acknowledged.clone()).unwrap_or_default(),
        window_start,
        has_tenant_column,
        readable: true,
        key_fault: definition.key_fault.clone(),
        subject: Some(Subject {
            history,
            relation: registration.relation,
            window_months,
            tenant_column: pass::tenant_column_name(&definition),
            keys: definition.key_ids(),
            journaled: journaled.cloned(),
        }),
        heads: heads_of(audited.as_ref()),
    })
}

fn heads_of(audited: Option<&Audited>) -> BTreeMap<String, (u64, Mac)> {
    let chains = audited.into_iter().flat_map(|audited| audited.sums.chains());
    chains
        .map(|(chain, sum)| (String::from_utf8_lossy(chain).into_owned(), (sum.highest_position, sum.highest_mac)))
        .collect()
}

/// The unordered pass over some tables of a history only, under the active snapshot; `None` where a
/// row in them is not authentic.
pub fn audit_parts(relation: u32, tables: &[u32]) -> Option<Audit> {
    let plan = PassPlan { relation, tenant: None, key_columns: Vec::new() };
    let places = columns::signable(&relation::attributes_of(relation));
    let _run = RunGuard::begin();
    let mut all: Option<Audit> = None;
    for table in tables {
        let Some(audited) = audit(&plan, &relation::name_of(*table), &places) else { continue };
        if audited.suspicious > 0 {
            return None;
        }
        match &mut all {
            Some(all) => all.merge(&audited.sums),
            None => all = Some(audited.sums),
        }
    }
    all
}

fn audit(plan: &PassPlan, table: &str, places: &[Place]) -> Option<Audited> {
    spi::read(&plan.query("audit", table, places, false));
    audit::take_result()
}

fn locate(plan: &PassPlan, table: &str, places: &[Place], known: Known, definition: &Definition) -> Findings<RowKey> {
    locate::prepare(known);
    spi::read(&plan.query("locate", table, places, true));
    let findings = locate::take_result();
    if definition.alterations.is_empty() || definition.key_fault.is_some() {
        return findings;
    }
    // Entries of an epoch whose record was changed prove nothing; the changed record is the finding.
    findings.list.into_iter().filter(|finding| finding.kind != Kind::UnknownKey).collect()
}

fn check_generated(definition: &Definition, plan: &PassPlan, table: &str) -> Findings<RowKey> {
    let column = pass::tenant_column_name(definition);
    let tenant = match (plan.tenant.as_deref(), column.as_deref()) {
        (Some(tenant), Some(column)) => Some((column, tenant)),
        (Some(_), None) => return Findings::default(),
        (None, _) => None,
    };
    let question = generated::Question { relation: plan.relation, key_columns: &plan.key_columns, tenant };
    generated::check(table, &question).into_iter().collect()
}

/// Whether the unordered pass saw nothing but whole chains that end where they should.
fn is_whole(audited: Option<&Audited>, known: &Known, table: &str) -> bool {
    let Some(audited) = audited else { return known.heads.is_empty() };
    if audited.suspicious > 0 {
        return false;
    }
    let chains: BTreeMap<&[u8], _> = audited.sums.chains().collect();
    let cut_of = |chain: &[u8]| {
        let cut = known.cuts.iter().find(|cut| cut.chain == chain);
        cut.map_or((0, GENESIS), |cut| (cut.position, cut.mac))
    };
    chains.keys().all(|chain| audited.sums.is_whole(chain, cut_of(chain)))
        && known.heads.iter().all(|head| match chains.get(head.chain.as_slice()) {
            Some(sum) if sum.highest_position == head.position => head.mac == Some(sum.highest_mac),
            Some(sum) if sum.highest_position > head.position => stands_on_chain(table, head),
            _ => false,
        })
}

/// For a chain that went on since its head was read.
fn stands_on_chain(table: &str, head: &Head) -> bool {
    let rows = spi::read(&format!(
        "SELECT pg_catalog.encode(seal_mac, 'hex') FROM {table} WHERE seal_chain = {} AND seal_seq = {}",
        spi::literal(&String::from_utf8_lossy(&head.chain)),
        head.position
    ));
    let expected = head.mac.map(hex::encode);
    matches!(rows.as_slice(), [row] if row.first() == Some(&expected))
}

fn known_heads(
    remembered: &[Remembered],
    cuts: &BTreeMap<String, Cut>,
    window_start: Option<i64>,
    tenant_only: bool,
) -> Known {
    let prefix = if remembered.is_empty() { None } else { plan::chain_prefix().ok() };
    let heads = remembered
        .iter()
        .filter(|known| known.head.position > 0)
        .filter_map(|known| {
            let prefix = prefix.as_deref()?;
            let chain = chain_name(prefix, known.slot.chain());
            Some(Head { chain: chain.into_bytes(), position: known.head.position, mac: Some(known.head.mac) })
        })
        .collect();
    let cuts = cuts.iter().map(|(chain, cut)| pgseal_chain::Cut {
        chain: chain.clone().into_bytes(),
        position: cut.position,
        mac: cut.mac,
    });
    Known { heads, cuts: cuts.collect(), window_start, tenant_only }
}

fn count_nodes(audited: Option<&Audited>) -> BTreeMap<String, NodeCount> {
    let here = crate::settings::chain_name();
    let mut nodes = BTreeMap::from([(here.clone(), NodeCount::default())]);
    for count in audited.map(|audited| audited.counts.as_slice()).unwrap_or_default() {
        let node = std::str::from_utf8(&count.chain).ok().and_then(ChainName::parse).map(|name| name.node);
        let node = nodes.entry(node.unwrap_or_else(|| here.clone())).or_default();
        node.entries += count.entries;
        node.first = Some(node.first.map_or(count.first, |first| first.min(count.first)));
        node.last = Some(node.last.map_or(count.last, |last| last.max(count.last)));
    }
    if let (Some(audited), Some(node)) = (audited, nodes.get_mut(&here)) {
        node.entries += audited.unsealed;
    }
    nodes
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
            let internal = Internal::check(&memory);
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
                ..only(Finding::new(Kind::ConfigurationAltered, ""), "seal.journal".to_owned())
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

/// An outcome that consists of one finding, for a table that cannot be read as a history.
pub fn only(finding: Finding<RowKey>, table: String) -> Outcome {
    Outcome {
        table,
        nodes: count_nodes(None),
        findings: std::iter::once(finding).collect(),
        acknowledged: BTreeMap::new(),
        window_start: None,
        basis: "nothing could be verified".into(),
        has_tenant_column: false,
        readable: false,
        key_fault: crate::key::current().err(),
        subject: None,
        heads: BTreeMap::new(),
    }
}
