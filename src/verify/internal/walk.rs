//! The walk over one chain of anchors, from the newest down: where it stands, and what is wrong with it.

use super::unjudged::Unjudged;
use crate::record::anchor::{Anchor, Heads};
use crate::record::cut::Cut;
use crate::record::identity::content;
use crate::record::ring::{self, Ring};
use pgseal_chain::{GENESIS, Mac};
use std::collections::BTreeMap;

/// One chain of anchors as the run's snapshot has it.
#[derive(Default)]
pub(super) struct AnchorChain {
    /// Times by number − 1, `None` where the anchor is not authentic.
    pub(super) times: Vec<Option<i64>>,
    pub(super) heads: Heads,
    pub(super) newest: Option<(u64, Mac, i64)>,
}

/// Anchors of a chain from the newest down.
#[derive(Default)]
pub(super) struct Walk<'a> {
    ring: Option<&'a Ring>,
    /// Keys that anchors name, and whether their anchors cannot be judged.
    out_of_reach: BTreeMap<String, bool>,
    pub(super) unjudged: Unjudged,
    /// Where the anchors above have each chain.
    later: Heads,
    /// By history and chain: where the anchors above have it, and where one below had it higher.
    pub(super) regressed: BTreeMap<(String, String), (u64, u64)>,
    /// The last pruned one.
    cut: Option<Cut>,
    /// The anchor above: its number, what it follows, its time.
    above: Option<(u64, Option<Mac>, i64)>,
    complete_seen: bool,
    /// One that a run found in order, with all below it.
    seen: Option<(u64, Mac)>,
    /// Whether that is as far as it goes, and whether it was met.
    is_partial: bool,
    floor_met: bool,
    /// Another node's, brought here by replication: what was written before that began may never come.
    is_copy: bool,
    /// First and last anchor, what is wrong with them, and what was found there.
    pub(super) faults: Vec<(u64, u64, String, Option<String>)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        ring: &'a Ring,
        cut: Option<Cut>,
        seen: Option<(u64, Mac)>,
        is_partial: bool,
        is_copy: bool,
    ) -> Walk<'a> {
        Walk { ring: Some(ring), cut, seen, is_partial, is_copy, ..Walk::default() }
    }

    /// Its mac, if it is right, or cannot be judged.
    fn possible_mac(&mut self, anchor: &Anchor) -> Option<Mac> {
        if let Some(mac) = anchor.authentic_mac() {
            return Some(mac);
        }
        let ring = self.ring.filter(|_| !anchor.malformed)?;
        let id = &anchor.key_id;
        let is_out = *self.out_of_reach.entry(id.clone()).or_insert_with(|| ring::is_out_of_reach(ring, id));
        if is_out {
            self.unjudged.add(id, anchor.number);
        }
        anchor.mac.as_slice().try_into().ok().filter(|_| is_out)
    }

    /// Whether there is more to check.
    pub(super) fn step(&mut self, anchor: Anchor, chain: &mut AnchorChain) -> bool {
        let number = anchor.number;
        if number > 0 && self.cut.is_some_and(|cut| number <= cut.position) {
            self.fault_if(true, number, number, "stands in the table although it was pruned");
            return true;
        }
        let mac = self.possible_mac(&anchor);
        if let Some((above, prev, at)) = self.above {
            self.fault_if(above > number + 1 && !self.is_copy, number + 1, above - 1, "was removed");
            let follows = prev.is_none() || mac.is_none() || above != number + 1 || prev == mac;
            self.fault_if(!follows, above, above, "does not follow the one before it");
            self.fault_if(mac.is_some() && at < anchor.at, above, above, "is older than the one before it");
        }
        if mac.is_none() {
            let what = format!("anchor {number} was changed or is forged");
            self.faults.push((number, number, what, Some(content(&anchor))));
        }
        let place = usize::try_from(number).unwrap_or(0);
        if chain.times.len() < place && (mac.is_some() || chain.newest.is_some()) {
            chain.times.resize(place, None);
        }
        if let Some(mac) = mac {
            chain.times[place - 1] = Some(anchor.at);
            chain.newest.get_or_insert((number, mac, anchor.at));
            if chain.newest.is_some_and(|(newest, ..)| newest == number) {
                chain.heads.adopting = Heads::parse(&anchor.heads).is_some_and(|heads| heads.adopting);
            }
            let heads = Heads::parse(&anchor.heads).unwrap_or_default();
            self.compare(&heads);
            if !self.complete_seen {
                chain.heads.add_older(heads);
                self.complete_seen = anchor.complete;
            }
        }
        let prev = Mac::try_from(anchor.prev.as_slice()).ok().filter(|_| mac.is_some());
        self.above = Some((number, prev, if mac.is_some() { anchor.at } else { i64::MAX }));
        if let (Some(seen), Some(mac)) = (self.seen.filter(|seen| seen.0 == number), mac) {
            let is_newest = chain.newest.is_some_and(|(newest, ..)| newest == number);
            self.fault_if(seen.1 != mac && !is_newest, number, number, "is not the one that a run found in order");
            self.floor_met |= self.is_partial && seen.1 == mac;
        }
        !(self.floor_met && self.complete_seen)
    }

    /// No chain ever falls: an earlier anchor with a higher position saw entries that were removed.
    fn compare(&mut self, heads: &Heads) {
        for (history, chain, position, _) in heads.iter() {
            if let Some((later, _)) = self.later.get(history, chain).filter(|(later, _)| *later < position) {
                let lost = self.regressed.entry((history.to_owned(), chain.to_owned())).or_insert((later, position));
                lost.1 = lost.1.max(position);
            }
        }
        self.later.add_older(heads.clone());
    }

    pub(super) fn end(&mut self) {
        if self.floor_met && self.complete_seen {
            return;
        }
        let (cut, before) = self.cut.map_or((0, GENESIS), |cut| (cut.position, cut.mac));
        if let Some((lowest, prev, _)) = self.above {
            self.fault_if(lowest > cut + 1 && !self.is_copy, cut + 1, lowest - 1, "was removed");
            let follows = lowest != cut + 1 || prev.is_none_or(|prev| prev == before);
            let what = if cut == 0 { "does not begin its chain" } else { "does not follow the last pruned one" };
            self.fault_if(!follows, lowest, lowest, what);
        }
    }

    fn fault_if(&mut self, wrong: bool, first: u64, last: u64, what: &str) {
        if wrong {
            let sentence = match last > first {
                true => format!("anchors {first} to {last} {}", what.replacen("was", "were", 1)),
                false => format!("anchor {first} {what}"),
            };
            self.faults.push((first, last, sentence, None));
        }
    }
}
