//! Other nodes of a cluster, as far as replication brings what they sealed, and their journals, to this one.
//!
//! A node is known by the names and tags of its chains: whoever is renamed keeps its tag, whoever is promoted its name.
//! What another node's administrators did is settings of that node. It counts here only where this database was a
//! copy of that one; what it says of epochs and cuts is what entries of that node are judged by.

use super::cut::Cut;
use super::definition::{Definition, Epoch, EpochKeys};
use super::epoch::EpochRecord;
use super::journal::{self, Act, Entry};
use super::journaled;
use super::registry::{self, Registration};
use crate::key;
use crate::pg::snapshot::Sees;
use crate::pg::{relation, server, spi};
use crate::seal::plan;
use crate::settings;
use pgseal_chain::{ChainName, HistoryId};
use std::collections::{BTreeMap, BTreeSet};

/// Another node.
#[derive(Debug, Clone, Default)]
pub struct Node {
    names: BTreeSet<String>,
    tags: BTreeSet<String>,
    /// This database was a copy of that node's: what was done there before, was done to this one.
    pub is_past: bool,
}

impl Node {
    fn has(&self, name: &str, tag: &str) -> bool {
        self.names.contains(name) || self.tags.contains(tag)
    }
}

/// The other nodes that the journal has entries of.
#[derive(Debug, Clone, Default)]
pub struct Nodes {
    here: Node,
    others: Vec<Node>,
}

impl Nodes {
    /// Those that these entries of the journal are of.
    pub fn among<'a>(entries: impl Iterator<Item = &'a Entry> + Clone, sees: Sees) -> Nodes {
        let mut nodes = Nodes::at(&entries.clone().map(|entry| entry.chain.as_str()).collect());
        if !nodes.others.is_empty() {
            nodes.find_past(entries, sees);
        }
        nodes
    }

    /// Those that have these chains.
    fn at(chains: &BTreeSet<&str>) -> Nodes {
        let here = Node { names: BTreeSet::from([settings::chain_name()]), tags: own_tag(), is_past: false };
        let mut nodes = Nodes { here, others: Vec::new() };
        let places: Vec<ChainName> = chains.iter().filter_map(|chain| ChainName::parse(chain)).collect();
        // Each round can make known a name or a tag by which another place is recognised.
        for _ in &places {
            places.iter().for_each(|place| nodes.add(place));
        }
        nodes
    }

    /// Those that the journal has authentic entries of.
    pub fn known(sees: Sees) -> (Nodes, Vec<Entry>) {
        let claimed = Nodes::at(&journal::chains(sees).iter().map(String::as_str).collect());
        if claimed.others.is_empty() {
            return (claimed, Vec::new());
        }
        let mut entries = journal::stored(sees);
        entries.retain(Entry::is_authentic);
        let nodes = Nodes::among(entries.iter(), sees);
        entries.retain(|entry| nodes.find(&entry.chain).is_some());
        (nodes, entries)
    }

    fn add(&mut self, place: &ChainName) {
        // A name that this node had before may be another's by now.
        if self.here.has(&place.node, &place.tag) {
            self.here.tags.insert(place.tag.clone());
            return;
        }
        let is_same = |node: &Node| node.has(&place.node, &place.tag);
        let (same, rest): (Vec<Node>, Vec<Node>) = std::mem::take(&mut self.others).into_iter().partition(is_same);
        let mut one = Node::default();
        one.names.insert(place.node.clone());
        one.tags.insert(place.tag.clone());
        for node in same {
            one.names.extend(node.names);
            one.tags.extend(node.tags);
        }
        self.others = rest;
        self.others.push(one);
    }

    /// A history of this database that was attached there shows that it was brought along with all the rest.
    fn find_past<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>, sees: Sees) {
        let registrations = registry::registrations_as(sees);
        for entry in entries.filter(|entry| entry.kind == Act::Attach.as_str()) {
            let Some(place) = self.find(&entry.chain) else { continue };
            let attached_at = entry.details()["settings"]["attached_at"].as_i64();
            let is_of = |row: &Registration| Some(row.history) == entry.history && Some(row.attached_at) == attached_at;
            self.others[place].is_past |= registrations.iter().any(is_of);
        }
    }

    /// Which other node a chain is of; `None` for this one's and for those that nothing is known of. A place is known for
    /// certain by its tag.
    pub fn find(&self, chain: &str) -> Option<usize> {
        let name = ChainName::parse(chain).filter(|_| !self.others.is_empty())?;
        if self.here.has(&name.node, &name.tag) {
            return None;
        }
        let by_tag = self.others.iter().position(|node| node.tags.contains(&name.tag));
        by_tag.or_else(|| self.others.iter().position(|node| node.names.contains(&name.node)))
    }

    /// Whether a chain is of a node whose past is not this database's.
    pub fn is_strange(&self, chain: &str) -> bool {
        self.find(chain).is_some_and(|place| !self.others[place].is_past)
    }

    /// Whether a chain is of no node that is known.
    pub fn is_unknown(&self, chain: &str) -> bool {
        ChainName::parse(chain).is_some_and(|name| !self.here.has(&name.node, &name.tag) && self.find(chain).is_none())
    }

    pub fn others(&self) -> &[Node] {
        &self.others
    }
}

