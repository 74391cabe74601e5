//! The newest entry of every chain, in shared memory: found, reserved, published, freed.

use crate::pg::server;
use crate::pg::shared_memory::{self, HeadSlot, SlotKey};
use pgseal_chain::{GENESIS, HistoryId, Mac};

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
    }
}

/// The slot of a chain, made if it is not there: not valid, so that its owner reloads it.
/// `relation` is the history's table.
pub fn reserve(history: HistoryId, chain: u32, relation: u32) -> Result<Remembered, Full> {
    let key = SlotKey { database: server::database(), chain, history: history.0 };
    let known = shared_memory::read_heads(|slots| find(slots, key).map(|i| remembered(i, &slots[i])));
    if let Some(known) = known {
        return Ok(known);
    }
    shared_memory::write_heads(|slots| {
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
            };
        }
        Ok(remembered(place, &slots[place]))
    })
}

/// All chains of a history that the server remembers.
pub fn of_history(history: HistoryId) -> Vec<Remembered> {
    let database = server::database();
    let mut found = Vec::new();
    shared_memory::read_heads(|slots| {
        for (i, slot) in slots.iter().enumerate() {
            if slot.state == USED && slot.key.history == history.0 && slot.key.database == database {
                found.push(remembered(i, slot));
            }
        }
    });
    found.sort_by_key(|known| known.slot.chain());
    found
}

/// Histories of this database of which the server remembers entries, with the oid of their table.
pub fn histories() -> Vec<(HistoryId, u32)> {
    let database = server::database();
    let mut found = Vec::new();
    shared_memory::read_heads(|slots| {
        let used = slots.iter().filter(|slot| slot.state == USED && slot.position > 0);
        found.extend(used.filter(|slot| slot.key.database == database).map(|slot| (slot.key.history, slot.relation)));
    });
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|(history, relation)| (HistoryId(history), relation)).collect()
}

/// Frees the slots of dropped databases and, in this one, of the histories that `gone` names; says
/// whether there were any.
pub fn evict(gone: &[HistoryId]) -> bool {
    let here = server::database();
    let mut databases = Vec::new();
    shared_memory::read_heads(|slots| {
        databases.extend(slots.iter().filter(|slot| slot.state == USED).map(|slot| slot.key.database));
    });
    databases.sort_unstable();
    databases.dedup();
    databases.retain(|database| !server::database_exists(*database));
    let mut any = false;
    shared_memory::write_heads(|slots| {
        for slot in slots.iter_mut().filter(|slot| slot.state == USED) {
            let history_gone = slot.key.database == here && gone.contains(&HistoryId(slot.key.history));
            if history_gone || databases.binary_search(&slot.key.database).is_ok() {
                slot.state = FREED;
                any = true;
            }
        }
    });
    any
}

/// How many slots are in use, and how many there are.
pub fn usage() -> (usize, usize) {
    shared_memory::read_heads(|slots| (slots.iter().filter(|slot| slot.state == USED).count(), slots.len()))
}

/// Makes this the newest entry. Runs at commit: nothing in here can fail.
pub fn publish(slot: Slot, head: &Head) {
    change(slot, |content| {
        content.position = head.position;
        content.mac = head.mac;
        content.sealed_at = head.sealed_at;
        content.epoch = head.epoch as u32;
        content.valid = true;
        content.suspect = false;
    });
}

/// Keeps the value as the floor below which the chain may not fall.
pub fn invalidate(slot: Slot) {
    change(slot, |content| content.valid = false);
}

/// Makes the next owner look whether its next position is free.
pub fn suspect(slot: Slot) {
    change(slot, |content| content.suspect = true);
}

/// The chain takes no more entries.
pub fn close(slot: Slot) {
    change(slot, |content| content.closed = true);
}

/// Does nothing if the slot was evicted meanwhile.
fn change(slot: Slot, change: impl FnOnce(&mut HeadSlot)) {
    shared_memory::write_heads(|slots| {
        if let Some(content) =
            slots.get_mut(slot.index).filter(|content| content.state == USED && content.key == slot.key)
        {
            change(content);
        }
    });
}
