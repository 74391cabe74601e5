//! How a transaction comes to own a chain: its own one of last time if that is free, otherwise
//! the first that is.

use super::error::SealError;
use super::heads::{self, Head, Remembered};
use super::plan::SealPlan;
use super::reload;
use crate::pg::error::Report;
use crate::pg::lock::{self, ChainLock};
use crate::pg::server;
use pgrx::PgSqlErrorCode;
use std::rc::Rc;

/// A chain that this transaction may continue, and where it stood.
#[derive(Debug, Clone)]
pub struct Granted {
    pub number: u32,
    pub name: Rc<str>,
    pub slot: usize,
    pub head: Head,
    /// Look whether the next position is free before using it.
    pub suspect: bool,
}

/// Takes a chain that `excluded` does not name. Without `max_chains` there is always one more, so
/// this never waits; with it, it waits like a row lock does.
pub fn own(plan: &SealPlan, preferred: u32, excluded: &[u32]) -> Result<Granted, SealError> {
    let limit = plan.max_chains.unwrap_or_else(server::transactions_at_most).max(1);
    let mut open_chains = Vec::new();
    let numbers = std::iter::once(preferred).chain((0..u32::from(u16::MAX)).filter(|number| *number != preferred));
    for number in numbers.filter(|number| !excluded.contains(number)) {
        if remembered(plan, number)?.closed {
            continue;
        }
        if let Some(granted) = try_own(plan, number, false)? {
            return Ok(granted);
        }
        open_chains.push(number);
        if open_chains.len() >= limit as usize {
            break;
        }
    }
    let wait_for = if open_chains.contains(&preferred) { Some(preferred) } else { open_chains.first().copied() };
    match (plan.max_chains, wait_for) {
        (Some(_), Some(number)) => match try_own(plan, number, true)? {
            Some(granted) => Ok(granted),
            // Closed while we waited: the others, or one more, are left.
            None => own(plan, preferred, &[excluded, &[number]].concat()),
        },
        _ => Err(SealError::NoChain { table: plan.table.clone() }),
    }
}

fn remembered(plan: &SealPlan, number: u32) -> Result<Remembered, SealError> {
    heads::reserve(plan.root, number).map_err(|full| SealError::HeadsFull { slots: full.slots })
}

fn try_own(plan: &SealPlan, number: u32, wait: bool) -> Result<Option<Granted>, SealError> {
    let lock = ChainLock { catalog: plan.catalog, relation: plan.root, number: number as u16 };
    if !lock::acquire(lock, wait) {
        return Ok(None);
    }
    // Only now, with the lock held, nobody else publishes this chain's head.
    let known = remembered(plan, number)?;
    if known.closed {
        return Ok(None);
    }
    let name = chain_name(&plan.chain_prefix, number);
    let head = match known.valid {
        true => known.head,
        false => match reloaded(plan, &name, &known) {
            Some(head) => head,
            None => return Ok(None),
        },
    };
    if head.epoch > plan.epoch {
        let sentence =
            format!("chain {name} has entries of epoch {}, but seal.history knows only {}", head.epoch, plan.epoch);
        return Err(SealError::Altered { table: plan.table.clone(), sentence });
    }
    Ok(Some(Granted { number, name, slot: known.slot, head, suspect: known.suspect }))
}

fn chain_name(prefix: &str, number: u32) -> Rc<str> {
    if number == 0 { prefix.into() } else { format!("{prefix}/{number}").into() }
}

/// The chain's head from the table; never below what shared memory remembers. `None` closes the
/// chain.
fn reloaded(plan: &SealPlan, name: &str, known: &Remembered) -> Option<Head> {
    let found = reload::reload(plan.root, name);
    if found.blocked {
        close(plan, name, known.slot);
        return None;
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
        return Some(known.head);
    }
    Some(found.head)
}

/// Ends a chain at whose next position a foreign row stands.
pub fn close(plan: &SealPlan, name: &str, slot: usize) {
    heads::close(slot);
    Report::new(
        PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
        format!("chain {name} of history \"{}\" takes no more entries", plan.table),
    )
    .detail("A row that pgseal did not write stands above its newest entry.")
    .hint("Run: SELECT * FROM seal.findings().")
    .log();
}
