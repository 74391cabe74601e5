//! What pgseal seals about itself: journal and anchors, checked under the snapshot of a run.
//!
//! What is wrong with them concerns every history, since every verdict rests on them.

mod others;
mod unjudged;
mod walk;

use self::unjudged::Unjudged;
use self::walk::{AnchorChain, Walk};
use super::closings::{Closings, Facts};
use super::locate::RowKey;
use crate::key::evolution;
use crate::pg::server;
use crate::pg::snapshot::Sees;
use crate::record::anchor;
use crate::record::checkpoint::{self, Checkpoint};
use crate::record::identity::{content, in_anchors, origin};
use crate::record::journal::{self, Entry, Standing};
use crate::record::journaled::{self, Journaled};
use crate::record::nodes::Nodes;
use crate::record::overall::{self, Overall};
use crate::record::ring::Ring;
use crate::record::runs;
use crate::seal::heads::{self, Remembered};
use crate::seal::newest_anchor::{self, NewestAnchor};
use crate::seal::plan;
use crate::settings;
use pgseal_chain::{ChainName, Finding, GENESIS, HistoryId, JOURNAL, Kind, Mac, NamedAnchors, Origin, Period};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What the server's memory says; read before the snapshot is taken.
pub struct Memory {
    /// Name of the node's first chain; none while the server only replays.
    prefix: Option<String>,
    journal: Option<Remembered>,
    anchor: Option<NewestAnchor>,
    /// The period whose secret the state file has.
    in_force: Option<Period>,
}

/// Which anchors are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchors {
    All,
    /// Those since the newest checkpoint of the history, which was made after all before were checked.
    SinceCheckpoint,
}

/// Journal and anchors of a run.
#[derive(Default)]
pub struct Internal {
    /// What is wrong with them.
    pub findings: Vec<Finding<RowKey>>,
    /// What the journal says of each history.
    pub histories: BTreeMap<HistoryId, Journaled>,
    overall: Overall,
    /// What each period left behind.
    pub closings: Closings,
    /// The keys that the journal knows.
    ring: Ring,
    chains: BTreeMap<String, AnchorChain>,
    /// What journal entries name.
    named: NamedAnchors,
    /// Chains that a later anchor has at a lower position than an earlier one, by history.
    regressions: Vec<(String, Finding<RowKey>)>,
    /// Name of this node's first chain here; none while the server only replays.
    here: Option<String>,
    /// The newest checkpoint of the history that this is about.
    checkpoint: Option<Rc<Checkpoint>>,
    /// Only anchors since then were checked.
    is_partial: bool,
    /// Who else seals, and what their administrators did to the database as a whole, in their order.
    nodes: Nodes,
    elsewhere: Vec<Overall>,
    /// Chains of anchors that other nodes go on writing: what they say is news of there, which may be ahead of what has
    /// arrived here.
    news: BTreeSet<String>,
}

impl Memory {
    pub fn read(in_recovery: bool) -> Memory {
        let prefix = if in_recovery { None } else { plan::chain_prefix().ok() };
        let remembered = if in_recovery { Vec::new() } else { heads::of_database() };
        Memory {
            journal: remembered.into_iter().find(|known| known.slot.history() == JOURNAL),
            anchor: prefix.as_ref().and_then(|_| newest_anchor::known()),
            in_force: evolution::load().ok().map(|state| state.in_force()),
            prefix,
        }
    }
}

