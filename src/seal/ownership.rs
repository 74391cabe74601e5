//! How a transaction comes to own a chain: its own one of last time if that is free, otherwise
//! the first that is.

use super::error::SealError;
use super::heads::{self, Head, Remembered, Slot};
use super::newest_anchor::{self, NewestAnchor};
use super::plan::{self, FamiliarChain, SealPlan};
use super::reload;
use crate::pg::counters::{self, Counted};
use crate::pg::error::Report;
use crate::pg::lock::{self, ChainLock};
use crate::pg::server;
use crate::record::{anchor, cut};
use pgrx::PgSqlErrorCode;
use std::rc::Rc;

/// A chain that this transaction may continue, and where it stood.
#[derive(Debug, Clone)]
pub struct Granted {
    pub name: Rc<str>,
    pub slot: Slot,
    pub head: Head,
    /// What its entries name.
    pub anchor: NewestAnchor,
    /// Look whether the next position is free before using it.
    pub suspect: bool,
}

/// Takes a chain that `excluded` does not name. Without `max_chains` there is always one more, so
/// this never waits; with it, it waits like a row lock does.
pub fn own(plan: &SealPlan, preferred: u32, excluded: &[u32]) -> Result<Granted, SealError> {
    let mut usable = Vec::new();
    match plan.max_chains {
        None => {
            // More chains than open transactions: one is free.
            let enough = server::transactions_at_most() as usize + excluded.len();
            let numbers = std::iter::once(preferred).chain(CHAIN_NUMBERS.filter(|number| *number != preferred));
            for number in numbers.filter(|number| !excluded.contains(number)).take(enough) {
                if let Some(granted) = try_own(plan, number, false)? {
                    return Ok(granted);
                }
            }
        }
        Some(limit) => {
            for number in CHAIN_NUMBERS.filter(|number| !excluded.contains(number)) {
                if !remembered(plan, number)?.closed {
                    usable.push(number);
                }
                if usable.len() >= limit.max(1) as usize {
                    break;
                }
            }
            usable.sort_by_key(|number| *number != preferred);
            for number in &usable {
                if let Some(granted) = try_own(plan, *number, false)? {
                    return Ok(granted);
                }
            }
        }
    }
    let Some(number) = usable.first().copied() else { return Err(SealError::NoChain { table: plan.table.clone() }) };
    counters::count(Counted::ChainWaits, 1);
    match try_own(plan, number, true)? {
        Some(granted) => Ok(granted),
        // Closed while we waited: the others, or one more, are left.
        None => own(plan, preferred, &[excluded, &[number]].concat()),
    }
}

/// The lock manager keeps 16 bits of them.
const CHAIN_NUMBERS: std::ops::RangeInclusive<u32> = 0..=u16::MAX as u32;

fn remembered(plan: &SealPlan, number: u32) -> Result<Remembered, SealError> {
    heads::reserve(plan.history, number, plan.root).map_err(|full| SealError::HeadsFull { slots: full.slots })
}

fn try_own(plan: &SealPlan, number: u32, wait: bool) -> Result<Option<Granted>, SealError> {
    let lock = ChainLock { catalog: plan.catalog, relation: plan.root, number: number as u16 };
    if !lock::acquire(lock, wait) {
        return Ok(None);
    }
    // Only now, with the lock held, nobody else publishes this chain's head.
    let (known, anchor, name) = standing(plan, number)?;
    if known.closed {
        return Ok(None);
    }
    let head = match known.valid {
        true => known.head,
        // A baseline begins every chain.
        false if plan.seal_index.is_none() => Head::START,
        false => match reloaded(plan, &name, &known)? {
            Some(head) => head,
            None => return Ok(None),
        },
    };
    Ok(Some(Granted { name, slot: known.slot, head, anchor, suspect: known.suspect }))
}

/// What shared memory has of the chain, and the newest anchor.
fn standing(plan: &SealPlan, number: u32) -> Result<(Remembered, NewestAnchor, Rc<str>), SealError> {
    if let Some(chain) = plan.familiar(number)
        && let (Some(known), Some(anchor)) = heads::look(chain.slot)
    {
        return Ok((known, anchor, chain.name));
    }
    let known = remembered(plan, number)?;
    let anchor = newest_anchor::newest(&plan.chain_prefix)?;
    let name: Rc<str> = plan::chain_name(&plan.chain_prefix, number).into();
    plan.make_familiar(FamiliarChain { name: Rc::clone(&name), slot: known.slot });
    Ok((known, anchor, name))
}

/// The chain's head from the table; never below what shared memory or the anchors remember. `None`
/// closes the chain.
fn reloaded(plan: &SealPlan, name: &str, known: &Remembered) -> Result<Option<Head>, SealError> {
    let found = reload::reload(plan.root, name)?;
    if found.blocked {
        close(plan, name, known.slot);
        return Ok(None);
    }
    let floor = floor(plan, name, known);
    let has_floor = || floor.position == 0 || reload::has_entry(plan.root, name, floor.position, &floor.mac);
    if found.head.position > 0 && found.head.position >= floor.position && has_floor() {
        return Ok(Some(found.head));
    }
    let cut = cut::head(plan.history, name).unwrap_or(Head::START);
    if found.head.position < cut.position && floor.position <= cut.position {
        return Ok(Some(cut));
    }
    if found.head.position < floor.position {
        entries_are_gone(&plan.table, name, found.head.position, floor.position);
        return Ok(Some(floor));
    }
    // Whoever exchanged what was anchored must not have it anchored anew.
    if floor.position > cut.position {
        close(plan, name, known.slot);
        return Ok(None);
    }
    Ok(Some(found.head))
}

/// The highest position that something outside the table remembers of the chain.
fn floor(plan: &SealPlan, name: &str, known: &Remembered) -> Head {
    let anchored = anchor::floor(&plan.chain_prefix, plan.history, name);
    match anchored.filter(|(position, ..)| *position > known.head.position) {
        Some((position, mac, at)) => Head { position, mac, sealed_at: at, epoch: 0 },
        None => known.head,
    }
}

fn entries_are_gone(table: &str, chain: &str, found: u64, known: u64) {
    Report::new(PgSqlErrorCode::ERRCODE_DATA_CORRUPTED, format!("entries of history \"{table}\" are gone"))
        .detail(format!(
            "Chain {chain} ends at position {found}, {known} entries were known. Sealing goes on after {known}, so that the gap stays visible."
        ))
        .hint("Run: SELECT * FROM seal.findings().")
        .warn();
}

/// Ends a chain at whose next position a foreign row stands.
pub fn close(plan: &SealPlan, name: &str, slot: Slot) {
    heads::close(slot);
    counters::count(Counted::ChainsClosed, 1);
    Report::new(
        PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
        format!("chain {name} of history \"{}\" takes no more entries", plan.table),
    )
    .detail("A row that pgseal did not write stands above its newest entry, or in the place of one.")
    .hint("Run: SELECT * FROM seal.findings().")
    .log();
}
