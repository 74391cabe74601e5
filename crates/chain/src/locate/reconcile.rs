//! Brings holes and suspects together: a missing entry whose mac a row elsewhere bears was changed,
//! not removed.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::describe;
use super::hole::Hole;
use super::layer::{Place, Suspect};
use crate::entry::Mac;
use crate::finding::Finding;

/// Findings with the chain, as bytes, that each is about.
pub(super) type Placed<K> = Vec<(Option<Vec<u8>>, Finding<K>)>;

pub(super) fn reconcile<K>(mut suspects: Vec<Suspect<K>>, holes: Vec<Hole>) -> Placed<K> {
    for (number, hole) in holes.iter().enumerate() {
        for (position, ids) in &hole.slots {
            for id in ids {
                suspects[*id].place = Place::InHole(number, *position);
            }
        }
    }
    let mut claims = Claims::new(suspects, &holes);
    for trusted_only in [true, false] {
        for number in 0..holes.len() {
            claims.trace_down(number, trusted_only);
        }
    }
    for number in 0..holes.len() {
        claims.trace_up(number);
    }
    claims.report()
}

#[derive(Clone, Copy)]
struct Wanted {
    mac: Mac,
    /// Whether it comes from a sound row, from outside the table, or from a row that itself bears
    /// the wanted mac.
    trusted: bool,
}

/// Numbers of suspects that share a mac. One that is claimed stays so, and is dropped when met:
/// somebody may give the same mac to every row, so nothing may look through them again and again.
type Queues = HashMap<Mac, VecDeque<usize>>;

struct Claims<'a, K> {
    suspects: Vec<Option<Suspect<K>>>,
    holes: &'a [Hole],
    by_mac: Queues,
    /// Those that follow a mac, unless they do so where they stand.
    by_prev: Queues,
    /// For each hole: which suspect is the entry of a position, and which mac that entry has.
    claimed: Vec<BTreeMap<u64, usize>>,
    wanted: Vec<BTreeMap<u64, Mac>>,
}

impl<'a, K> Claims<'a, K> {
    fn new(suspects: Vec<Suspect<K>>, holes: &'a [Hole]) -> Self {
        let mut by_mac = Queues::new();
        let mut by_prev = Queues::new();
        for (id, suspect) in suspects.iter().enumerate() {
            if let Some(mac) = suspect.mac {
                by_mac.entry(mac).or_default().push_back(id);
            }
            if let Some(prev) = suspect.prev
                && !fits_below(suspect, prev, holes)
            {
                by_prev.entry(prev).or_default().push_back(id);
            }
        }
        Self {
            suspects: suspects.into_iter().map(Some).collect(),
            holes,
            by_mac,
            by_prev,
            claimed: holes.iter().map(|_| BTreeMap::new()).collect(),
            wanted: holes.iter().map(|_| BTreeMap::new()).collect(),
        }
    }

    fn free(&self, id: usize) -> Option<&Suspect<K>> {
        self.suspects.get(id)?.as_ref().filter(|suspect| !suspect.claimed)
    }

    fn claim(&mut self, number: usize, position: u64, id: usize) {
        if let Some(Some(suspect)) = self.suspects.get_mut(id) {
            suspect.claimed = true;
        }
        self.claimed[number].insert(position, id);
    }

    /// From the entry above downwards: each row names the mac of the one before it.
    fn trace_down(&mut self, number: usize, trusted_only: bool) {
        let hole = &self.holes[number];
        let trusted = |mac| Wanted { mac, trusted: true };
        let mut above = hole.above.map(trusted);
        let mut next = hole.last;
        while let Some(position) = next.filter(|position| *position >= hole.first) {
            let remembered = hole.remembered.get(&position).copied().map(trusted);
            let wanted = above.filter(|w| w.trusted).or(remembered).or(above);
            if let Some(w) = wanted.filter(|w| w.trusted) {
                self.wanted[number].insert(position, w.mac);
            }
            let known = self.claimed[number].get(&position).copied();
            let bearer = known.or_else(|| {
                let w = wanted.filter(|w| w.trusted || !trusted_only)?;
                let id = self.with_mac(w.mac, number, position)?;
                self.claim(number, position, id);
                Some(id)
            });
            let source = bearer.or_else(|| self.occupant(number, position, None));
            above = source
                .and_then(|id| self.suspects[id].as_ref()?.prev)
                .map(|mac| Wanted { mac, trusted: bearer.is_some() && wanted.is_some_and(|w| w.trusted) });
            next = match above {
                Some(_) => position.checked_sub(1),
                None => hole.known_below(position),
            };
        }
    }

