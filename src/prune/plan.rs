//! How far each chain of a history may be pruned after a run: a prefix, all of it older than the
//! window, nothing with a finding, nothing that a hold protects.

use super::{obstacle, partitions};
use crate::pg::error::Report;
use crate::pg::output::PinnedOutput;
use crate::pg::settings::PinnedPath;
use crate::pg::snapshot::Sees;
use crate::pg::{clock, relation, snapshot, spi, user};
use crate::record::cut::Cut;
use crate::record::journaled::{Hold, Journaled};
use crate::record::{journaled, overall, timekeeping};
use crate::seal::plan::chain_prefix;
use crate::verify::acknowledge;
use crate::verify::outcome::{Outcome, Subject};
use pgrx::PgSqlErrorCode;
use pgseal_chain::{HistoryId, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// What may be deleted.
#[derive(Debug, Clone)]
pub struct Plan {
    pub history: HistoryId,
    /// Oid of its table.
    pub relation: u32,
    /// µs since 2000-01-01 UTC.
    pub window_start: i64,
    /// The last position of each chain that goes, beyond its cut.
    pub targets: BTreeMap<String, u64>,
    pub cuts: BTreeMap<String, Cut>,
    /// Oids of partitions that go as a whole; empty: rows are deleted.
    pub partitions: Vec<u32>,
    window_months: Option<i32>,
    holds: BTreeMap<Option<String>, Hold>,
    /// Cuts that another node made.
    pruned_elsewhere: BTreeMap<String, Cut>,
}

/// What one table of the history has of one chain.
pub struct Part {
    pub table: u32,
    pub chain: String,
    /// The lowest position above the cut; the highest number there is where all of it is below.
    pub lowest: u64,
    pub highest: u64,
    /// The lowest position that is inside the window or on hold.
    pub kept: Option<u64>,
    /// Rows stand there that belong to what was pruned, or to no place in a chain.
    pub mixed: bool,
}

impl Plan {
    pub fn position(&self, chain: &str) -> u64 {
        position(&self.cuts, chain)
    }

    /// How many entries go.
    pub fn entries(&self) -> u64 {
        self.targets.iter().map(|(chain, target)| target.saturating_sub(self.position(chain))).sum()
    }

    pub fn is_done(&self) -> bool {
        self.entries() == 0
    }

    /// Whether settings and cuts are still what the plan was made from: it is carried out in several
    /// transactions.
    pub fn is_current(&self) -> bool {
        let now = journaled::as_seen(Sees::Stored).remove(&self.history);
        now.is_some_and(|now| {
            now.detached.is_none()
                && now.window_months == self.window_months
                && now.holds == self.holds
                && self.own(&now.cuts) == self.own(&self.cuts)
        })
    }

    /// Without the chains that another node pruned further than this one.
    fn own(&self, cuts: &BTreeMap<String, Cut>) -> BTreeMap<String, Cut> {
        let is_own =
            |chain: &String| self.pruned_elsewhere.get(chain).is_none_or(|cut| self.cuts.get(chain) != Some(cut));
        cuts.iter().filter(|(chain, _)| is_own(chain)).map(|(chain, cut)| (chain.clone(), *cut)).collect()
    }
}

/// Why nothing is pruned.
#[derive(Debug, Clone)]
pub struct Kept {
    pub sentence: String,
    /// Somebody has to do something, or what is old will stay for ever; and no alarm says so.
    pub is_trouble: bool,
}

impl Kept {
    fn as_it_should_be(sentence: impl Into<String>) -> Kept {
        Kept { sentence: sentence.into(), is_trouble: false }
    }
}

impl From<String> for Kept {
    fn from(sentence: String) -> Kept {
        Kept { sentence, is_trouble: true }
    }
}

/// What may go after a run, or why nothing does.
pub fn of(outcome: &Outcome, verdict: Verdict) -> Result<Plan, Kept> {
    let Some(subject) = &outcome.subject else { return Err("it could not be read as a history".to_owned().into()) };
    let Some(journaled) = &subject.journaled else { return Err("the journal does not know it".to_owned().into()) };
    may_prune(outcome, verdict, journaled)?;
    let Some(window_start) = outcome.window_start else {
        return Err(Kept::as_it_should_be("it has no window, so that nothing of it is ever deleted"));
    };
    if let Some(jump) = clock_disagreement()? {
        return Err(format!("{jump}; if that is right: SELECT seal.accept_clock('REASON')").into());
    }
    let (targets, partitions, staying, obstacle) = user::with_rights_of(user::extension_owner(), || {
        let _path = PinnedPath::pin();
        let _output = PinnedOutput::pin();
        snapshot::with_fresh(|| {
            let parts = parts(subject, window_start, journaled);
            let mut targets = targets(&parts, outcome, journaled);
            let old = targets.clone();
            let partitions = partitions::that_may_go(subject.relation, window_start, &parts, &mut targets);
            let staying = partitions.as_ref().map(|going| with_old_entries(&parts, &old, going)).unwrap_or_default();
            (targets, partitions, staying, obstacle::of(subject.relation))
        })
    });
    let targets: BTreeMap<_, _> =
        targets.into_iter().filter(|(chain, target)| *target > position(&journaled.cuts, chain)).collect();
    if targets.is_empty() {
        let start = clock::text(window_start);
        return Err(match staying.as_slice() {
            [] => Kept::as_it_should_be(format!("nothing that may go is older than {start}")),
            tables => Kept::as_it_should_be(format!(
                "what is older than {start} stays until all of its partition may go: {}",
                tables.join(", ")
            )),
        });
    }
    if let Some(obstacle) = obstacle {
        return Err(obstacle.into());
    }
    Ok(Plan {
        history: subject.history,
        relation: subject.relation,
        window_start,
        targets,
        cuts: journaled.cuts.clone(),
        partitions: partitions.unwrap_or_default(),
        window_months: subject.window_months,
        holds: journaled.holds.clone(),
        pruned_elsewhere: subject.pruned_elsewhere.clone(),
    })
}

fn may_prune(outcome: &Outcome, verdict: Verdict, journaled: &Journaled) -> Result<(), Kept> {
    let new = outcome.findings.total - acknowledge::count(outcome);
    match verdict {
        Verdict::Unverifiable => return Err(Kept::as_it_should_be("it cannot be verified as a whole")),
        Verdict::NothingSealed => return Err(Kept::as_it_should_be("nothing of it is sealed")),
        _ if new > 0 => return Err(Kept::as_it_should_be(format!("{new} findings are not acknowledged"))),
        _ => {}
    }
    if let Some(hold) = journaled.holds.get(&None) {
        let since = clock::text(hold.at);
        return Err(Kept::as_it_should_be(format!("it is on hold since {since}: {}", hold.reason)));
    }
    Ok(())
}

/// How the clock disagrees with what the machine counted, if it does.
pub fn clock_disagreement() -> Result<Option<String>, String> {
    let prefix = chain_prefix().map_err(|error| error.to_string())?;
    let overall = overall::as_seen(Sees::Stored);
    Ok(timekeeping::disagreement(&prefix, &overall, Sees::Stored))
}

/// What stands where, under the active snapshot.
fn parts(subject: &Subject, window_start: i64, journaled: &Journaled) -> Vec<Part> {
    let tenants: Vec<String> = journaled.holds.keys().flatten().map(|tenant| spi::literal(tenant)).collect();
    // Without the column, or where its type may take for the same what is printed with other capitals or with blanks at
    // the end: rather too many. format prints it: a cast to text could be somebody's own function.
    let held = match (&subject.tenant_column, tenants.as_slice()) {
        (_, []) => "false".to_owned(),
        (None, _) => "true".to_owned(),
        (Some(column), tenants) => format!(
            "pg_catalog.lower(pg_catalog.rtrim(pg_catalog.format('%s', h.{}))) IN
               (SELECT pg_catalog.lower(pg_catalog.rtrim(t)) FROM pg_catalog.unnest(ARRAY[{}]) AS t)",
            spi::identifier(column),
            tenants.join(", ")
        ),
    };
    let cut = |(chain, cut): (&String, &Cut)| format!("({}, {})", spi::literal(chain), cut.position);
    let cuts: Vec<String> = journaled.cuts.iter().map(cut).chain(["(NULL, 0)".to_owned()]).collect();
    // What was put back below a cut, or has no place in a chain, stays with the partition that it is in.
    let query = format!(
        "SELECT leaf, chain, COALESCE(pg_catalog.min(seq) FILTER (WHERE above), {NOWHERE}),
                COALESCE(pg_catalog.max(seq) FILTER (WHERE above), 0),
                pg_catalog.min(seq) FILTER (WHERE above AND stays), NOT pg_catalog.bool_and(above)
           FROM (SELECT h.tableoid AS leaf, h.seal_chain AS chain, h.seal_seq AS seq,
                        (h.seal_seq > COALESCE(cut.position, 0) AND h.seal_chain <> '') IS TRUE AS above,
                        (h.seal_at >= {}) IS NOT FALSE OR {held} AS stays
                   FROM {} AS h LEFT JOIN (VALUES {}) AS cut (chain, position) ON cut.chain = h.seal_chain) AS entry
          GROUP BY 1, 2",
        spi::time_literal(window_start),
        relation::name_of(subject.relation),
        cuts.join(", ")
    );
    spi::read(&query).into_iter().map(part).collect()
}

/// Names of the partitions that stay although some of their entries might go.
fn with_old_entries(parts: &[Part], targets: &BTreeMap<String, u64>, going: &[u32]) -> Vec<String> {
    let is_old = |part: &&Part| targets.get(&part.chain).is_some_and(|target| part.lowest <= *target);
    let tables: BTreeSet<u32> = parts.iter().filter(is_old).map(|part| part.table).collect();
    tables.into_iter().filter(|table| !going.contains(table)).map(relation::name_of).collect()
}

/// What can be no position of an entry.
const NOWHERE: u64 = i64::MAX as u64;

/// A line of the answer. One that cannot be read would make somebody believe that nothing has to stay.
fn part(line: Vec<Option<String>>) -> Part {
    let read = |line: Vec<Option<String>>| {
        let [table, chain, lowest, highest, kept, mixed] = <[_; 6]>::try_from(line).ok()?;
        Some(Part {
            table: table?.parse().ok()?,
            chain: chain.unwrap_or_default(),
            lowest: lowest?.parse().ok()?,
            highest: highest?.parse().ok()?,
            kept: kept.map(|kept| kept.parse()).transpose().ok()?,
            mixed: mixed? != "f",
        })
    };
    let shown = format!("{line:?}");
    read(line).unwrap_or_else(|| {
        Report::new(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, "what stands where in a history could not be read")
            .detail(format!("Line: {shown}."))
            .raise()
    })
}

/// The last position of each chain before anything that stays. A chain whose oldest entry does not follow
/// its cut stays as it is.
fn targets(parts: &[Part], outcome: &Outcome, journaled: &Journaled) -> BTreeMap<String, u64> {
    let mut ends: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for part in parts {
        let (lowest, highest) = ends.entry(&part.chain).or_insert((part.lowest, part.highest));
        (*lowest, *highest) = ((*lowest).min(part.lowest), (*highest).max(part.highest));
    }
    let begins_at_cut = |chain: &str, lowest: u64| lowest == position(&journaled.cuts, chain) + 1;
    let mut targets: BTreeMap<String, u64> = ends
        .into_iter()
        .filter(|(chain, (lowest, _))| begins_at_cut(chain, *lowest))
        .map(|(chain, (_, highest))| (chain.to_owned(), highest))
        .collect();
    let kept = parts.iter().filter_map(|part| Some((part.chain.as_str(), part.kept?)));
    let found = outcome.findings.list.iter().filter_map(|finding| Some((finding.chain.as_deref()?, finding.position?)));
    let found = found.filter(|(chain, at)| *at > position(&journaled.cuts, chain));
    for (chain, position) in kept.chain(found) {
        if let Some(target) = targets.get_mut(chain) {
            *target = (*target).min(position.saturating_sub(1));
        }
    }
    targets
}

fn position(cuts: &BTreeMap<String, Cut>, chain: &str) -> u64 {
    cuts.get(chain).map_or(0, |cut| cut.position)
}
