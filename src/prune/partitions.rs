//! Whole partitions of a history that is partitioned by time: detached and dropped, instead of
//! deleting what is in them row by row.

use super::error::PruneError;
use super::plan::{Part, Plan};
use crate::admin;
use crate::pg::error::OrRaise;
use crate::pg::{relation, snapshot, spi, user};
use crate::record::checkpoint::Draft;
use crate::record::cut::{Cut, Span};
use crate::record::journal::{self, Act, Note};
use crate::record::live;
use crate::verify::reading;
use pgseal_chain::GENESIS;
use std::collections::{BTreeMap, BTreeSet};

/// What the change of the definition is journaled as.
const COMMAND: &str = "seal.verify_and_prune";

/// The partitions all of whose entries may go, of a history that is partitioned by time; `None` for any
/// other. The targets are moved back to where these partitions end.
pub fn that_may_go(
    root: u32,
    window_start: i64,
    parts: &[Part],
    targets: &mut BTreeMap<String, u64>,
) -> Option<Vec<u32>> {
    let mut going = ended_before(root, window_start)?;
    loop {
        let may_go =
            |part: &Part| !part.mixed && targets.get(&part.chain).is_some_and(|target| part.highest <= *target);
        let held: BTreeSet<u32> = parts.iter().filter(|part| !may_go(part)).map(|part| part.table).collect();
        going.retain(|table| !held.contains(table));
        let before = targets.clone();
        // What stays has to stay with all that follows it.
        for part in parts.iter().filter(|part| !going.contains(&part.table)) {
            if let Some(target) = targets.get_mut(&part.chain) {
                *target = (*target).min(part.lowest.saturating_sub(1));
            }
        }
        if before == *targets {
            break;
        }
    }
    going.retain(|table| parts.iter().any(|part| part.table == *table));
    for (chain, target) in targets.iter_mut() {
        let of_chain = parts.iter().filter(|part| part.chain == *chain && going.contains(&part.table));
        *target = of_chain.map(|part| part.highest).max().unwrap_or(0);
    }
    Some(going.into_iter().collect())
}

/// Leaves below partitions whose range ended before this time, if the root is partitioned by a range of
/// time.
fn ended_before(root: u32, window_start: i64) -> Option<BTreeSet<u32>> {
    let is_by_time = !spi::read(&format!(
        "SELECT FROM pg_partitioned_table p
           JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
          WHERE p.partrelid = {root} AND p.partstrat = 'r'
            AND a.atttypid IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)"
    ))
    .is_empty();
    if !is_by_time {
        return None;
    }
    let leaves = spi::column(spi::read(&format!(
        "SELECT leaf.oid
           FROM pg_inherits i
           JOIN pg_class part ON part.oid = i.inhrelid
          CROSS JOIN LATERAL pg_partition_tree(part.oid) AS tree
           JOIN pg_class leaf ON leaf.oid = tree.relid AND tree.isleaf
          WHERE i.inhparent = {root}
            AND (regexp_match(pg_get_expr(part.relpartbound, part.oid), $re$TO \\('([^']+)'$re$))[1]::timestamptz <= {}",
        spi::time_literal(window_start)
    )));
    Some(leaves.into_iter().filter_map(|oid| oid.parse().ok()).collect())
}

/// Drops the plan's partitions, moves its cuts, and says what went; `None`: they are in use. No other
/// session can change the partitions from before they are checked once more until they are gone.
pub fn remove(plan: &mut Plan, draft: Option<&mut Draft>) -> Option<BTreeMap<String, Span>> {
    let tables: Vec<String> = plan.partitions.iter().map(|table| relation::name_of(*table)).collect();
    let before = live::of_history(plan.relation);
    let removed = user::with_rights_of(user::extension_owner(), || {
        if !lock(&tables, "SHARE") {
            return None;
        }
        let removed = snapshot::with_fresh(|| check(plan, draft)).or_raise();
        drop_tables(&plan.partitions).then_some(removed)
    })?;
    let changes = live::difference(&before, &live::of_history(plan.relation));
    journal::note(Note {
        act: Act::Definition,
        history: Some(plan.history),
        table: Some(relation::name_of(plan.relation)),
        sentence: format!("{COMMAND} dropped {}", tables.join(", ")),
        details: changes.details(COMMAND),
    });
    plan.cuts.extend(removed.iter().map(|(chain, span)| (chain.clone(), span.cut)));
    plan.partitions.clear();
    Some(removed)
}

