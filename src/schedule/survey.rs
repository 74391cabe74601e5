//! Where all chains of a database stand: what memory has, and what it does not have yet.

use crate::pg::lock::{self, ChainLock};
use crate::pg::relation::{self, Relation};
use crate::pg::snapshot::Sees;
use crate::pg::spi;
use crate::record::anchor::{self, Heads};
use crate::record::cut;
use crate::record::definition;
use crate::record::identity::{in_anchors, is_of_place};
use crate::record::journal;
use crate::record::registry::{self, Registration};
use crate::seal::heads::{self, Head, Remembered, Slot};
use crate::seal::newest_anchor::NewestAnchor;
use crate::seal::{plan, reload};
use pgseal_chain::JOURNAL;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often, and how soon again, a table is looked at that is locked.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Where chains stand, as far as this visit found out.
#[derive(Default)]
pub struct Survey {
    pub heads: Heads,
    pub anchored: Vec<(Slot, u64)>,
    pub newest_at: i64,
    /// What earlier anchors say; only looked up where it is needed.
    pub known: Heads,
    pub pending: bool,
    /// Something could not be looked through: the next visit looks again.
    pub undiscovered: bool,
}

impl Survey {
    /// Finds chains that no memory has: of before the server's start, and of other places.
    ///
    /// Those of other places are taken up by the first anchor of this one, and as long as a
    /// transaction is open that was prepared there; see [`Heads`].
    pub fn discover(&mut self, registrations: &[Registration], prefix: &str, adopt: bool) {
        let protected = registrations.iter().filter(|row| definition::is_to_be_verified(row));
        for registration in protected.filter(|row| relation::exists(row.relation)) {
            let history = in_anchors(registration.history);
            let chains = chains_of_soon(registration);
            self.undiscovered |= chains.is_none();
            for chain in chains.unwrap_or_default() {
                match number_of(&chain, prefix) {
                    Some(_) if self.is_anchored(registration.relation, &history, &chain) => {}
                    Some(number) => self.make_room(registration, number, &chain),
                    None if !adopt && !is_of_place(&chain, prefix) => {}
                    None => match reload::reload_at_once(registration.relation, &chain) {
                        Some(found) if found.head.position > 0 => {
                            self.heads.insert(history.clone(), chain, found.head.position, found.head.mac);
                        }
                        Some(_) => {}
                        None => self.undiscovered = true,
                    },
                }
            }
        }
        let taken_up = |chain: &str| chain != prefix && (adopt || is_of_place(chain, prefix));
        for (chain, newest) in other_anchor_chains().into_iter().filter(|(chain, _)| taken_up(chain)) {
            self.heads.insert(anchor::ANCHOR_CHAINS.to_owned(), chain, newest.number, newest.mac);
        }
        for entry in journal::stored(Sees::Stored) {
            if let Some(mac) = entry.authentic_mac().filter(|_| taken_up(&entry.chain)) {
                self.heads.insert(anchor::JOURNAL.to_owned(), entry.chain, entry.position, mac);
            }
        }
    }

    /// Whether a chain ends where the anchors have it: its next owner finds it there.
    fn is_anchored(&self, relation: u32, history: &str, chain: &str) -> bool {
        let found = reload::reload_at_once(relation, chain).filter(|found| !found.blocked);
        found.is_some_and(|found| self.known.get(history, chain) == Some((found.head.position, found.head.mac)))
    }

    /// A place in memory for a chain, or its head right away where memory is full.
    fn make_room(&mut self, registration: &Registration, number: u32, chain: &str) {
        if heads::reserve(registration.history, number, registration.relation).is_ok() {
            return;
        }
        let Some(catalog) = registry::catalog() else { return };
        let lock = ChainLock { catalog, relation: registration.relation, number: number as u16 };
        if !lock::acquire_unowned(lock) {
            self.undiscovered = true;
            return;
        }
        let history = in_anchors(registration.history);
        let floor = self.known.get(&history, chain).map_or(0, |(position, _)| position);
        match reload::reload_at_once(registration.relation, chain) {
            Some(found) if found.head.position > floor => {
                self.heads.insert(history, chain.to_owned(), found.head.position, found.head.mac);
            }
            Some(_) => {}
            None => self.undiscovered = true,
        }
        lock::release(lock);
    }

    /// The journal's head, where memory does not have it and nobody is writing.
    pub fn reload_journal(&mut self, prefix: &str) {
        let known = heads::of_database().into_iter().find(|known| known.slot.history() == JOURNAL);
        if known.is_some_and(|known| known.valid) {
            return;
        }
        if !journal::lock(false) {
            self.pending = true;
            return;
        }
        if let Some((slot, head)) = journal::head(prefix).filter(|(_, head)| head.position > 0) {
            heads::publish(slot, &head);
        }
        journal::unlock();
    }

