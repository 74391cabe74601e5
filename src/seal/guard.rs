//! Append-only: nothing but pruning removes or changes an entry.

use crate::pg::error::Report;
use crate::pg::spi::literal;
use crate::pg::trigger::{Fired, NewTuple, TriggerCall};
use crate::pg::{relation, server};
use crate::record::columns::SealPlaces;
use pgrx::PgSqlErrorCode;
use std::cell::RefCell;
use std::ops::RangeInclusive;

/// Entries that pruning is removing right now.
#[derive(Debug, Clone)]
pub struct Pruned {
    /// Oid of the history's table, its root.
    pub root: u32,
    pub chain: String,
    pub positions: RangeInclusive<u64>,
}

/// Where the seal columns of a table stand, if it is one of the history that is pruned.
type Layout = (u32, Option<SealPlaces>);

thread_local! {
    static PRUNED: RefCell<Option<(Pruned, Layout)>> = const { RefCell::new(None) };
}

struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        PRUNED.set(None);
    }
}

/// While `work` runs, these entries may be deleted, and no others: whoever's triggers fire meanwhile.
pub fn while_pruning<R>(entries: Pruned, work: impl FnOnce() -> R) -> R {
    let _restore = Restore;
    PRUNED.set(Some((entries, (0, None))));
    work()
}

/// Ends an UPDATE, DELETE or TRUNCATE of a history with an ERROR, but for the entries that pruning
/// is removing, here or, by replication, on another node.
pub fn judge(call: &TriggerCall<'_>) -> NewTuple {
    // What another node pruned: its cut comes in the same transaction, and without it the entries are missing.
    let may_go = || server::is_logical_worker() || is_pruned(call);
    if call.fired() == Fired::BeforeDeleteRow && may_go() {
        return call.unchanged();
    }
    refuse(call)
}

fn is_pruned(call: &TriggerCall<'_>) -> bool {
    PRUNED.with_borrow_mut(|pruned| {
        let Some((pruned, layout)) = pruned else { return false };
        let table = call.relation();
        if layout.0 != table {
            let of_history = relation::root_of(table) == pruned.root;
            *layout = (table, SealPlaces::find(&relation::attributes_of(table)).filter(|_| of_history));
        }
        let Some(places) = layout.1 else { return false };
        let row = call.row();
        let chain = row.get(places.chain).map(|value| value.to_bytes());
        let position = row.get(places.seq).and_then(|value| u64::try_from(value.as_i64()).ok());
        chain.as_deref() == Some(pruned.chain.as_bytes())
            && position.is_some_and(|position| pruned.positions.contains(&position))
    })
}

fn refuse(call: &TriggerCall<'_>) -> ! {
    let table = relation::name_of(call.relation());
    let (statement, consequence) = match call.fired() {
        Fired::BeforeUpdateRow => ("UPDATE", "A changed entry would no longer fit its signature."),
        Fired::BeforeDeleteRow => ("DELETE", "A removed entry would leave a gap in its chain."),
        _ => ("TRUNCATE", "Removed entries would leave their chains without them."),
    };
    Report::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("{statement} is not allowed on history \"{table}\""),
    )
    .detail(format!("It is append-only: its rows are sealed. {consequence}"))
    .hint(format!(
        "Insert a new row that corrects the old one. To give the table up as a history: SELECT seal.detach({}).",
        literal(&relation::name_of(relation::root_of(call.relation())))
    ))
    .raise()
}