/// Asks for the locks a little at a time, so that nobody queues behind it for longer than that.
fn lock(tables: &[String], mode: &str) -> bool {
    let names: Vec<String> = tables.iter().map(|table| spi::literal(table)).collect();
    let locked = spi::execute(&format!("SELECT seal.lock_tables(ARRAY[{}], '{mode}')", names.join(", ")));
    spi::value(locked).as_deref() == Some("t")
}

/// Whether these tables hold exactly what is between the cuts and the targets.
fn check(plan: &Plan, draft: Option<&mut Draft>) -> Result<BTreeMap<String, Span>, PruneError> {
    let table = relation::name_of(plan.relation);
    let changed = |chain: &str, what: &str| PruneError::Changed {
        table: table.clone(),
        chain: chain.to_owned(),
        what: what.to_owned(),
    };
    if plan.partitions.iter().any(|partition| relation::root_of(*partition) != plan.relation) {
        return Err(changed("of any name", "a partition was detached"));
    }
    let census = draft.as_ref().map(|draft| draft.id.clone());
    let Some((audit, counted)) = reading::audit_parts(plan.history, plan.relation, &plan.partitions, census) else {
        return Err(changed("of any name", "an entry of a partition is not authentic"));
    };
    if let (Some(draft), Some(counted)) = (draft, counted) {
        draft.leave_out(&counted);
    }
    let mut removed = BTreeMap::new();
    for (chain, sum) in audit.chains() {
        let name = String::from_utf8_lossy(chain).into_owned();
        let before = plan.cuts.get(&name).map_or((0, GENESIS), |cut| (cut.position, cut.mac));
        if !audit.is_whole(chain, before) || plan.targets.get(&name) != Some(&sum.highest_position) {
            return Err(changed(&name, "the partitions do not hold one piece of it"));
        }
        if sum.highest_sealed_at >= plan.window_start {
            return Err(changed(&name, "an entry of a partition is inside the window"));
        }
        let epoch = epoch_of(&plan.partitions, &name, sum.highest_position);
        let cut = Cut {
            position: sum.highest_position,
            mac: sum.highest_mac,
            sealed_at: sum.highest_sealed_at,
            epoch: epoch.ok_or_else(|| changed(&name, "its last entry is gone"))?,
        };
        removed.insert(name, Span { first: before.0 + 1, cut });
    }
    Ok(removed)
}

fn epoch_of(tables: &[u32], chain: &str, position: u64) -> Option<i32> {
    tables.iter().find_map(|table| {
        let rows = spi::read(&format!(
            "SELECT seal_epoch FROM {} WHERE seal_chain = {} AND seal_seq = {position}",
            relation::name_of(*table),
            spi::literal(chain)
        ));
        spi::value(rows)?.parse().ok()
    })
}

fn drop_tables(tables: &[u32]) -> bool {
    let parents: Vec<u32> = tables.iter().filter_map(|table| parent_of(*table)).collect();
    let all: BTreeSet<String> = parents.iter().chain(tables).map(|table| relation::name_of(*table)).collect();
    let locked: Vec<String> = all.into_iter().collect();
    if !lock(&locked, "ACCESS EXCLUSIVE") {
        return false;
    }
    admin::administering(|| {
        for (table, parent) in tables.iter().zip(&parents) {
            let (table, parent) = (relation::name_of(*table), relation::name_of(*parent));
            spi::execute(&format!("ALTER TABLE {parent} DETACH PARTITION {table}"));
            spi::execute(&format!("DROP TABLE {table}"));
        }
    });
    true
}

fn parent_of(table: u32) -> Option<u32> {
    let rows = spi::execute(&format!("SELECT inhparent FROM pg_inherits WHERE inhrelid = {table}"));
    spi::value(rows)?.parse().ok()
}
