//! The passes over one history, under the run's snapshot, and what they are compared with.

use super::audit::{self, Audited};
use super::basis::Tails;
use super::ends::{self, Heads};
use super::internal::{Internal, elsewhere};
use super::locate::{self, RowKey};
use super::pass::PassPlan;
use super::progress::{self, Phase};
use super::run::{Ask, Scope};
use super::since::{self, Rest};
use super::{generated, witness};
use crate::pg::relation;
use crate::pg::shared_memory::{self, RunSlot};
use crate::pg::spi;
use crate::record::checkpoint::{CensusId, Checkpoint, Draft};
use crate::record::columns::{self, Place};
use crate::record::cut::Cut;
use crate::record::definition::Definition;
use crate::record::identity::in_anchors;
use crate::seal::heads::Remembered;
use pgseal_chain::{Audit, Census, Finding, Findings, Head, HistoryId, Kind, Known};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The run's secret in shared memory, for this backend and its workers; gone when dropped.
pub struct RunGuard;

impl RunGuard {
    pub fn begin() -> RunGuard {
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

/// A history as it is read under the run's snapshot.
pub struct Reading<'a> {
    pub history: HistoryId,
    pub relation: u32,
    pub table: String,
    pub places: Vec<Place>,
    pub tenant_column: Option<String>,
    pub key_columns: Vec<String>,
    pub cuts: BTreeMap<String, Cut>,
    pub window_start: Option<i64>,
    pub complete: bool,
    pub ask: Ask<'a>,
    pub internal: &'a Internal,
    pub remembered: &'a [Remembered],
    pub definition: &'a Definition,
}

/// What one unordered pass came to.
pub struct Read {
    pub audited: Option<Audited>,
    /// What is wrong apart from single entries.
    pub findings: Vec<Finding<RowKey>>,
    /// Where chains had to begin and end.
    pub known: Known,
    pub tails: Tails,
    pub witness_is_pruned: bool,
    /// The newest entry of each chain that was read or rested on.
    pub heads: Heads,
    /// Whether all that was read are whole chains that end where they should.
    pub is_whole: bool,
    /// Which census its entries are counted for.
    census: Option<CensusId>,
    pub rest: Option<Rest>,
    /// Which rows were looked at, if not all.
    pub condition: Option<String>,
}

impl Read {
    /// What a checkpoint is made of; `None` if that was not asked for. Only for a history with nothing wrong in it.
    pub fn into_draft(
        self,
        history: HistoryId,
        internal: &Internal,
        pruned_elsewhere: BTreeMap<String, Cut>,
    ) -> Option<Draft> {
        let id = self.census.filter(|_| self.is_whole)?;
        let counted = self.audited.and_then(|audited| audited.census);
        Some(Draft {
            census: counted.or_else(|| id.key(history).map(Census::new))?,
            tops: self
                .heads
                .into_iter()
                .map(|(chain, head)| Some((String::from_utf8(chain).ok()?, head)))
                .collect::<Option<_>>()?,
            anchors: internal.newest_anchors(),
            id,
            adds_up: true,
            pruned_elsewhere,
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
    pub fn whole(&self) -> Read {
        let census = (self.ask.scope == Scope::Census).then(CensusId::draw).and_then(Result::ok);
        let plan = PassPlan { census: census.clone(), ..self.plan() };
        let known = self.known();
        progress::enter(Phase::Entries, ends::expected(&known).max(progress::rows_by_statistics(self.relation)));
        let audited = self.complete.then(|| audit(&plan, &self.table, &self.places, self.history)).flatten();
        Read { census, ..self.judge(audited, known, Heads::new()) }
    }

    /// What a checkpoint leaves to read; `None` if that does not answer the question, or anything is wrong.
    pub fn since(&self, checkpoint: Rc<Checkpoint>) -> Option<Read> {
        let usable = self.ask.may_rest() && self.complete;
        let rest = Rest::on(checkpoint, &self.cuts, self.ask.tenant).filter(|_| usable)?;
        let is_tenant_column = |place: &&Place| Some(&place.name) == self.tenant_column.as_ref();
        let since = rest.since(self.places.iter().find(is_tenant_column));
        let condition = since.condition.clone();
        let census = self.ask.tenant.map(|_| rest.checkpoint.id.clone());
        let plan = PassPlan { since: Some(since), census, ..self.plan() };
        let known = Known { cuts: rest.begins(&self.cuts), ..self.known() };
        progress::enter(Phase::Entries, ends::expected(&known) + rest.of_tenant());
        let _path = since::by_index();
        let audited = audit(&plan, &self.table, &self.places, self.history).unwrap_or_else(Audited::nothing);
        let fits = rest.fits_census(&audited, self.history);
        let read = self.judge(Some(audited), known, rest.heads());
        (fits && read.is_whole && read.findings.is_empty()).then(|| Read {
            rest: Some(rest),
            condition: Some(condition).filter(|text| !text.is_empty()),
            ..read
        })
    }

    /// What memory and anchors know of its chains.
    fn known(&self) -> Known {
        let mut known = ends::known(self.remembered, &self.cuts, self.window_start, self.ask.tenant.is_some());
        let anchored = self.internal.anchored(&in_anchors(self.history)).into_iter();
        known.heads.extend(anchored.map(|(chain, position, mac)| Head {
            chain: chain.into_bytes(),
            position,
            mac: Some(mac),
        }));
        let closed = self.internal.closings.ends().into_iter();
        known.heads.extend(closed.map(|(chain, position, mac)| Head {
            chain: chain.into_bytes(),
            position,
            mac: Some(mac),
        }));
        known
    }

    /// Compares what a pass saw with what is known from outside the table. `rested` are the heads of a checkpoint that
    /// it rests on.
    fn judge(&self, audited: Option<Audited>, mut known: Known, rested: Heads) -> Read {
        let name = in_anchors(self.history);
        let mut findings: Vec<Finding<RowKey>> = Vec::new();
        let sums = audited.iter().flat_map(|audited| audited.sums.chains());
        let mut heads = rested.clone();
        heads.extend(sums.map(|(chain, sum)| (chain.to_vec(), (sum.highest_position, sum.highest_mac))));
        if audited.is_some() {
            let tops = heads.iter().map(|(chain, (position, _))| (chain.as_slice(), *position));
            let brought = self.internal.brought_over(&name, tops);
            findings.extend(brought.into_iter().map(|(chain, first, last)| brought_over(chain, first, last)));
        }
        findings.extend(self.internal.judge_names(audited.as_ref().map(|audited| &audited.named)));
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
            Some(audited) => ends::are_whole(audited, &known, &rested, &self.table),
            None => known.heads.is_empty(),
        };
        Read {
            tails: Tails::of(&heads, &known, self.internal.newest()),
            heads,
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
    pub fn locate(&self, known: Known) -> Findings<RowKey> {
        locate::prepare(known);
        progress::enter_again(Phase::Sorting);
        spi::read(&self.plan().query("locate", &self.table, &self.places, true));
        let findings = locate::take_result();
        if self.definition.alterations.is_empty() || self.definition.key_fault.is_some() {
            return findings;
        }
        // Entries of an epoch whose record was changed prove nothing; the changed record is the finding.
        findings.list.into_iter().filter(|finding| finding.kind != Kind::UnknownKey).collect()
    }

    pub fn generated(&self, condition: Option<&str>) -> Findings<RowKey> {
        progress::enter(Phase::Generated, 0);
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
