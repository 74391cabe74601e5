//! Positions without a sound row.

use std::collections::BTreeMap;

use super::wanted::Wanted;
use crate::entry::Mac;

pub(super) struct Hole {
    pub chain: Vec<u8>,
    pub first: u64,
    /// The last position that is known to have been sealed; none if nothing is known above `first`.
    pub last: Option<u64>,
    /// Mac of the entry before `first`.
    pub below: Option<Mac>,
    /// The mac that the entry after `last` follows.
    pub above: Option<Wanted>,
    /// Macs that are remembered from outside the table.
    pub remembered: BTreeMap<u64, Mac>,
    /// The rows that stand here, by position: numbers of suspects.
    pub slots: BTreeMap<u64, Vec<usize>>,
    /// Whether the chain has nothing sound above.
    pub is_tail: bool,
}

impl Hole {
    /// The next position below about which something is known.
    pub fn known_below(&self, position: u64) -> Option<u64> {
        let slot = self.slots.range(..position).next_back().map(|(p, _)| *p);
        let remembered = self.remembered.range(..position).next_back().map(|(p, _)| *p);
        slot.max(remembered)
    }
}
