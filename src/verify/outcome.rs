//! What a verification of one history came to.

use super::audit::Audited;
use super::locate::RowKey;
use crate::key::KeyFault;
use crate::record::checkpoint::Draft;
use crate::record::cut::Cut;
use crate::record::journaled::{Acknowledgement, Journaled};
use crate::settings;
use pgseal_chain::{ChainName, Finding, Findings, HistoryId, Mac};
use std::collections::BTreeMap;

/// Entries of one node that stand for the tenant asked for, or of everybody.
#[derive(Debug, Clone, Default)]
pub struct NodeCount {
    pub entries: u64,
    /// µs since 2000-01-01 UTC.
    pub first: Option<i64>,
    /// µs since 2000-01-01 UTC.
    pub last: Option<i64>,
}

/// What a verification found.
pub struct Outcome {
    /// Schema-qualified name of the table, or what is left of it.
    pub table: String,
    /// By node name; this node is always there.
    pub nodes: BTreeMap<String, NodeCount>,
    pub findings: Findings<RowKey>,
    /// Known incidents, by fingerprint of the finding.
    pub acknowledged: BTreeMap<String, Acknowledgement>,
    /// µs since 2000-01-01 UTC.
    pub window_start: Option<i64>,
    /// What the answer rests on.
    pub basis: String,
    pub has_tenant_column: bool,
    /// Whether the table could be read as a history.
    pub readable: bool,
    /// Why entries cannot be judged, where a key is missing.
    pub key_fault: Option<KeyFault>,
    /// What was verified; `None` where no history could be read.
    pub subject: Option<Subject>,
    /// Entries of a checkpoint that the answer rests on without having read them.
    pub rested: u64,
    /// The newest entry of each chain: position and mac.
    pub heads: BTreeMap<String, (u64, Mac)>,
    /// What a checkpoint is made of, if that was asked for and the whole history was verified.
    pub draft: Option<Draft>,
}

/// The history that a run is about, under the run's snapshot.
pub struct Subject {
    pub history: HistoryId,
    /// Oid of its table.
    pub relation: u32,
    pub window_months: Option<i32>,
    /// Today's name of the tenant column.
    pub tenant_column: Option<String>,
    /// Ids of the keys of its epochs.
    pub keys: Vec<String>,
    /// As the journal has it, with the cuts of other nodes; `None` if it does not know the history.
    pub journaled: Option<Journaled>,
    /// Those of its cuts that only other nodes have journaled.
    pub pruned_elsewhere: BTreeMap<String, Cut>,
}

/// An outcome that consists of one finding, for a table that cannot be read as a history.
pub fn only(finding: Finding<RowKey>, table: String) -> Outcome {
    Outcome {
        table,
        nodes: count_nodes(None),
        findings: std::iter::once(finding).collect(),
        acknowledged: BTreeMap::new(),
        window_start: None,
        basis: "nothing could be verified".into(),
        has_tenant_column: false,
        readable: false,
        key_fault: crate::key::current().err(),
        subject: None,
        rested: 0,
        heads: BTreeMap::new(),
        draft: None,
    }
}

/// The entries that a pass counted, by the node that sealed them.
pub fn count_nodes(audited: Option<&Audited>) -> BTreeMap<String, NodeCount> {
    let here = settings::chain_name();
    let mut nodes = BTreeMap::from([(here.clone(), NodeCount::default())]);
    for count in audited.map(|audited| audited.counts.as_slice()).unwrap_or_default() {
        let node = std::str::from_utf8(&count.chain).ok().and_then(ChainName::parse).map(|name| name.node);
        let node = nodes.entry(node.unwrap_or_else(|| here.clone())).or_default();
        node.entries += count.entries;
        node.first = Some(node.first.map_or(count.first, |first| first.min(count.first)));
        node.last = Some(node.last.map_or(count.last, |last| last.max(count.last)));
    }
    if let (Some(audited), Some(node)) = (audited, nodes.get_mut(&here)) {
        node.entries += audited.unsealed;
    }
    nodes
}
