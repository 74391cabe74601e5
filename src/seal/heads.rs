//! The newest entry of every chain, in shared memory: found, reserved, published, freed.

use crate::pg::server;
use crate::pg::shared_memory::{self, HeadSlot, SlotKey};
use pgseal_chain::{GENESIS, Mac};

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
    /// Stays the same while a transaction owns the chain.
    pub slot: usize,
    pub chain: u32,
    pub head: Head,
    pub valid: bool,
    pub closed: bool,
    pub suspect: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct Full {
    pub slots: usize,
}

fn key(relation: u32, chain: u32) -> SlotKey {
    SlotKey { database: server::database(), relation, chain }
}

/// Where the search for a key begins (FNV-1a over its three numbers).
fn start(key: SlotKey, slots: usize) -> usize {
    let hash = [key.database, key.relation, key.chain]
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, part| (hash ^ u64::from(*part)).wrapping_mul(0x0100_0000_01b3));
    ((hash >> 20) % slots as u64) as usize
}

fn find(slots: &[HeadSlot], key: SlotKey) -> Option<usize> {
    let from = start(key, slots.len());
    (from..slots.len())
        .chain(0..from)
        .take_while(|&i| slots[i].state != FREE)
        .find(|&i| slots[i].state == USED && slots[i].key == key)
}

fn remembered(slot: usize, content: &HeadSlot) -> Remembered {
    Remembered {
        slot,
        chain: content.key.chain,
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
pub fn reserve(relation: u32, chain: u32) -> Result<Remembered, Full> {
    let key = key(relation, chain);
    let known = shared_memory::read_heads(|slots| find(slots, key).map(|i| remembered(i, &slots[i])));
    if let Some(known) = known {
        return Ok(known);
    }
    shared_memory::write_heads(|slots| {
        let from = start(key, slots.len());
        let place = (from..slots.len()).chain(0..from).find(|&i| slots[i].state != USED);
        let Some(place) = place else { return Err(Full { slots: slots.len() }) };
        slots[place] = HeadSlot {
            key,
            state: USED,
            position: Head::START.position,
            sealed_at: Head::START.sealed_at,
            epoch: Head::START.epoch as u32,
            valid: false,
            closed: false,
            suspect: false,
            mac: Head::START.mac,
        };
        Ok(remembered(place, &slots[place]))
    })
}

/// All chains of a history that the server remembers.
pub fn of_relation(relation: u32) -> Vec<Remembered> {
    let database = server::database();
    let mut found = Vec::with_capacity(64);
    shared_memory::read_heads(|slots| {
        for (i, slot) in slots.iter().enumerate() {
            if slot.state == USED && slot.key.relation == relation && slot.key.database == database {
                found.push(remembered(i, slot));
            }
        }
    });
    found.sort_by_key(|known| known.chain);
    found
}

/// How many slots are in use, and how many there are.
pub fn usage() -> (usize, usize) {
    shared_memory::read_heads(|slots| (slots.iter().filter(|slot| slot.state == USED).count(), slots.len()))
}

/// Makes this the newest entry. Runs at commit: nothing in here can fail.
pub fn publish(slot: usize, head: &Head) {
    shared_memory::write_heads(|slots| {
        let content = &mut slots[slot];
        content.position = head.position;
        content.mac = head.mac;
        content.sealed_at = head.sealed_at;
        content.epoch = head.epoch as u32;
        content.valid = true;
        content.suspect = false;
    });
}

/// Keeps the value as the floor below which the chain may not fall.
pub fn invalidate(slot: usize) {
    shared_memory::write_heads(|slots| slots[slot].valid = false);
}

/// Makes the next owner look whether its next position is free.
pub fn suspect(slot: usize) {
    shared_memory::write_heads(|slots| slots[slot].suspect = true);
}

/// The chain takes no more entries.
pub fn close(slot: usize) {
    shared_memory::write_heads(|slots| slots[slot].closed = true);
}

/// Forgets the chains of a history that was detached.
pub fn free(relation: u32) {
    let database = server::database();
    shared_memory::write_heads(|slots| {
        for slot in slots.iter_mut() {
            if slot.state == USED && slot.key.relation == relation && slot.key.database == database {
                slot.state = FREED;
            }
        }
    });
}
