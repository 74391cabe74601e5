//! What other nodes' records add: news of their own chains, and what they pruned.

use super::Internal;
use super::walk::AnchorChain;
use crate::pg::snapshot::Sees;
use crate::record::anchor;
use crate::record::cut::Cut;
use crate::record::journal::{Entry, Standing};
use crate::record::nodes::{self, Nodes};
use crate::record::overall;
use pgseal_chain::ChainName;
use std::cell::OnceCell;

impl Internal {
    /// Chains of anchors of this place, and of what it was a copy of.
    pub(super) fn own_anchors(&self) -> impl Iterator<Item = (&String, &AnchorChain)> {
        self.chains.iter().filter(|(name, _)| !self.news.contains(*name))
    }

    /// Where other nodes' anchors say that their own chains of this history stood: node, chain and position.
    pub fn news(&self, history: &str) -> Vec<(String, String, u64)> {
        let named = |chain: &str| ChainName::parse(chain).map(|name| name.node);
        let of_node = |anchors: &String, chain: &str| {
            self.nodes.find(chain).is_some() && self.nodes.find(chain) == self.nodes.find(anchors)
        };
        let news = self.chains.iter().filter(|(anchors, _)| self.news.contains(*anchors));
        news.filter_map(|(anchors, chain)| Some((anchors, chain.heads.histories.get(history)?)))
            .flat_map(|(anchors, chains)| {
                let own = chains.iter().filter(|(chain, _)| of_node(anchors, chain));
                own.filter_map(|(chain, (position, _))| Some((named(chain)?, chain.clone(), *position)))
            })
            .collect()
    }

    /// The last pruned anchor of a chain: by this node, or by another whose pruning was replicated to here.
    pub(super) fn cut(&self, chain: &str) -> Option<Cut> {
        let own = self.overall.anchor_cuts.get(chain).copied();
        let before = own.map_or(0, |cut| cut.position);
        let is_gone = |cut: &&Cut| {
            let columns = ["chain", "number"];
            cut.position > before && !nodes::has_entries("seal.anchor", columns, chain, before + 1, cut.position)
        };
        let others = self.elsewhere.iter().filter_map(|overall| overall.anchor_cuts.get(chain)).filter(is_gone);
        others.max_by_key(|cut| cut.position).copied().or(own)
    }

    /// Chains of anchors of strangers, whose journal may not be here yet.
    pub(super) fn tell_strangers(&mut self, names: &[String]) {
        let own = OnceCell::new();
        let is_unknown = |name: &str| {
            let heads = || self.here.as_ref().map(|here| anchor::state(here, Sees::Snapshot)).unwrap_or_default();
            let own = own.get_or_init(heads);
            let is_receiving = || anchor::table().is_some_and(nodes::is_receiving);
            own.get(anchor::ANCHOR_CHAINS, name).is_none() && (!own.is_empty() || is_receiving())
        };
        let is_strange =
            |name: &&String| self.nodes.is_strange(name) || (self.nodes.is_unknown(name) && is_unknown(name));
        self.news = names.iter().filter(is_strange).cloned().collect();
    }

    /// What this database was a copy of may have gone on since.
    pub(super) fn tell_news(&mut self) {
        let own = self.here.as_ref().and_then(|here| self.chains.get(here));
        let known = |name: &str| own.and_then(|own| own.heads.get(anchor::ANCHOR_CHAINS, name)).map(|head| head.0);
        let goes_on = |(name, chain): &(&String, &AnchorChain)| {
            let is_ahead = known(name).zip(chain.newest).is_some_and(|(known, newest)| newest.0 > known);
            self.nodes.find(name).is_some() && is_ahead
        };
        let ahead: Vec<String> = self.chains.iter().filter(goes_on).map(|(name, _)| name.clone()).collect();
        self.news.extend(ahead);
    }

    pub(super) fn meet_others(&mut self, entries: &[(Entry, Standing)]) {
        let possible = entries.iter().filter(|(_, standing)| *standing != Standing::False).map(|(entry, _)| entry);
        self.nodes = Nodes::among(possible.clone(), Sees::Snapshot);
        self.elsewhere = (0..self.nodes.others().len())
            .map(|place| {
                let of_node = possible.clone().filter(|entry| self.nodes.find(&entry.chain) == Some(place));
                overall::of(&of_node.cloned().collect::<Vec<_>>())
            })
            .collect();
    }
}
