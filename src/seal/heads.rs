//! The newest entry of every chain, in shared memory: found, reserved, published, freed.

use super::newest_anchor::{self, NewestAnchor};
use crate::pg::lock::{self, ChainLock};
use crate::pg::server;
use crate::pg::shared_memory::{self, DatabaseSlot, HeadSlot, Shared, SlotKey};
use crate::record::definition::{self, Attachment};
use crate::record::{journal, registry};
use pgseal_chain::{GENESIS, HistoryId, JOURNAL, Mac};

const FREE: u32 = 0;
const USED: u32 = 1;
const FREED: u32 = 2;

/// A chain's newest entry; position 0 with the genesis mac before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub position: u64,
    pub mac: Mac,
    /// µs since 2000-01-01 UTC.
    pub sealed_at: i64,
    pub epoch: i32,
}

impl Head {
    pub const START: Head = Head { position: 0, mac: GENESIS, sealed_at: i64::MIN, epoch: 0 };
}

/// What the server remembers of a chain.
#[derive(Debug, Clone, Copy)]
pub struct Remembered {
    pub slot: Slot,
    pub head: Head,
    pub valid: bool,
    pub closed: bool,
    pub suspect: bool,
    /// Position in the newest anchor that has this chain; 0: in none that is known.
    pub anchored: u64,
    relation: u32,
}

impl Remembered {
    /// Oid of the history's table when the slot was made.
    pub fn relation(&self) -> u32 {
        self.relation
    }
}

/// A chain's place in shared memory: stays the same while a transaction owns the chain.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    index: usize,
    key: SlotKey,
}

impl Slot {
    /// The chain's number.
    pub fn chain(&self) -> u32 {
        self.key.chain
    }

