//! One chain, position by position.

use std::collections::BTreeMap;

use super::branch::{Branches, Fit};
use super::describe;
use super::epochs::Epochs;
use super::hole::Hole;
use super::layer::{Layer, Place, Row, Sound, Standing};
use super::ledger::Ledger;
use super::wanted::{Trust, Wanted};
use crate::entry::{GENESIS, Mac};
use crate::finding::Kind;

/// What is known about a chain from outside its rows.
pub(super) struct Marks {
    cut: (u64, Mac),
    /// Remembered entries; their macs, if known. Several memories may disagree.
    heads: BTreeMap<u64, Vec<Mac>>,
}

impl Default for Marks {
    fn default() -> Self {
        Self { cut: (0, GENESIS), heads: BTreeMap::new() }
    }
}

impl Marks {
    pub fn set_cut(&mut self, position: u64, mac: Mac) {
        if position > self.cut.0 {
            self.cut = (position, mac);
        }
    }

    pub fn remember(&mut self, position: u64, mac: Option<Mac>) {
        self.heads.entry(position).or_default().extend(mac);
    }

    fn top(&self) -> Option<u64> {
        self.heads.keys().next_back().copied().filter(|top| *top > 0)
    }

    /// A remembered mac that the row does not have, or else one that it has.
    fn compare(&self, position: u64, mac: &Mac) -> Option<(Mac, bool)> {
        let macs = self.heads.get(&position)?;
        let other = macs.iter().find(|remembered| *remembered != mac);
        match other {
            Some(other) => Some((*other, false)),
            None => macs.first().map(|mac| (*mac, true)),
        }
    }

    fn between(&self, first: u64, last: u64) -> BTreeMap<u64, Mac> {
        self.heads
            .range(first..=last.max(first))
            .filter_map(|(position, macs)| Some((*position, *macs.first()?)))
            .collect()
    }
}

pub(super) struct Walk<K> {
    chain: Vec<u8>,
    marks: Marks,
    window_start: Option<i64>,
    /// Complete, waiting for what follows it.
    pending: Option<Layer<K>>,
    filling: Option<Layer<K>>,
    /// The last entry of the path so far; its mac is unknown if its row was changed and there was
    /// no room to keep it.
    tip: (u64, Option<Mac>),
    /// Rows above the tip that are not sound: numbers of suspects by position.
    slots: BTreeMap<u64, Vec<usize>>,
    branches: Branches<K>,
    epochs: Epochs<K>,
    /// First and last of the latest run of sound rows at pruned positions.
    pruned: Option<(u64, u64)>,
    old_until: u64,
}

impl<K: Clone> Walk<K> {
    pub fn new(chain: Vec<u8>, marks: Marks, window_start: Option<i64>) -> Self {
        let tip = (marks.cut.0, Some(marks.cut.1));
        Self {
            chain,
            marks,
            window_start,
            pending: None,
            filling: None,
            tip,
            slots: BTreeMap::new(),
            branches: Branches::new(),
            epochs: Epochs::new(),
            pruned: None,
            old_until: 0,
        }
    }

    pub fn chain(&self) -> &[u8] {
        &self.chain
    }

    pub fn observe(&mut self, position: u64, row: Row<K>, ledger: &mut Ledger<K>) {
        match &mut self.filling {
            Some(layer) if layer.position == position => layer.push(row),
            filling => {
                let complete = filling.replace(Layer::new(position, row));
                self.advance(complete, ledger);
            }
        }
    }

    pub fn finish(mut self, ledger: &mut Ledger<K>) {
        let last = self.filling.take();
        self.advance(last, ledger);
        self.advance(None, ledger);
        self.end_pruned(ledger);
        self.branches.interrupt(&self.chain, ledger);
        self.epochs.finish(&self.chain, ledger);
        self.close_tail(ledger);
        ledger.close_chain(self.chain, self.old_until);
    }