impl Internal {
    /// Reads and checks both under the active snapshot, with the checkpoint of this history.
    pub fn check(memory: &Memory, history: Option<HistoryId>, anchors: Anchors) -> Internal {
        let mut internal = Internal { here: memory.prefix.clone(), ..Internal::default() };
        let (entries, ring) = journal::judged(Sees::Snapshot);
        internal.ring = ring;
        let acts = journal::acts_among(entries.clone(), Sees::Snapshot);
        internal.overall = overall::of(&acts);
        internal.histories = journaled::histories(&acts);
        internal.read_checkpoint(history);
        internal.meet_others(&entries);
        internal.is_partial = anchors == Anchors::SinceCheckpoint && internal.checkpoint.is_some();
        let is_known = |history| internal.histories.contains_key(&history);
        internal.closings = Closings::judge(&Facts {
            streams: &internal.overall.streams,
            acts: &acts,
            ring: &internal.ring,
            history,
            is_known: &is_known,
            here: internal.here.as_deref(),
            in_force: memory.in_force,
        });
        internal.findings.extend(internal.closings.findings.iter().cloned());
        internal.read_anchors();
        internal.check_journal(&entries, memory);
        internal.check_anchor_ends(memory);
        internal.check_histories();
        let runs = runs::differences(&internal.overall, Sees::Snapshot).into_iter();
        internal.findings.extend(runs.map(|sentence| Finding::new(Kind::ConfigurationAltered, sentence)));
        let strays = checkpoint::strays(&internal.histories, Sees::Snapshot).into_iter();
        internal.findings.extend(strays.map(|sentence| Finding::new(Kind::CheckpointAltered, sentence)));
        let of_journal: Vec<_> = internal.regressions(anchor::JOURNAL).collect();
        internal.findings.extend(of_journal);
        internal
    }

    /// Whether every anchor was checked, however old.
    pub fn has_all_anchors(&self) -> bool {
        !self.is_partial
    }

    /// The newest checkpoint of the history, if it is the one that was made.
    pub fn checkpoint(&self) -> Option<Rc<Checkpoint>> {
        self.checkpoint.clone()
    }

    /// The newest anchor of each chain, with its mac.
    pub fn newest_anchors(&self) -> BTreeMap<String, (u64, Mac)> {
        let newest = |(name, chain): (&String, &AnchorChain)| Some((name.clone(), (chain.newest?.0, chain.newest?.1)));
        self.chains.iter().filter_map(newest).collect()
    }

    /// Where the anchors of this place, and of what it was a copy of, say that chains of this history stood: position
    /// and mac.
    pub fn anchored(&self, history: &str) -> Vec<(String, u64, Mac)> {
        let chains = self.own_anchors().filter_map(|(_, anchors)| anchors.heads.histories.get(history));
        chains.flatten().map(|(chain, (position, mac))| (chain.clone(), *position, *mac)).collect()
    }

    /// Chains of this node that go on beyond where its first anchor here found them: they were
    /// sealed elsewhere, after this place began, and brought over. `tops` are the highest positions.
    pub fn brought_over<'a>(
        &self,
        history: &str,
        tops: impl Iterator<Item = (&'a [u8], u64)>,
    ) -> Vec<(String, u64, u64)> {
        let own = self.here.as_ref().and_then(|here| self.chains.get(here)).filter(|own| !own.heads.adopting);
        let (Some(here), Some(own)) = (&self.here, own) else { return Vec::new() };
        let known = own.heads.histories.get(history);
        // Entries, journals and anchors arrive from other nodes, by replication.
        let internal = history == anchor::JOURNAL || history == anchor::ANCHOR_CHAINS;
        tops.filter_map(|(chain, top)| Some((std::str::from_utf8(chain).ok()?, top)))
            .filter(|(chain, _)| match origin(chain, here) {
                Some(Origin::ThisPlace) => false,
                Some(Origin::AnotherPlace) => true,
                Some(Origin::AnotherNode) => false,
                None => internal,
            })
            .map(|(chain, top)| {
                let found = known.and_then(|chains| chains.get(chain)).map_or(0, |(position, _)| *position);
                (chain.to_owned(), found + 1, top)
            })
            .filter(|(_, first, last)| first <= last)
            .collect()
    }

    /// What earlier anchors had of this history and later ones did not.
    pub fn regressions(&self, history: &str) -> impl Iterator<Item = Finding<RowKey>> {
        self.regressions.iter().filter(move |(of, _)| of == history).map(|(_, finding)| finding.clone())
    }

