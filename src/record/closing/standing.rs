//! Where chains stand at the moment of a closing, as table, memory and anchors have it.

use super::content::Pin;
use crate::pg::snapshot::Sees;
use crate::pg::{server, spi};
use crate::record::anchor::{self, Heads};
use crate::record::identity::in_anchors;
use crate::record::journal;
use crate::record::journaled::{self, Journaled};
use crate::record::registry::{self, Registration};
use crate::schedule;
use crate::seal::newest_anchor::NewestAnchor;
use crate::seal::plan::chain_name;
use crate::seal::{heads, reload};
use pgseal_chain::{GENESIS, HistoryId, Mac};
use std::collections::{BTreeMap, BTreeSet};

/// What is the same for all subjects of one moment. Read in this order: whatever is sealed later than the look at the
/// owners of chains is not older than the anchor, and a history that the journal's head has is seen.
pub struct Standing {
    pub prefix: String,
    pub anchor: NewestAnchor,
    /// Chain numbers that transactions own, by oid of the history's table.
    owned: BTreeSet<(u32, u16)>,
    anchored: Heads,
    /// Position, mac and time of the journal's newest entry.
    pub journal: (u64, Mac, i64),
    pub attached: Vec<Registration>,
    journaled: BTreeMap<HistoryId, Journaled>,
}

impl Standing {
    /// `None` where the journal has no place in memory.
    pub fn take(prefix: &str, anchor: NewestAnchor) -> Option<Standing> {
        let owned = owned();
        let (_, journal) = journal::head(prefix)?;
        let attached = registry::registrations().into_iter().filter(Registration::is_attached).collect();
        Some(Standing {
            anchored: anchor::state(prefix, Sees::Stored),
            prefix: prefix.to_owned(),
            anchor,
            owned,
            journal: (journal.position, journal.mac, journal.sealed_at),
            attached,
            journaled: journaled::as_seen(Sees::Stored),
        })
    }

    /// Where the journal stands.
    pub fn of_journal(&self, before: &BTreeMap<String, Pin>) -> BTreeMap<String, Pin> {
        let (position, mac, sealed_at) = self.journal;
        let mut pins = before.clone();
        pins.values_mut().for_each(|pin| pin.count = 0);
        if position > 0 {
            let count = position.saturating_sub(before.get(&self.prefix).map_or(0, |pin| pin.position));
            pins.insert(self.prefix.clone(), Pin { position, mac, count, sealed_at, open: false });
        }
        pins
    }

    /// Where the chains of a history stand; `None` while somebody has locked its table. What is gone from the table
    /// but known from elsewhere stays where it was known.
    pub fn of_history(
        &self,
        registration: &Registration,
        before: &BTreeMap<String, Pin>,
    ) -> Option<BTreeMap<String, Pin>> {
        let mut known = before.clone();
        let mut raise = |chain: &str, position: u64, mac: Mac, sealed_at: i64| {
            let pin = known.entry(chain.to_owned()).or_insert(Pin::START);
            if position > pin.position {
                *pin = Pin { position, mac, sealed_at, ..Pin::START };
            }
        };
        for (_, chain, position, mac) in self.anchored.iter().filter(|head| head.0 == in_anchors(registration.history))
        {
            raise(chain, position, mac, 0);
        }
        // What was pruned as a whole is in no table.
        for (chain, cut) in self.journaled.get(&registration.history).into_iter().flat_map(|known| &known.cuts) {
            raise(chain, cut.position, cut.mac, cut.sealed_at);
        }
        for remembered in heads::of_history(registration.history) {
            let head = remembered.head;
            raise(&chain_name(&self.prefix, remembered.slot.chain()), head.position, head.mac, head.sealed_at);
        }
        for chain in schedule::chains_of_soon(registration)? {
            let head = reload::reload_at_once(registration.relation, &chain)?.head;
            raise(&chain, head.position, head.mac, head.sealed_at);
        }
        for (_, number) in self.owned.iter().filter(|(relation, _)| *relation == registration.relation) {
            known.entry(chain_name(&self.prefix, u32::from(*number))).or_insert(Pin::START);
        }
        for (chain, pin) in &mut known {
            pin.count = pin.position.saturating_sub(before.get(chain).map_or(0, |before| before.position));
            pin.open = schedule::number_of(chain, &self.prefix)
                .is_some_and(|number| self.owned.contains(&(registration.relation, number as u16)));
        }
        known.retain(|_, pin| pin.position > 0 || pin.open);
        Some(known)
    }
}

impl Pin {
    const START: Pin = Pin { position: 0, mac: GENESIS, count: 0, sealed_at: 0, open: false };
}

/// Which chains transactions own, prepared ones too.
fn owned() -> BTreeSet<(u32, u16)> {
    let Some(catalog) = registry::catalog() else { return BTreeSet::new() };
    let rows = spi::execute(&format!(
        "SELECT objid::pg_catalog.int8, objsubid FROM pg_catalog.pg_locks
          WHERE locktype = 'object' AND classid = {catalog} AND granted
            AND database = {}",
        server::database()
    ));
    let owned = rows.into_iter().filter_map(|row| match row.as_slice() {
        // The view shows the number's 16 bits with a sign.
        [Some(relation), Some(number)] => Some((relation.parse().ok()?, number.parse::<i16>().ok()? as u16)),
        _ => None,
    });
    owned.collect()
}