    /// The heads that memory does not have, of chains that nobody owns.
    pub fn reload(&mut self, registrations: &[Registration], prefix: &str) {
        let Some(catalog) = registry::catalog() else { return };
        for known in heads::of_database().into_iter().filter(|known| !known.valid && !known.closed) {
            let registration = registrations.iter().find(|row| row.history == known.slot.history());
            let Some(registration) = registration.filter(|row| row.is_attached()) else { continue };
            let lock = ChainLock { catalog, relation: registration.relation, number: known.slot.chain() as u16 };
            if !lock::acquire(lock, false) {
                self.pending = true;
                continue;
            }
            let chain = plan::chain_name(prefix, known.slot.chain());
            match reload::reload_at_once(registration.relation, &chain) {
                // Below what is remembered, entries are gone: its owner says so and goes on above.
                Some(found) if !found.blocked && continues(&found.head, prefix, &known, registration, &chain) => {
                    heads::publish(known.slot, &found.head);
                }
                Some(_) => {}
                None => self.pending = true,
            }
            lock::release(lock);
        }
    }

    /// What memory has and the anchors do not.
    pub fn collect(&mut self, prefix: &str) {
        for known in heads::of_database().into_iter().filter(|known| known.valid && known.head.position > 0) {
            self.newest_at = self.newest_at.max(known.head.sealed_at);
            let chain = plan::chain_name(prefix, known.slot.chain());
            let history = in_anchors(known.slot.history());
            if known.head.position > known.anchored {
                self.anchored.push((known.slot, known.head.position));
                self.heads.insert(history, chain, known.head.position, known.head.mac);
            }
        }
        // After a start memory does not know what was anchored: nothing new is nothing to write.
        let known = &self.known;
        for chains in self.heads.histories.iter_mut() {
            let (history, chains) = chains;
            chains.retain(|chain, head| known.get(history, chain).is_none_or(|(position, _)| head.0 > position));
        }
        self.heads.histories.retain(|_, chains| !chains.is_empty());
    }
}

/// Whether what was found is what is remembered, or goes on from it.
fn continues(found: &Head, prefix: &str, known: &Remembered, registration: &Registration, chain: &str) -> bool {
    let anchored = anchor::floor(prefix, known.slot.history(), chain).map(|(position, mac, _)| (position, mac));
    let remembered = Some((known.head.position, known.head.mac));
    let is_there = |position, mac| reload::has_entry(registration.relation, chain, position, &mac);
    let is_pruned = |position| cut::head(registration.history, chain).is_some_and(|cut| position <= cut.position);
    anchored
        .into_iter()
        .chain(remembered)
        .filter(|(position, _)| *position > 0)
        .all(|(position, mac)| found.position >= position && (is_there(position, mac) || is_pruned(position)))
}

/// As `chains_of`, a moment later if need be: a transaction that has just attached the table gives its lock
/// back right after it has woken us.
pub fn chains_of_soon(registration: &Registration) -> Option<BTreeSet<String>> {
    (0..LOOKS).find_map(|look| {
        if look > 0 {
            std::thread::sleep(BETWEEN_LOOKS);
        }
        chains_of(registration)
    })
}

/// Names of all chains in a history's tables, by a jump through each seal index; `None` where one is
/// locked.
fn chains_of(registration: &Registration) -> Option<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for leaf in relation::with_descendants(registration.relation) {
        let open = Relation::open_at_once(leaf)?;
        if !open.has_storage() || open.seal_index().is_none() {
            continue;
        }
        let table = relation::name_of(leaf);
        found.extend(spi::column(spi::execute(&anchor::distinct("seal_chain", &table))));
    }
    Some(found)
}

/// A chain's number among those of a prefix; `None` for another one's.
pub fn number_of(chain: &str, prefix: &str) -> Option<u32> {
    match chain.strip_prefix(prefix)? {
        "" => Some(0),
        rest => rest.strip_prefix('/')?.parse().ok().filter(|number| plan::chain_name(prefix, *number) == chain),
    }
}

fn other_anchor_chains() -> BTreeMap<String, NewestAnchor> {
    anchor::chains(Sees::Stored)
        .into_iter()
        .filter_map(|chain| {
            let newest = anchor::newest(&chain, Sees::Stored)?;
            Some((chain, newest))
        })
        .filter(|(_, newest)| newest.number > 0)
        .collect()
}
