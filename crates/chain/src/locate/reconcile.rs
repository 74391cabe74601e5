//! Brings holes and suspects together: a missing entry whose mac a row elsewhere bears was changed,
//! not removed.
//!
//! Three things speak for a row being the entry of a place: that it stands there, that it bears the
//! mac that is wanted there, and that it follows the entry below. What is wanted comes from the entry
//! above; if that was changed, what it says may help to find a row, but is not known.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::describe;
use super::hole::Hole;
use super::layer::{Place, Suspect};
use super::wanted::{Trust, Wanted};
use crate::entry::Mac;
use crate::finding::Finding;

/// Findings with the chain, as bytes, that each is about.
pub(super) type Placed<K> = Vec<(Option<Vec<u8>>, Finding<K>)>;

pub(super) fn reconcile<K>(mut suspects: Vec<Suspect<K>>, holes: Vec<Hole>, pause: fn()) -> Placed<K> {
    for (number, hole) in holes.iter().enumerate() {
        for (position, ids) in &hole.slots {
            for id in ids {
                suspects[*id].place = Place::InHole(number, *position);
            }
        }
    }
    let mut claims = Claims::new(suspects, &holes, pause);
    for trust in [Trust::Known, Trust::Bearer, Trust::Stranger] {
        for number in 0..holes.len() {
            claims.trace_down(number, trust);
        }
    }
    claims.send_home();
    for number in 0..holes.len() {
        claims.trace_up(number);
    }
    claims.report()
}

/// Numbers of suspects that share a mac. One that is claimed stays so, and is dropped when met:
/// somebody may give the same mac to every row, so nothing may look through them again and again.
type Queues = HashMap<Mac, VecDeque<usize>>;

pub(super) struct Claims<'a, K> {
    pub suspects: Vec<Option<Suspect<K>>>,
    pub holes: &'a [Hole],
    by_mac: Queues,
    /// Those that follow a mac, unless they do so where they stand.
    by_prev: Queues,
    /// For each hole: which suspect is the entry of a position, and which mac that entry has.
    pub claimed: Vec<BTreeMap<u64, usize>>,
    pub wanted: Vec<BTreeMap<u64, Wanted>>,
    /// For each hole: how many suspects that stand at a position are free.
    free_at: Vec<BTreeMap<u64, usize>>,
    pause: fn(),
}

impl<'a, K> Claims<'a, K> {
    fn new(suspects: Vec<Suspect<K>>, holes: &'a [Hole], pause: fn()) -> Self {
        let mut by_mac = Queues::new();
        let mut by_prev = Queues::new();
        let (standing, strays): (Vec<_>, Vec<_>) =
            suspects.iter().enumerate().partition(|(_, suspect)| matches!(suspect.place, Place::InHole(..)));
        for (id, suspect) in strays.into_iter().chain(standing) {
            pause();
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
            free_at: holes.iter().map(|hole| hole.slots.iter().map(|(p, ids)| (*p, ids.len())).collect()).collect(),
            pause,
        }
    }

    fn free(&self, id: usize) -> Option<&Suspect<K>> {
        self.suspects.get(id)?.as_ref().filter(|suspect| !suspect.claimed)
    }

    pub fn claim(&mut self, number: usize, position: u64, id: usize) {
        self.set_claimed(id, true);
        self.claimed[number].insert(position, id);
    }

    pub fn release(&mut self, number: usize, position: u64) {
        if let Some(id) = self.claimed[number].remove(&position) {
            self.set_claimed(id, false);
        }
    }

    fn set_claimed(&mut self, id: usize, claimed: bool) {
        let Some(Some(suspect)) = self.suspects.get_mut(id) else {
            return;
        };
        suspect.claimed = claimed;
        if let Place::InHole(number, position) = suspect.place
            && let Some(free) = self.free_at[number].get_mut(&position)
        {
            *free = if claimed { free.saturating_sub(1) } else { free.saturating_add(1) };
        }
    }

    /// From the entry above downwards: each row names the mac of the one before it. Claims rows by
    /// what is wanted with this trust or more.
    fn trace_down(&mut self, number: usize, trust: Trust) {
        let hole = &self.holes[number];
        let mut above = hole.above;
        let mut next = hole.last;
        while let Some(position) = next.filter(|position| *position >= hole.first) {
            (self.pause)();
            let remembered = hole.remembered.get(&position).copied().map(Wanted::known);
            let wanted = above.filter(|w| w.trust == Trust::Known).or(remembered).or(above);
            if let Some(w) = wanted.filter(|w| w.trust >= Trust::Bearer) {
                self.wanted[number].insert(position, w);
            }
            let known = self.claimed[number].get(&position).copied();
            let bearer = known.or_else(|| {
                let w = wanted.filter(|w| w.trust >= trust)?;
                let id = self.with_mac(w.mac, number, position)?;
                self.claim(number, position, id);
                Some(id)
            });
            let source = bearer.or_else(|| self.occupant(number, position, None));
            let bears = bearer.is_some() && wanted.is_some_and(|w| w.trust >= Trust::Bearer);
            let trust_below = if bears { Trust::Bearer } else { Trust::Stranger };
            above =
                source.and_then(|id| self.suspects[id].as_ref()?.prev).map(|mac| Wanted { mac, trust: trust_below });
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
            (self.pause)();
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

    /// A free suspect that follows the mac, and would not leave its own place empty.
    fn with_prev(&mut self, prev: Mac) -> Option<usize> {
        loop {
            let id = first_free(self.by_prev.get_mut(&prev)?, &self.suspects)?;
            if !self.is_needed(id) {
                return Some(id);
            }
            // For good: it is the last that stands there.
            self.by_prev.get_mut(&prev)?.pop_front();
        }
    }

    /// Whether the free suspect is the only one that can be the entry of the place where it stands.
    fn is_needed(&self, id: usize) -> bool {
        let place = self.free(id).map(|suspect| suspect.place);
        let Some(Place::InHole(number, position)) = place else {
            return false;
        };
        self.holes[number].last.is_some()
            && !self.claimed[number].contains_key(&position)
            && self.free_at[number].get(&position) == Some(&1)
    }

    /// The free suspect that stands at a position, one that follows `below` before all others.
    pub fn occupant(&self, number: usize, position: u64, below: Option<Mac>) -> Option<usize> {
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
            (self.pause)();
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
            (self.pause)();
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