fn own_tag() -> BTreeSet<String> {
    let prefix = if server::in_recovery() { None } else { plan::chain_prefix().ok() };
    prefix.and_then(|prefix| ChainName::parse(&prefix)).map(|name| name.tag).into_iter().collect()
}

/// One history as the other nodes define it.
#[derive(Default)]
pub struct Elsewhere {
    pub nodes: Nodes,
    /// In the order of the nodes.
    pub definitions: Vec<Definition>,
}

impl Elsewhere {
    /// What the journals of other nodes that are here say of the history's epochs.
    pub fn of(registration: &Registration, sees: Sees) -> Elsewhere {
        let (nodes, entries) = Nodes::known(sees);
        let definition = |(place, _)| Definition {
            registration: registration.clone(),
            epochs: epochs(
                registration.history,
                entries.iter().filter(|entry| nodes.find(&entry.chain) == Some(place)),
            ),
            key_fault: None,
            alterations: Vec::new(),
            elsewhere: Elsewhere::default(),
        };
        let definitions = nodes.others.iter().enumerate().map(definition).collect();
        Elsewhere { nodes, definitions }
    }
}

fn epochs<'a>(history: HistoryId, entries: impl Iterator<Item = &'a Entry>) -> Vec<Epoch> {
    let mut found: BTreeMap<i32, Epoch> = BTreeMap::new();
    for entry in entries.filter(|entry| entry.history == Some(history) && entry.kind == Act::Epoch.as_str()) {
        if let Some(epoch) = epoch(history, entry) {
            found.insert(epoch.number, epoch);
        }
    }
    found.into_values().collect()
}

fn epoch(history: HistoryId, entry: &Entry) -> Option<Epoch> {
    let details = entry.details();
    let number = i32::try_from(details["epoch"].as_i64()?).ok()?;
    let mut digest = [0; 32];
    hex::decode_to_slice(details["digest"].as_str()?, &mut digest).ok()?;
    let record = EpochRecord::parse(&details["record"].to_string()).ok()?;
    let keys = key::to_verify(&record.key_id).and_then(|key| key.keys(history)).ok();
    let number_in_key = u32::try_from(number).ok()?;
    let keys = keys.map(|keys| EpochKeys { entries: keys.epoch_key(number_in_key, &digest), salts: keys.salt_key() });
    Some(Epoch { number, record, digest, keys })
}

/// The cuts that other nodes made and this one did not: of chains whose pruned entries are gone here, too, since they
/// were removed by replication. `own` are this node's.
pub fn cuts(registration: &Registration, own: &BTreeMap<String, Cut>, sees: Sees) -> BTreeMap<String, Cut> {
    let mut found = stored_cuts(registration.history, sees);
    let table = relation::name_of(registration.relation);
    found.retain(|chain, cut| {
        let before = own.get(chain).map_or(0, |cut| cut.position);
        cut.position > before && !has_entries(&table, ["seal_chain", "seal_seq"], chain, before + 1, cut.position)
    });
    found
}

/// The cuts that the journals of other nodes have.
pub fn stored_cuts(history: HistoryId, sees: Sees) -> BTreeMap<String, Cut> {
    let (nodes, mut entries) = Nodes::known(sees);
    entries.retain(|entry| nodes.is_strange(&entry.chain) && entry.kind == Act::Cut.as_str());
    journaled::histories(&entries).remove(&history).unwrap_or_default().cuts
}

/// Whether a table has rows of a chain from `first` to `last`.
pub fn has_entries(table: &str, [chain_column, position]: [&str; 2], chain: &str, first: u64, last: u64) -> bool {
    !spi::read(&format!(
        "SELECT FROM {table} WHERE {chain_column} = {} AND {position} BETWEEN {first} AND {last} LIMIT 1",
        spi::literal(chain)
    ))
    .is_empty()
}

/// Whether a subscription of this database brings rows into a table.
pub fn is_receiving(relation: u32) -> bool {
    let tables: Vec<String> = relation::with_descendants(relation).iter().map(u32::to_string).collect();
    let rows = spi::read(&format!(
        "SELECT FROM pg_catalog.pg_subscription_rel WHERE srrelid IN ({}) LIMIT 1",
        tables.join(", ")
    ));
    !rows.is_empty()
}
