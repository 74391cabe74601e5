//! Entries that go one by one. Each is checked as it is deleted: what is deleted is what was
//! verified.

use super::error::PruneError;
use super::plan::Plan;
use crate::pg::error::OrRaise;
use crate::pg::progress;
use crate::pg::row::Row;
use crate::pg::settings::PinnedPath;
use crate::pg::{relation, server, spi, user};
use crate::record::checkpoint::Draft;
use crate::record::columns::{self, SealPlaces};
use crate::record::cut::{Cut, Span};
use crate::record::definition::Definition;
use crate::record::registry;
use crate::seal::guard::{self, Pruned};
use crate::verify::entry::{EntryChecker, Judgement, Scratch, TenantColumn};
use crate::verify::pass;
use pgseal_chain::{GENESIS, Mac};
use std::collections::BTreeMap;
use std::time::Instant;

/// Deleted by one statement.
const BATCH: u64 = 5_000;

/// How long it rests after each, in times of what that took: whoever inserts meanwhile shares processor and
/// write-ahead log with it.
const REST: u32 = 2;

/// An entry that was just deleted and found authentic.
struct Gone {
    position: u64,
    prev: Mac,
    tenant: Option<Vec<u8>>,
    cut: Cut,
}

/// Deletes up to about `limit` entries, moves the plan's cuts, and says what went.
pub fn remove(plan: &mut Plan, mut draft: Option<&mut Draft>, limit: u64) -> BTreeMap<String, Span> {
    let mut removed: BTreeMap<String, Span> = BTreeMap::new();
    let mut left = limit;
    let table = relation::name_of(plan.relation);
    let Some(definition) = registry::attached(plan.relation).map(Definition::load) else { return removed };
    let query = Query::new(plan.relation, &table, &definition);
    // The rows go with the rights of the table's owner, whose triggers see them.
    let owner = relation::owner_of(plan.relation);
    for (chain, target) in plan.targets.clone() {
        while left > 0 && plan.position(&chain) < target {
            server::check_for_interrupts();
            let begun = Instant::now();
            let before = plan.cuts.get(&chain).copied();
            let first = plan.position(&chain) + 1;
            let last = target.min(first + BATCH.min(left) - 1);
            let pruned = Pruned { root: plan.relation, chain: chain.clone(), positions: first..=last };
            let gone = guard::while_pruning(pruned, || {
                user::with_rights_of(owner, || query.delete(&chain, first, last, plan.window_start))
            });
            if let (Some(draft), Ok(gone)) = (&mut draft, &gone) {
                gone.iter().for_each(|gone| draft.leave_out_one(&chain, gone.tenant.as_deref(), &gone.cut));
            }
            let cut = gone.and_then(|gone| follow(before, first, last, gone));
            let changed = |what| PruneError::Changed { table: table.clone(), chain: chain.clone(), what };
            let cut = cut.map_err(changed).or_raise();
            progress::count(last + 1 - first);
            left = left.saturating_sub(last + 1 - first);
            plan.cuts.insert(chain.clone(), cut);
            let span = Span { first, cut };
            spi::execute(&format!("SELECT pg_catalog.pg_sleep({})", (begun.elapsed() * REST).as_secs_f64()));
            removed.entry(chain.clone()).and_modify(|so_far| so_far.extend(&span)).or_insert(span);
        }
    }
    removed
}

struct Query {
    table: String,
    columns: String,
    checker: EntryChecker,
    tenant: Option<TenantColumn>,
}

impl Query {
    fn new(root: u32, table: &str, definition: &Definition) -> Query {
        let mut places = columns::signable(&relation::attributes_of(root));
        let seal = columns::SEAL_COLUMNS.map(|(name, _)| name.to_owned());
        let names: Vec<String> = places.iter().map(|place| spi::identifier(&place.name)).collect();
        for (offset, place) in places.iter_mut().enumerate() {
            place.index = seal.len() + offset;
        }
        Query {
            table: table.to_owned(),
            tenant: pass::tenant_column_name(definition).and_then(|name| TenantColumn::find(&name, &places)),
            columns: seal.into_iter().chain(names).map(|name| format!("h.{name}")).collect::<Vec<_>>().join(", "),
            checker: EntryChecker::new(definition, &places, SealPlaces::consecutive(0)),
        }
    }

    /// What was deleted, or what is wrong with it.
    fn delete(&self, chain: &str, first: u64, last: u64, window_start: i64) -> Result<Vec<Gone>, String> {
        let sql = format!(
            "DELETE FROM {} AS h WHERE h.seal_chain = {} AND h.seal_seq >= {first} AND h.seal_seq <= {last} RETURNING {}",
            self.table,
            spi::literal(chain),
            self.columns
        );
        let mut gone = Vec::new();
        let mut fault = None;
        let mut scratch = Scratch::default();
        let _path = PinnedPath::pin_with(&[(c"enable_seqscan", c"off"), (c"row_security", c"off")]);
        spi::visit(&sql, |row| match self.entry(row, window_start, &mut scratch) {
            Ok(entry) => gone.push(entry),
            Err(what) => fault = Some(what),
        });
        fault.map_or(Ok(gone), Err)
    }

    fn entry(&self, row: Row<'_>, window_start: i64, scratch: &mut Scratch) -> Result<Gone, String> {
        let Some(seal) = self.checker.seal(row, scratch) else { return Err("a row is not well-formed".to_owned()) };
        if self.checker.judge(row, &seal, scratch) != Judgement::Authentic {
            return Err(format!("entry {} is not authentic", seal.position));
        }
        if seal.sealed_at >= window_start {
            return Err(format!("entry {} is inside the window", seal.position));
        }
        let cut = Cut { position: seal.position, mac: seal.mac, sealed_at: seal.sealed_at, epoch: seal.epoch };
        let has_tenant = self.tenant.as_ref().is_some_and(|column| column.write(row, &mut scratch.tenant));
        let tenant = has_tenant.then(|| scratch.tenant.clone());
        Ok(Gone { position: seal.position, prev: seal.prev, tenant, cut })
    }
}

/// The new cut, if what went is one piece of the chain that follows the cut before.
fn follow(before: Option<Cut>, first: u64, last: u64, mut gone: Vec<Gone>) -> Result<Cut, String> {
    gone.sort_unstable_by_key(|entry| entry.position);
    let mut mac = before.map_or(GENESIS, |cut| cut.mac);
    let mut cut = before;
    for (position, entry) in (first..=last).zip(&gone) {
        if entry.position != position {
            return Err(format!("entry {position} could not be deleted"));
        }
        if entry.prev != mac {
            return Err(format!("entry {position} does not follow the one before it"));
        }
        mac = entry.cut.mac;
        cut = Some(entry.cut);
    }
    let deleted = gone.len() as u64;
    match cut.filter(|cut| cut.position == last && deleted == last + 1 - first) {
        Some(cut) => Ok(cut),
        None => Err(format!("of entries {first} to {last} only {deleted} could be deleted")),
    }
}
