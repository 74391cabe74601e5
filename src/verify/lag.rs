//! What other nodes sealed and replication has not brought here.

use super::ends::Heads;
use crate::record::cut::Cut;
use std::collections::BTreeMap;

/// For the answer's basis: how far each node is ahead of what is here. `news` are the positions that the anchors of other
/// nodes have, by node and chain.
pub fn text(news: &[(String, String, u64)], heads: &Heads, cuts: &BTreeMap<String, Cut>) -> String {
    let mut missing: BTreeMap<&str, u64> = BTreeMap::new();
    for (node, chain, position) in news {
        let here = heads.get(chain.as_bytes()).map_or(0, |(top, _)| *top);
        let here = here.max(cuts.get(chain).map_or(0, |cut| cut.position));
        *missing.entry(node).or_default() += position.saturating_sub(here);
    }
    missing
        .into_iter()
        .filter(|(_, entries)| *entries > 0)
        .map(|(node, entries)| {
            format!(
                "; lagging: {entries} entries that node {node} has anchored have not arrived here, verify them there"
            )
        })
        .collect()
}