    /// The history it belongs to; the journal has an id of its own.
    pub fn history(&self) -> HistoryId {
        HistoryId(self.key.history)
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Full {
    pub slots: usize,
}

/// Where the search for a key begins. A history's id is random, so that its bytes are a hash.
fn start(key: SlotKey, slots: usize) -> usize {
    let random = key.history.iter().fold(0_u64, |bits, byte| (bits << 5) ^ (bits >> 59) ^ u64::from(*byte));
    let spread = random ^ (u64::from(key.chain).wrapping_mul(0x9e37_79b9_7f4a_7c15)) ^ u64::from(key.database);
    (spread % slots as u64) as usize
}

fn find(slots: &[HeadSlot], key: SlotKey) -> Option<usize> {
    let from = start(key, slots.len());
    (from..slots.len())
        .chain(0..from)
        .take_while(|&i| slots[i].state != FREE)
        .find(|&i| slots[i].state == USED && slots[i].key == key)
}

fn remembered(index: usize, content: &HeadSlot) -> Remembered {
    Remembered {
        slot: Slot { index, key: content.key },
        head: Head {
            position: content.position,
            mac: content.mac,
            sealed_at: content.sealed_at,
            epoch: content.epoch as i32,
        },
        valid: content.valid,
        closed: content.closed,
        suspect: content.suspect,
        anchored: content.anchored,
        relation: content.relation,
    }
}

/// The slot of a chain, made if it is not there: not valid, so that its owner reloads it. Where
/// memory is full, slots that are not needed are freed. `relation` is the history's table.
pub fn reserve(history: HistoryId, chain: u32, relation: u32) -> Result<Remembered, Full> {
    reserve_free(history, chain, relation)
        .or_else(|full| if evict() { reserve_free(history, chain, relation) } else { Err(full) })
}

fn reserve_free(history: HistoryId, chain: u32, relation: u32) -> Result<Remembered, Full> {
    let key = SlotKey { database: server::database(), chain, history: history.0 };
    let known = shared_memory::read(|slots, _| find(slots, key).map(|i| remembered(i, &slots[i])));
    if let Some(known) = known {
        return Ok(known);
    }
    shared_memory::write(|Shared { heads: slots, .. }| {
        let from = start(key, slots.len());
        let place = find(slots, key)
            .or_else(|| (from..slots.len()).chain(0..from).find(|&i| slots[i].state != USED))
            .ok_or(Full { slots: slots.len() })?;
        if slots[place].state != USED {
            slots[place] = HeadSlot {
                key,
                relation,
                state: USED,
                position: Head::START.position,
                sealed_at: Head::START.sealed_at,
                epoch: Head::START.epoch as u32,
                valid: false,
                closed: false,
                suspect: false,
                mac: Head::START.mac,
                anchored: 0,
            };
        }
        Ok(remembered(place, &slots[place]))
    })
}

/// What stands in a slot that was reserved before, unless it was freed since, and the newest anchor, if it is known;
/// both at one moment.
pub fn look(slot: Slot) -> (Option<Remembered>, Option<NewestAnchor>) {
    shared_memory::read(|slots, databases| {
        let content = slots.get(slot.index).filter(|content| content.state == USED && content.key == slot.key);
        let known = content.map(|content| remembered(slot.index, content));
        (known, newest_anchor::of(databases, slot.key.database))
    })
}

/// All chains of a history that the server remembers.
pub fn of_history(history: HistoryId) -> Vec<Remembered> {
    let mut found = of_database();
    found.retain(|known| known.slot.key.history == history.0);
    found
}

/// All chains of this database that the server remembers, those of the journal too.
pub fn of_database() -> Vec<Remembered> {
    let database = server::database();
    let mut found = Vec::new();
    shared_memory::read(|slots, _| {
        let used = slots.iter().enumerate().filter(|(_, slot)| slot.state == USED && slot.key.database == database);
        found.extend(used.map(|(i, slot)| remembered(i, slot)));
    });
    found.sort_by_key(|known| (known.slot.key.history, known.slot.chain()));
    found
}

/// Histories of this database of which the server remembers entries, with the oid of their table.
pub fn histories() -> Vec<(HistoryId, u32)> {
    let database = server::database();
    let mut found = Vec::new();
    shared_memory::read(|slots, _| {
        let used = slots.iter().filter(|slot| slot.state == USED && slot.position > 0 && slot.key.history != JOURNAL.0);
        found.extend(used.filter(|slot| slot.key.database == database).map(|slot| (slot.key.history, slot.relation)));
    });
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|(history, relation)| (HistoryId(history), relation)).collect()
}

/// Frees the slots of dropped databases, and in this one those of chains that the newest anchors
/// have and that nobody owns; says whether there were any.
fn evict() -> bool {
    let Some(catalog) = registry::catalog() else { return false };
    let mut any = free_dropped_databases();
    let detached = detached_histories();
    for known in of_database() {
        let lock = ChainLock { catalog, relation: known.relation(), number: known.slot.key.chain as u16 };
        let needed = !detached.contains(&known.slot.history()) && !is_anchored(&known);
        if known.slot.key.history == JOURNAL.0 || needed || !lock::acquire_unowned(lock) {
            continue;
        }
        // With the lock held nobody else publishes; what the anchors have, a reload will not fall below.
        any |= shared_memory::write(|Shared { heads, .. }| match heads.get_mut(known.slot.index) {
            Some(slot)
                if slot.key == known.slot.key
                    && (detached.contains(&known.slot.history())
                        || is_anchored(&remembered(known.slot.index, slot))) =>
            {
                slot.state = FREED;
                true
            }
            _ => false,
        });
        lock::release(lock);
    }
    any
}

/// Histories that nobody promised to keep any more, as the journal says.
pub fn detached_histories() -> Vec<HistoryId> {
    registry::registrations()
        .into_iter()
        .filter(|row| definition::attachment(row) == Attachment::Detached && !journal::is_queued(row.history))
        .map(|row| row.history)
        .collect()
}

fn is_anchored(known: &Remembered) -> bool {
    known.valid && !known.closed && known.anchored == known.head.position
}

/// Forgets the journal and these histories of this database. Runs at commit: cannot fail.
pub fn forget(histories: &[HistoryId]) {
    let database = server::database();
    shared_memory::write(|Shared { heads, databases, .. }| {
        for slot in heads.iter_mut().filter(|slot| slot.state == USED && slot.key.database == database) {
            let history = HistoryId(slot.key.history);
            if history == JOURNAL || histories.contains(&history) {
                slot.state = FREED;
            }
        }
        if let Some(slot) = databases.iter_mut().find(|slot| slot.database == database) {
            // A run worker that is still there is looked after until it has left.
            let (running_since, run_pid) = (slot.running_since, slot.run_pid);
            *slot = DatabaseSlot { database, running_since, run_pid, ..DatabaseSlot::FREE };
        }
    });
}

fn free_dropped_databases() -> bool {
    let mut databases = Vec::new();
    shared_memory::read(|slots, _| {
        databases.extend(slots.iter().filter(|slot| slot.state == USED).map(|slot| slot.key.database));
    });
    databases.sort_unstable();
    databases.dedup();
    databases.retain(|database| !server::database_exists(*database));
    shared_memory::write(|Shared { heads, .. }| {
        let mut any = false;
        for slot in heads.iter_mut().filter(|slot| slot.state == USED) {
            if databases.binary_search(&slot.key.database).is_ok() {
                slot.state = FREED;
                any = true;
            }
        }
        any
    })
}

/// How many slots are in use, and how many there are.
pub fn usage() -> (usize, usize) {
    shared_memory::read(|slots, _| (slots.iter().filter(|slot| slot.state == USED).count(), slots.len()))
}

/// Makes this the newest entry; says whether the launcher is to be woken. Runs at commit: nothing
/// in here can fail.
pub fn publish(slot: Slot, head: &Head) -> bool {
    change(slot, |content| {
        // Written to by every commit; only a new position is something to anchor.
        let news = content.position != head.position || !content.valid;
        content.position = head.position;
        content.mac = head.mac;
        content.sealed_at = head.sealed_at;
        content.epoch = head.epoch as u32;
        content.valid = true;
        content.suspect = false;
        news
    })
}

/// Keeps the value as the floor below which the chain may not fall; says whether the launcher is to
/// be woken.
pub fn invalidate(slot: Slot) -> bool {
    change(slot, |content| {
        content.valid = false;
        true
    })
}

/// Makes the next owner look whether its next position is free; says whether the launcher is to be
/// woken.
pub fn suspect(slot: Slot) -> bool {
    change(slot, |content| {
        content.suspect = true;
        // The worker finds out how it stands.
        !content.valid
    })
}

/// The chain takes no more entries.
pub fn close(slot: Slot) {
    change(slot, |content| {
        content.closed = true;
        false
    });
}

/// The newest anchor has the chain at this position.
pub fn anchored(slot: Slot, position: u64) {
    change(slot, |content| {
        content.anchored = content.anchored.max(position);
        false
    });
}

/// Does nothing if the slot was evicted meanwhile. Where `change` says that there is something to
/// anchor, the database is marked; `true` if it was not yet.
fn change(slot: Slot, change: impl FnOnce(&mut HeadSlot) -> bool) -> bool {
    shared_memory::write(|Shared { heads, databases, .. }| {
        let content = heads.get_mut(slot.index).filter(|content| content.state == USED && content.key == slot.key);
        content.is_some_and(change) && newest_anchor::mark_dirty(databases, slot.key.database)
    })
}
