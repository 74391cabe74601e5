//! Where chains must begin and end: at their cut, or at a checkpoint; and at what memory, anchors and
//! witness remember.

use super::audit::Audited;
use crate::pg::spi;
use crate::record::cut::Cut;
use crate::seal::heads::Remembered;
use crate::seal::plan::{self, chain_name};
use pgseal_chain::{GENESIS, Head, Known, Mac};
use std::collections::{BTreeMap, BTreeSet};

/// The newest entry of each chain: its position and mac.
pub type Heads = BTreeMap<Vec<u8>, (u64, Mac)>;

/// What the server's memory and the journal know of a history's chains.
pub fn known(
    remembered: &[Remembered],
    cuts: &BTreeMap<String, Cut>,
    window_start: Option<i64>,
    tenant_only: bool,
) -> Known {
    let prefix = if remembered.is_empty() { None } else { plan::chain_prefix().ok() };
    let heads = remembered
        .iter()
        .filter(|known| known.head.position > 0)
        .filter_map(|known| {
            let prefix = prefix.as_deref()?;
            let chain = chain_name(prefix, known.slot.chain());
            Some(Head { chain: chain.into_bytes(), position: known.head.position, mac: Some(known.head.mac) })
        })
        .collect();
    let cuts = cuts.iter().map(|(chain, cut)| pgseal_chain::Cut {
        chain: chain.clone().into_bytes(),
        position: cut.position,
        mac: cut.mac,
    });
    Known { heads, cuts: cuts.collect(), window_start, tenant_only }
}

/// The position before a chain's first row, and its mac.
pub fn begin(known: &Known, chain: &[u8]) -> (u64, Mac) {
    let cut = known.cuts.iter().find(|cut| cut.chain == chain);
    cut.map_or((0, GENESIS), |cut| (cut.position, cut.mac))
}

/// How many entries are to be read, up to the heads that are known.
pub fn expected(known: &Known) -> u64 {
    let mut tops: BTreeMap<&[u8], u64> = BTreeMap::new();
    for head in &known.heads {
        let top = tops.entry(&head.chain).or_default();
        *top = head.position.max(*top);
    }
    tops.iter().map(|(chain, top)| top.saturating_sub(begin(known, chain).0)).sum()
}

/// Whether the unordered pass saw nothing but whole chains that begin and end where they should, and `rested` is still
/// there.
pub fn are_whole(audited: &Audited, known: &Known, rested: &Heads, table: &str) -> bool {
    if audited.suspicious > 0 {
        return false;
    }
    let chains: BTreeMap<&[u8], _> = audited.sums.chains().collect();
    // Memory, anchors and a checkpoint often name the same entry, which is looked up once.
    let heads: BTreeSet<(&[u8], u64, Option<Mac>)> =
        known.heads.iter().map(|head| (head.chain.as_slice(), head.position, head.mac)).collect();
    let rested = rested.iter().map(|(chain, (position, mac))| (chain.as_slice(), *position, Some(*mac)));
    chains.keys().all(|chain| audited.sums.is_whole(chain, begin(known, chain)))
        && heads.iter().all(|&(chain, position, mac)| match chains.get(chain) {
            Some(sum) if sum.highest_position == position => mac == Some(sum.highest_mac),
            Some(sum) if sum.highest_position < position => false,
            None if begin(known, chain).0 < position => false,
            _ => stands_on_chain(table, chain, position, mac),
        })
        && rested
            .filter(|head| !heads.contains(head))
            .all(|(chain, position, mac)| stands_on_chain(table, chain, position, mac))
}

/// For what lies below the end of what was just read.
fn stands_on_chain(table: &str, chain: &[u8], position: u64, mac: Option<Mac>) -> bool {
    let rows = spi::read(&format!(
        "SELECT pg_catalog.encode(seal_mac, 'hex') FROM {table} WHERE seal_chain = {} AND seal_seq = {position}",
        spi::literal(&String::from_utf8_lossy(chain)),
    ));
    let expected = mac.map(hex::encode);
    matches!(rows.as_slice(), [row] if row.first() == Some(&expected))
}