    /// Number and time of the newest anchor of any place.
    pub fn newest(&self) -> Option<(u64, i64)> {
        self.own_anchors().filter_map(|(_, chain)| chain.newest).max_by_key(|newest| newest.2).map(|(n, _, at)| (n, at))
    }

    /// Anchors that entries of the history or of the journal name but that are gone, or younger than
    /// these entries.
    pub fn judge_names(&self, named: Option<&NamedAnchors>) -> Vec<Finding<RowKey>> {
        let mut found = Vec::new();
        let mut named = named.cloned().unwrap_or_default();
        named.merge(self.named.clone());
        for (place, anchors) in named.places() {
            let place = String::from_utf8_lossy(place).into_owned();
            // What was pruned was compared with its entries before.
            let anchors = anchors.range(self.pruned(&place) + 1..);
            let Some(chain) = self.chains.get(&place) else {
                let ends = (anchors.clone().next(), anchors.clone().next_back());
                if let (true, (Some((first, _)), Some((last, _)))) = (self.was_begun_here(&place), ends) {
                    found.push(gone(&place, *first, *last));
                }
                continue;
            };
            let missing: Vec<u64> =
                anchors.clone().map(|(n, _)| *n).filter(|n| *n > chain.times.len() as u64).collect();
            if let (Some(first), Some(last), false) = (missing.first(), missing.last(), self.news.contains(&place)) {
                found.push(gone(&place, *first, *last));
            }
            for (number, sealed_at) in anchors {
                let at = usize::try_from(number - 1).ok().and_then(|place| *chain.times.get(place)?);
                if at.is_some_and(|at| at > *sealed_at) {
                    found.push(anchor_finding(
                        &place,
                        *number,
                        *number,
                        format!(
                            "anchor {number} is younger than entries that name it: the one that they name was removed"
                        ),
                    ));
                }
            }
        }
        found
    }

    /// Up to which number the anchors of a chain were pruned.
    fn pruned(&self, chain: &str) -> u64 {
        self.cut(chain).map_or(0, |cut| cut.position)
    }

    /// Whether a chain was begun by this node, or in this database under whatever name. Another node
    /// keeps its anchors to itself.
    fn was_begun_here(&self, chain: &str) -> bool {
        match &self.here {
            Some(here) => origin(chain, here) != Some(Origin::AnotherNode),
            None => ChainName::parse(chain).is_none_or(|name| name.node == settings::chain_name()),
        }
    }

    /// A history that anchors have entries of is in the journal, attached or detached.
    fn check_histories(&mut self) {
        let known: BTreeSet<String> = self.histories.keys().map(|history| in_anchors(*history)).collect();
        let lost: BTreeSet<&String> = self
            .own_anchors()
            .flat_map(|(_, chain)| chain.heads.histories.keys())
            .filter(|history| {
                *history != anchor::JOURNAL && *history != anchor::ANCHOR_CHAINS && !known.contains(*history)
            })
            .collect();
        let sentence =
            |history: &String| format!("history {history}, whose entries the anchors have, is not in the journal");
        let findings: Vec<_> =
            lost.into_iter().map(|history| Finding::new(Kind::ConfigurationAltered, sentence(history))).collect();
        self.findings.extend(findings);
    }

    fn read_checkpoint(&mut self, history: Option<HistoryId>) {
        let Some((history, journaled)) = history.and_then(|id| Some((id, self.histories.get(&id)?))) else { return };
        match checkpoint::newest(history, journaled, Sees::Snapshot) {
            Ok(checkpoint) => self.checkpoint = checkpoint.map(Rc::new),
            Err(altered) => self.findings.push(Finding::new(Kind::CheckpointAltered, altered)),
        }
    }

    /// The anchors that the checkpoint saw as the newest.
    fn anchors_of_checkpoint(&self) -> impl Iterator<Item = (&String, (u64, Mac))> {
        self.checkpoint.iter().flat_map(|checkpoint| &checkpoint.anchors).map(|(chain, anchor)| (chain, *anchor))
    }