    fn advance(&mut self, complete: Option<Layer<K>>, ledger: &mut Ledger<K>) {
        if let Some(layer) = std::mem::replace(&mut self.pending, complete) {
            self.settle(layer, ledger);
        }
    }

    /// Decides on a position, with the next one in view.
    fn settle(&mut self, mut layer: Layer<K>, ledger: &mut Ledger<K>) {
        if layer.position <= self.marks.cut.0 {
            self.settle_pruned(layer, ledger);
            return;
        }
        self.refuse_impossible_epochs(&mut layer);
        let Some(row) = self.choose(&mut layer) else {
            self.settle_vacant(layer, ledger);
            return;
        };
        let position = layer.position;
        let adjacent = self.tip.0.checked_add(1) == Some(position);
        let expected_prev = self.tip.1.filter(|_| adjacent);
        if !adjacent {
            self.branches.interrupt(&self.chain, ledger);
            let trust = if row.is_judged() { Trust::Known } else { Trust::Bearer };
            self.close_hole(position - 1, Some(Wanted { mac: row.prev, trust }), ledger);
        }
        let fit = Fit {
            expected_prev,
            follows: expected_prev.is_none_or(|mac| mac == row.prev) || self.branches.switch(&row.prev, expected_prev),
            remembered: self.marks.compare(position, &row.mac),
        };
        self.branches.on_path(&self.chain, position, &row, fit, ledger);
        self.judge(position, &row, ledger);
        for row in std::iter::once(&row).chain(&layer.sound) {
            self.judge_alone(position, row, ledger);
        }
        self.branches.beside(&self.chain, position, layer.sound, &row, expected_prev, ledger);
        for suspect in layer.suspects {
            ledger.suspect(suspect, Place::Beside);
        }
        self.tip = (position, Some(row.mac));
    }

    fn refuse_impossible_epochs(&mut self, layer: &mut Layer<K>) {
        let (sound, impossible) = std::mem::take(&mut layer.sound)
            .into_iter()
            .partition(|row| row.is_judged() || self.epochs.allow(row.epoch()));
        layer.sound = sound;
        let impossible: Vec<Sound<K>> = impossible;
        layer.suspects.extend(impossible.into_iter().map(|row| row.into_suspect(self.chain.clone(), layer.position)));
    }

    /// Takes out the row that fits best between what is before and after it.
    fn choose(&self, layer: &mut Layer<K>) -> Option<Sound<K>> {
        if layer.sound.len() <= 1 {
            return layer.sound.pop();
        }
        let position = layer.position;
        let after = position.checked_add(1);
        let followed =
            self.pending.as_ref().filter(|next| Some(next.position) == after).map(Layer::followed).unwrap_or_default();
        let adjacent = self.tip.0.checked_add(1) == Some(position);
        let score = |row: &Sound<K>| {
            let remembered = self.marks.compare(position, &row.mac);
            let follows_tip = adjacent && self.tip.1 == Some(row.prev);
            u32::from(remembered.is_some_and(|(_, right)| right)) * 32
                + u32::from(follows_tip) * 8
                + u32::from(followed.contains(&row.mac)) * 8
                + u32::from(self.branches.has_side(&row.prev)) * 4
                + u32::from(row.is_judged())
        };
        let mut best = (0, 0);
        for (index, row) in layer.sound.iter().enumerate() {
            let score = score(row);
            if score > best.1 {
                best = (index, score);
            }
        }
        Some(layer.sound.remove(best.0))
    }

    fn judge(&mut self, position: u64, row: &Sound<K>, ledger: &mut Ledger<K>) {
        if let Standing::Unjudged(obstacle) = &row.standing {
            self.epochs.unjudged(position, row.epoch(), obstacle.clone());
            return;
        }
        if self.branches.is_astray() {
            self.epochs.off_path();
            return;
        }
        self.epochs.judged(&self.chain, position, row, ledger);
        if let (Some(start), Some(sealed_at)) = (self.window_start, row.sealed_at)
            && sealed_at < start
        {
            self.old_until = position;
        }
    }

