//! The newest published anchor, which every sealed row names, and the mark that tells the worker
//! that there is something to anchor.

use super::error::SealError;
use crate::pg::counters;
use crate::pg::shared_memory::{self, DatabaseSlot, MAX_DATABASES, Shared};
use crate::pg::snapshot::Sees;
use crate::pg::{clock, server};
use crate::record::anchor;
use pgseal_chain::Mac;

/// What a row needs to know of the newest anchor; number 0: there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestAnchor {
    pub number: u64,
    /// µs since 2000-01-01 UTC.
    pub at: i64,
    pub mac: Mac,
}

impl NewestAnchor {
    pub const NONE: NewestAnchor = NewestAnchor { number: 0, at: i64::MIN, mac: pgseal_chain::GENESIS };
}

/// The newest anchor of this node in this database; from the table where memory does not know it.
pub fn newest(chain_prefix: &str) -> Result<NewestAnchor, SealError> {
    if let Some(known) = known() {
        return Ok(known);
    }
    let Some(found) = anchor::newest(chain_prefix, Sees::Stored) else { return Err(SealError::NoAnchors) };
    publish(found, |_| {})?;
    Ok(known().unwrap_or(found))
}

/// What memory knows, if it does.
pub fn known() -> Option<NewestAnchor> {
    shared_memory::read(|_, databases| of(databases, server::database()))
}

/// What these slots know of a database's newest anchor. Called with the lock held, for every transaction that seals:
/// copies no more than that.
pub(super) fn of(databases: &[DatabaseSlot], database: u32) -> Option<NewestAnchor> {
    let slot = databases.iter().find(|slot| slot.database == database)?;
    slot.known.then_some(NewestAnchor { number: slot.number, at: slot.at, mac: slot.mac })
}

/// This database's slot as it is now.
pub fn slot() -> Option<DatabaseSlot> {
    shared_memory::database(server::database(), |slot| *slot)
}

/// Publishes an anchor, unless a newer one is known, and changes what else stands in the slot.
pub fn publish(anchor: NewestAnchor, change: impl FnOnce(&mut DatabaseSlot)) -> Result<(), SealError> {
    update(|slot| {
        if !slot.known || anchor.number > slot.number {
            slot.known = true;
            slot.number = anchor.number;
            slot.at = anchor.at;
            slot.mac = anchor.mac;
        }
        change(slot);
    })
}

/// Changes this database's slot, which is made if it is not there.
pub fn update(change: impl FnOnce(&mut DatabaseSlot)) -> Result<(), SealError> {
    let database = server::database();
    if !reserve(database) {
        free_dropped();
        if !reserve(database) {
            return Err(SealError::DatabasesFull { slots: MAX_DATABASES });
        }
    }
    shared_memory::change_database(database, change);
    Ok(())
}

/// Whether the database has a slot now.
fn reserve(database: u32) -> bool {
    shared_memory::write(|Shared { databases, .. }| {
        if databases.iter().any(|slot| slot.database == database) {
            return true;
        }
        let free = databases.iter_mut().find(|slot| slot.database == 0);
        free.map(|slot| slot.database = database).is_some()
    })
}

fn free_dropped() {
    let mut known = Vec::new();
    shared_memory::read(|_, databases| known.extend(databases.iter().map(|slot| slot.database)));
    known.retain(|database| *database != 0 && !server::database_exists(*database));
    shared_memory::write(|Shared { databases, .. }| {
        for slot in databases.iter_mut().filter(|slot| known.contains(&slot.database)) {
            *slot = DatabaseSlot::FREE;
        }
    });
    counters::forget(|database| !server::database_exists(database));
}

/// Marks a database as having something to anchor; `true` if it was not marked yet. Called with the
/// lock held, at commit: cannot fail.
pub fn mark_dirty(databases: &mut [DatabaseSlot], database: u32) -> bool {
    match databases.iter_mut().find(|slot| slot.database == database) {
        Some(slot) if !slot.dirty => {
            slot.dirty = true;
            slot.dirty_since = clock::now();
            true
        }
        _ => false,
    }
}