    fn read_anchors(&mut self) {
        let names = anchor::chains(Sees::Snapshot);
        self.tell_strangers(&names);
        for name in names {
            let mut chain = AnchorChain::default();
            let seen = self.anchors_of_checkpoint().find(|(chain, _)| **chain == name).map(|(_, anchor)| anchor);
            let is_copy = self.news.contains(&name);
            let mut walk = Walk::new(&self.ring, self.cut(&name), seen, self.is_partial, is_copy);
            let usable = anchor::visit(&name, Sees::Snapshot, |anchor| walk.step(anchor, &mut chain));
            if usable.is_none() {
                let sentence = "the primary key of seal.anchor is gone, so that anchors cannot be checked";
                self.findings.push(Finding::new(Kind::ConfigurationAltered, sentence));
                return;
            }
            walk.end();
            self.findings.extend(walk.unjudged.findings("anchors", &format!("anchors {name}")));
            self.regressions.extend(walk.regressed.iter().map(|((history, chain), (later, earlier))| {
                let what = format!(
                    "an anchor had this chain at position {earlier}, a later one at {later}: its newest entries were removed and it went on without them"
                );
                let chain = if history == anchor::JOURNAL { format!("journal {chain}") } else { chain.clone() };
                (history.clone(), Finding::new(Kind::Truncated, what).at(chain, later + 1, *earlier))
            }));
            self.findings.extend(
                walk.faults
                    .into_iter()
                    .map(|(first, last, what, found)| anchor_finding(&name, first, last, what).values(None, found)),
            );
            self.chains.insert(name, chain);
        }
        self.tell_news();
    }

    /// The newest anchor that memory, the checkpoint or a later place's anchors remember must be there.
    fn check_anchor_ends(&mut self, memory: &Memory) {
        let mut ends: Vec<(String, u64, Mac)> = self.anchored(anchor::ANCHOR_CHAINS);
        if let (Some(prefix), Some(newest)) = (&memory.prefix, memory.anchor.filter(|newest| newest.number > 0)) {
            ends.push((prefix.clone(), newest.number, newest.mac));
        }
        ends.extend(self.closings.anchor_end());
        ends.extend(self.anchors_of_checkpoint().map(|(chain, (number, mac))| (chain.clone(), number, mac)));
        let tops: Vec<(String, u64)> =
            self.chains.iter().filter_map(|(name, chain)| Some((name.clone(), chain.newest?.0))).collect();
        let tops = tops.iter().map(|(name, top)| (name.as_bytes(), *top));
        for (name, first, last) in self.brought_over(anchor::ANCHOR_CHAINS, tops) {
            self.findings.push(anchor_finding(&name, first, last, elsewhere("anchor", first, last)));
        }
        for (name, number, mac) in ends.into_iter().collect::<BTreeSet<_>>() {
            let newest = self.chains.get(&name).and_then(|chain| chain.newest);
            let present = newest.map_or(0, |(number, ..)| number).max(self.pruned(&name));
            if present < number {
                self.findings.push(gone(&name, present + 1, number));
            } else if newest.is_some_and(|(n, other, _)| n == number && other != mac) {
                let what = format!("anchor {number} is not the one that was written");
                self.findings.push(anchor_finding(&name, number, number, what));
            }
        }
    }