    /// What is wrong with a row wherever the path goes: it may yet turn out to go through one beside it.
    fn judge_alone(&self, position: u64, row: &Sound<K>, ledger: &mut Ledger<K>) {
        if let Standing::ValidUnder(epoch) = row.standing {
            let key = row.key.clone();
            ledger.report(describe::other_epoch(&self.chain, position, row, epoch, key));
        }
        if let Some(column) = row.foreign_content.as_ref().filter(|_| row.is_judged()) {
            ledger.report(describe::foreign_content(&self.chain, position, column, row.key.clone(), row.of_tenant));
        }
    }

    fn settle_pruned(&mut self, layer: Layer<K>, ledger: &mut Ledger<K>) {
        for suspect in layer.suspects {
            ledger.suspect(suspect, Place::BelowCut);
        }
        if layer.sound.is_empty() {
            return;
        }
        match &mut self.pruned {
            Some((_, last)) if last.checked_add(1) == Some(layer.position) => {
                *last = layer.position;
            }
            _ => {
                self.end_pruned(ledger);
                self.pruned = Some((layer.position, layer.position));
            }
        }
    }

    fn end_pruned(&mut self, ledger: &mut Ledger<K>) {
        let Some((first, last)) = self.pruned.take() else {
            return;
        };
        let which = describe::entries(first, last, "stands", "stand");
        let detail = format!("{which} in the table although the chain was pruned up to position {}", self.marks.cut.0);
        let kind = Kind::CutAltered;
        ledger.report(describe::at(kind, &self.chain, first, last, detail));
    }

    fn settle_vacant(&mut self, layer: Layer<K>, ledger: &mut Ledger<K>) {
        let position = layer.position;
        if !ledger.is_full() {
            let ids = layer.suspects.into_iter().map(|suspect| ledger.keep(suspect));
            self.slots.insert(position, ids.collect());
            return;
        }
        let beyond = self.marks.top().is_some_and(|top| position > top);
        let mut rows = layer.suspects.into_iter();
        if !beyond {
            self.branches.interrupt(&self.chain, ledger);
            self.close_hole(position - 1, None, ledger);
            self.tip = (position, None);
            let wanted = self.marks.between(position, position).remove(&position).map(Wanted::known);
            if let Some(row) = rows.next() {
                ledger.report(describe::modified(&self.chain, position, wanted, row));
            }
        }
        for row in rows {
            let place = if beyond { Place::Beyond } else { Place::Beside };
            ledger.suspect(row, place);
        }
    }

    /// No position from the one after the tip up to `last` has a sound row.
    fn close_hole(&mut self, last: u64, above: Option<Wanted>, ledger: &mut Ledger<K>) {
        let slots = std::mem::take(&mut self.slots);
        let Some(first) = self.tip.0.checked_add(1).filter(|first| *first <= last) else {
            return;
        };
        if slots.is_empty() && ledger.is_full() {
            ledger.report(describe::missing(&self.chain, first, last));
            return;
        }
        ledger.holes.push(Hole {
            chain: self.chain.clone(),
            first,
            last: Some(last),
            below: self.tip.1,
            above,
            remembered: self.marks.between(first, last),
            slots,
            is_tail: false,
        });
    }

    fn close_tail(&mut self, ledger: &mut Ledger<K>) {
        let Some(first) = self.tip.0.checked_add(1) else {
            return;
        };
        let top = self.marks.top();
        let mut slots = std::mem::take(&mut self.slots);
        if let Some(beyond) = top.map(|top| slots.split_off(&top.saturating_add(1).max(first))) {
            for id in beyond.into_values().flatten() {
                ledger.place(id, Place::Beyond);
            }
        }
        if slots.is_empty() && top.is_none_or(|top| top < first) {
            return;
        }
        ledger.holes.push(Hole {
            chain: self.chain.clone(),
            first,
            last: top,
            below: self.tip.1,
            above: None,
            remembered: top.map_or_else(BTreeMap::new, |top| self.marks.between(first, top)),
            slots,
            is_tail: true,
        });
    }
}
