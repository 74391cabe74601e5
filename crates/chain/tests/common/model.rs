//! Multisets of valid rows to judge by the plain words of `path`.

use super::path::Edge;
use pgseal_chain::{Audit, Authenticity, Cut, Findings, GENESIS, Head, Known, Locator, Mac, Observed, RunSecret};
use proptest::prelude::*;

pub fn mac(number: u64) -> Mac {
    let mut mac = [0; 32];
    mac[24..].copy_from_slice(&number.to_be_bytes());
    mac
}

/// An honest chain with these macs.
pub fn chain(macs: &[Mac]) -> Vec<Edge> {
    let before = std::iter::once(&GENESIS).chain(macs);
    let rows = (1..).zip(before.zip(macs));
    rows.map(|(position, (prev, mac))| Edge { position, prev: *prev, mac: *mac }).collect()
}

pub fn audit(rows: &[Edge], secret: &RunSecret) -> Audit {
    let mut audit = Audit::new(secret);
    for row in rows {
        audit.add(b"a", row.position, &row.prev, &row.mac, 0);
    }
    audit
}

pub fn locate(rows: &[Edge], cut: (u64, Mac), head: Option<(u64, Mac)>) -> Findings<usize> {
    let chain = || b"a".to_vec();
    let mut locator = Locator::new(Known {
        heads: head.map(|(position, mac)| Head { chain: chain(), position, mac: Some(mac) }).into_iter().collect(),
        cuts: vec![Cut { chain: chain(), position: cut.0, mac: cut.1 }],
        ..Known::default()
    });
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|index| rows[*index].position);
    for index in order {
        let row = &rows[index];
        locator.observe(Observed {
            chain: Some(chain()),
            position: i64::try_from(row.position).ok(),
            epoch: Some(1),
            sealed_at: Some(0),
            prev: Some(row.prev.to_vec()),
            mac: Some(row.mac.to_vec()),
            authenticity: Authenticity::Valid,
            of_tenant: true,
            key: Some(index),
            foreign_content: None,
        });
    }
    locator.finish()
}

/// What a signer that is rolled back again and again signs: all rows, and the last branch.
pub fn signed(history: &[(usize, usize)]) -> (Vec<Edge>, Vec<Edge>) {
    let mut all = Vec::new();
    let mut branch: Vec<Edge> = Vec::new();
    for (back, forward) in history {
        branch.truncate(branch.len().saturating_sub(*back));
        for _ in 0..*forward {
            let last = branch.last();
            let row = Edge {
                position: last.map_or(0, |row| row.position) + 1,
                prev: last.map_or(GENESIS, |row| row.mac),
                mac: mac(all.len() as u64 + 1),
            };
            all.push(row);
            branch.push(row);
        }
    }
    (all, branch)
}

#[derive(Clone, Debug)]
pub struct Case {
    pub rows: Vec<Edge>,
    pub cut: (u64, Mac),
    pub head: Option<(u64, Mac)>,
}

prop_compose! {
    /// The last branch, a few of its rows gone and a few of any rows put in; more often than not
    /// something that is right or nearly so.
    pub fn case()(
        history in prop::collection::vec((0_usize..6, 1_usize..6), 1..4),
        gone in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        added in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        pruned in 0_usize..4,
        head in prop::option::of(any::<prop::sample::Index>()),
        other_branch in any::<bool>(),
        order in any::<u64>(),
    ) -> Case {
        let (all, branch) = signed(&history);
        let mut rows = branch.clone();
        let cut = match branch.get(pruned.min(branch.len() - 1)) {
            Some(next) if pruned > 0 => {
                rows.retain(|row| row.position >= next.position);
                (next.position - 1, next.prev)
            }
            _ => (0, GENESIS),
        };
        for index in gone {
            if !rows.is_empty() {
                rows.remove(index.index(rows.len()));
            }
        }
        for index in added {
            rows.push(*index.get(&all));
        }
        let heads = if other_branch { &all } else { &branch };
        let head = head.map(|index| index.get(heads)).map(|row| (row.position, row.mac));
        let shuffle = |row: &Edge| (row.position.wrapping_mul(order | 1) >> 32, row.mac);
        rows.sort_by_key(shuffle);
        Case { rows, cut, head }
    }
}