    fn check_journal(&mut self, entries: &[(Entry, Standing)], memory: &Memory) {
        if !journal::has_primary_key() {
            let sentence = "the primary key of seal.journal is gone: an entry could stand there twice";
            self.findings.push(Finding::new(Kind::ConfigurationAltered, sentence));
        }
        for chain in entries.chunk_by(|(a, _), (b, _)| a.chain == b.chain) {
            self.check_journal_chain(chain);
        }
        let tops = entries.iter().map(|(entry, _)| (entry.chain.as_bytes(), entry.position));
        let tops = tops.fold(BTreeMap::new(), |mut tops: BTreeMap<&[u8], u64>, (chain, position)| {
            let top = tops.entry(chain).or_default();
            *top = (*top).max(position);
            tops
        });
        for (name, first, last) in self.brought_over(anchor::JOURNAL, tops.into_iter()) {
            let what = elsewhere("journal entry", first, last);
            self.findings.push(journal_finding(Kind::Forged, &name, first, last, what));
        }
        let mut ends = self.anchored(anchor::JOURNAL);
        ends.extend(self.closings.journal_ends());
        if let (Some(prefix), Some(known)) = (&memory.prefix, memory.journal.filter(|known| known.head.position > 0)) {
            ends.push((prefix.clone(), known.head.position, known.head.mac));
        }
        for (name, position, mac) in ends.into_iter().collect::<BTreeSet<_>>() {
            let of_chain = || entries.iter().filter(|(entry, _)| entry.chain == name);
            let top = of_chain().map(|(entry, _)| entry.position).max().unwrap_or(0);
            if top < position {
                let what = "the newest entries of the journal were removed".to_owned();
                self.findings.push(journal_finding(Kind::Truncated, &name, top + 1, position, what));
            } else if of_chain()
                .filter(|(entry, standing)| entry.position == position && *standing != Standing::False)
                .any(|(entry, _)| entry.stored_mac().is_some_and(|other| other != mac))
            {
                let what = format!("entry {position} of the journal is not the one that was written");
                self.findings.push(journal_finding(Kind::Modified, &name, position, position, what));
            }
        }
    }

    fn check_journal_chain(&mut self, entries: &[(Entry, Standing)]) {
        let mut last: (u64, Option<Mac>) = (0, Some(GENESIS));
        let mut unjudged = Unjudged::default();
        for (entry, standing) in entries {
            server::check_for_interrupts();
            let (name, position) = (&entry.chain, entry.position);
            if position > last.0 + 1 {
                let what = "entries of the journal were removed".to_owned();
                self.findings.push(journal_finding(Kind::Missing, name, last.0 + 1, position - 1, what));
                last.1 = None;
            }
            let mac = entry.stored_mac().filter(|_| *standing != Standing::False);
            if mac.is_none() || position == last.0 {
                let what = format!("entry {position} of the journal was changed or is forged");
                let finding = journal_finding(Kind::Modified, name, position, position, what);
                self.findings.push(finding.values(None, Some(content(entry))));
            } else if last.1.is_some_and(|previous| entry.prev != previous) {
                let what = format!("entry {position} of the journal does not follow the one before it");
                self.findings.push(journal_finding(Kind::WrongPredecessor, name, position, position, what));
            } else if *standing == Standing::Unjudged {
                unjudged.add(&entry.key_id, position);
            } else {
                self.named.add(name.as_bytes(), entry.anchor, entry.at);
            }
            last = (position, mac);
        }
        let chain = entries.first().map_or("", |(entry, _)| &entry.chain);
        self.findings.extend(unjudged.findings("entries", &format!("journal {chain}")));
    }
}

/// What is said of records that were brought over from another place.
pub fn elsewhere(one: &str, first: u64, last: u64) -> String {
    let which = if last > first { format!("{one} {first} to {last}") } else { format!("{one} {first}") };
    format!("{which}: sealed elsewhere and brought here after this place had begun its own chains")
}

fn gone(chain: &str, first: u64, last: u64) -> Finding<RowKey> {
    let what = match last > first {
        true => format!("the newest anchors, {first} to {last}, were removed"),
        false => format!("the newest anchor, {first}, was removed"),
    };
    anchor_finding(chain, first, last, what)
}

fn anchor_finding(chain: &str, first: u64, last: u64, sentence: String) -> Finding<RowKey> {
    Finding::new(Kind::AnchorAltered, sentence).at(format!("anchors {chain}"), first, last)
}

fn journal_finding(kind: Kind, chain: &str, first: u64, last: u64, sentence: String) -> Finding<RowKey> {
    Finding::new(kind, sentence).at(format!("journal {chain}"), first, last)
}