    /// From the entry below upwards: a row that names it as the one before.
    fn trace_up(&mut self, number: usize) {
        let hole = &self.holes[number];
        let Some(last) = hole.last else {
            return;
        };
        let mut below = hole.below;
        let mut next = Some(hole.first);
        while let Some(position) = next.filter(|position| *position <= last) {
            let standing =
                self.claimed[number].get(&position).copied().or_else(|| self.occupant(number, position, None));
            let found = standing.or_else(|| {
                let id = self.with_prev(below?)?;
                self.claim(number, position, id);
                Some(id)
            });
            if let Some(id) = found {
                below = self.suspects[id].as_ref().and_then(|s| s.mac);
                next = position.checked_add(1);
            } else {
                below = None;
                next = self.occupied(number, position.saturating_add(1)..=last);
            }
        }
    }

    fn occupied(&self, number: usize, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        if range.is_empty() {
            return None;
        }
        let slot = self.holes[number].slots.range(range.clone()).next();
        let claim = self.claimed[number].range(range).next();
        match (slot.map(|(p, _)| *p), claim.map(|(p, _)| *p)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// A free suspect that bears the mac, one that stands in the right place before all others.
    fn with_mac(&mut self, mac: Mac, number: usize, position: u64) -> Option<usize> {
        let here = self.holes[number].slots.get(&position);
        here.into_iter()
            .flatten()
            .copied()
            .find(|id| self.free(*id).is_some_and(|s| s.mac == Some(mac)))
            .or_else(|| first_free(self.by_mac.get_mut(&mac)?, &self.suspects))
    }

    /// A free suspect that follows the mac.
    fn with_prev(&mut self, prev: Mac) -> Option<usize> {
        first_free(self.by_prev.get_mut(&prev)?, &self.suspects)
    }

    /// The free suspect that stands at a position, one that follows `below` before all others.
    fn occupant(&self, number: usize, position: u64, below: Option<Mac>) -> Option<usize> {
        let ids = self.holes[number].slots.get(&position)?;
        let free = || ids.iter().copied().filter(|id| self.free(*id).is_some());
        free().find(|id| below.is_some() && self.free(*id).is_some_and(|s| s.prev == below)).or_else(|| free().next())
    }

    fn report(mut self) -> Placed<K> {
        let mut findings = Vec::new();
        for number in 0..self.holes.len() {
            self.report_hole(number, &mut findings);
        }
        for suspect in self.suspects.into_iter().flatten() {
            findings.push((suspect.chain.clone(), describe::stray(suspect)));
        }
        findings
    }

    fn report_hole(&mut self, number: usize, findings: &mut Placed<K>) {
        let hole = &self.holes[number];
        let mut put = |finding| findings.push((Some(hole.chain.clone()), finding));
        let positions: BTreeSet<u64> = hole.slots.keys().chain(self.claimed[number].keys()).copied().collect();
        let mut below = hole.below;
        let mut next = Some(hole.first);
        for position in positions {
            if next != Some(position) {
                below = None;
            }
            let claimed = self.claimed[number].get(&position).copied();
            let Some(id) = claimed.or_else(|| self.occupant(number, position, below)) else {
                continue;
            };
            let Some(suspect) = self.take(number, id, claimed.is_some(), below) else {
                continue;
            };
            if let (Some(first), true) = (next, hole.last.is_some())
                && first < position
            {
                put(describe::missing(&hole.chain, first, position - 1));
            }
            below = suspect.mac;
            next = position.checked_add(1);
            let wanted = self.wanted[number].get(&position).copied();
            put(describe::modified(&hole.chain, position, wanted, suspect));
        }
        match (next, hole.last) {
            (Some(first), Some(last)) if first <= last && hole.is_tail => {
                put(describe::truncated(&hole.chain, first, last));
            }
            (Some(first), Some(last)) if first <= last => {
                put(describe::missing(&hole.chain, first, last));
            }
            _ => {}
        }
    }

    /// Takes the suspect out. Where it is not known that the chain ever went so far, only one that
    /// follows the entry before it counts.
    fn take(&mut self, number: usize, id: usize, claimed: bool, below: Option<Mac>) -> Option<Suspect<K>> {
        let slot = self.suspects.get_mut(id)?;
        let suspect = slot.as_mut()?;
        let reached = self.holes[number].last.is_some();
        if !claimed && !reached && (below.is_none() || suspect.prev != below) {
            suspect.place = Place::Beyond;
            return None;
        }
        slot.take()
    }
}

fn first_free<K>(queue: &mut VecDeque<usize>, suspects: &[Option<Suspect<K>>]) -> Option<usize> {
    while let Some(id) = queue.front().copied() {
        let suspect = suspects.get(id).and_then(Option::as_ref);
        if suspect.is_some_and(|suspect| !suspect.claimed) {
            return Some(id);
        }
        queue.pop_front();
    }
    None
}

fn fits_below<K>(suspect: &Suspect<K>, prev: Mac, holes: &[Hole]) -> bool {
    match suspect.place {
        Place::InHole(number, position) => {
            holes.get(number).is_some_and(|hole| hole.first == position && hole.below == Some(prev))
        }
        _ => false,
    }
}
