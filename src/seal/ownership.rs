//! How a transaction comes to own a chain: its own one of last time if that is free, otherwise
//! the first that is.

use super::error::SealError;
use super::heads::{self, Head, Remembered, Slot};
use super::plan::{self, SealPlan};
use super::reload;
use crate::pg::error::Report;
use crate::pg::lock::{self, ChainLock};
use crate::pg::server;
use crate::record::definition::{self, Attachment};
use crate::record::registry;
use pgrx::PgSqlErrorCode;
use pgseal_chain::HistoryId;
use std::rc::Rc;

/// A chain that this transaction may continue, and where it stood.
#[derive(Debug, Clone)]
pub struct Granted {
    pub name: Rc<str>,
    pub slot: Slot,
    pub head: Head,
    /// Look whether the next position is free before using it.
    pub suspect: bool,
}

/// Takes a chain that `excluded` does not name. Without `max_chains` there is always one more, so
/// this never waits; with it, it waits like a row lock does.
///
/// `detaching` are the histories whose detachment this transaction has not committed yet.
pub fn own(plan: &SealPlan, preferred: u32, excluded: &[u32], detaching: &[HistoryId]) -> Result<Granted, SealError> {
    let mut usable = Vec::new();
    match plan.max_chains {
        None => {
            // More chains than open transactions: one is free.
            let enough = server::transactions_at_most() as usize + excluded.len();
            let numbers = std::iter::once(preferred).chain(CHAIN_NUMBERS.filter(|number| *number != preferred));
            for number in numbers.filter(|number| !excluded.contains(number)).take(enough) {
                if let Some(granted) = try_own(plan, number, false, detaching)? {
                    return Ok(granted);
                }
            }
        }
        Some(limit) => {
            for number in CHAIN_NUMBERS.filter(|number| !excluded.contains(number)) {
                if !remembered(plan, number, detaching)?.closed {
                    usable.push(number);
                }
                if usable.len() >= limit.max(1) as usize {
                    break;
                }
            }
            usable.sort_by_key(|number| *number != preferred);
            for number in &usable {
                if let Some(granted) = try_own(plan, *number, false, detaching)? {
                    return Ok(granted);
                }
            }
        }
    }
    let Some(number) = usable.first().copied() else { return Err(SealError::NoChain { table: plan.table.clone() }) };
    match try_own(plan, number, true, detaching)? {
        Some(granted) => Ok(granted),
        // Closed while we waited: the others, or one more, are left.
        None => own(plan, preferred, &[excluded, &[number]].concat(), detaching),
    }
}

/// The lock manager keeps 16 bits of them.
const CHAIN_NUMBERS: std::ops::RangeInclusive<u32> = 0..=u16::MAX as u32;

fn remembered(plan: &SealPlan, number: u32, detaching: &[HistoryId]) -> Result<Remembered, SealError> {
    let reserve = || heads::reserve(plan.history, number, plan.root);
    reserve()
        .or_else(|full| if heads::evict(&detached_histories(detaching)) { reserve() } else { Err(full) })
        .map_err(|full| SealError::HeadsFull { slots: full.slots })
}

/// Histories whose heads protect nothing any more.
fn detached_histories(detaching: &[HistoryId]) -> Vec<HistoryId> {
    let detached =
        registry::registrations().into_iter().filter(|row| definition::attachment(row) == Attachment::Detached);
    detached.map(|row| row.history).filter(|history| !detaching.contains(history)).collect()
}

fn try_own(plan: &SealPlan, number: u32, wait: bool, detaching: &[HistoryId]) -> Result<Option<Granted>, SealError> {
    let lock = ChainLock { catalog: plan.catalog, relation: plan.root, number: number as u16 };
    if !lock::acquire(lock, wait) {
        return Ok(None);
    }
    // Only now, with the lock held, nobody else publishes this chain's head.
    let known = remembered(plan, number, detaching)?;
    if known.closed {
        return Ok(None);
    }
    let name: Rc<str> = plan::chain_name(&plan.chain_prefix, number).into();
    let head = match known.valid {
        true => known.head,
        // A baseline begins every chain.
        false if plan.seal_index.is_none() => Head::START,
        false => match reloaded(plan, &name, &known)? {
            Some(head) => head,
            None => return Ok(None),
        },
    };
    if head.epoch > plan.epoch {
        let sentence =
            format!("chain {name} has entries of epoch {}, but seal.history knows only {}", head.epoch, plan.epoch);
        return Err(SealError::Altered { table: plan.table.clone(), sentence });
    }
    Ok(Some(Granted { name, slot: known.slot, head, suspect: known.suspect }))
}

/// The chain's head from the table; never below what shared memory remembers. `None` closes the
/// chain.
fn reloaded(plan: &SealPlan, name: &str, known: &Remembered) -> Result<Option<Head>, SealError> {
    let found = reload::reload(plan.root, name)?;
    if found.blocked {
        close(plan, name, known.slot);
        return Ok(None);
    }
    if found.head.position < known.head.position {
        Report::new(
            PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
            format!("entries of history \"{}\" are gone", plan.table),
        )
        .detail(format!(
            "Chain {name} ends at position {}, the server remembers {}. Sealing goes on after {}, so that the gap stays visible.",
            found.head.position, known.head.position, known.head.position
        ))
        .hint("Run: SELECT * FROM seal.findings().")
        .warn();
        return Ok(Some(known.head));
    }
    Ok(Some(found.head))
}

/// Ends a chain at whose next position a foreign row stands.
pub fn close(plan: &SealPlan, name: &str, slot: Slot) {
    heads::close(slot);
    Report::new(
        PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
        format!("chain {name} of history \"{}\" takes no more entries", plan.table),
    )
    .detail("A row that pgseal did not write stands above its newest entry.")
    .hint("Run: SELECT * FROM seal.findings().")
    .log();
}
