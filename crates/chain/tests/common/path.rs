//! What a right chain is, said slowly and plainly.

use pgseal_chain::Mac;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    pub position: u64,
    pub prev: Mac,
    pub mac: Mac,
}

/// Walks from the cut, taking row after row: right if every row was taken, and the head passed.
pub fn is_right(rows: &[Edge], cut: (u64, Mac), head: Option<(u64, Mac)>) -> bool {
    let mut left = rows.to_vec();
    let mut at = cut;
    let mut passed = head.is_none_or(|head| head.0 <= cut.0);
    while let Some(index) = left.iter().position(|row| row.position == at.0 + 1 && row.prev == at.1) {
        let row = left.swap_remove(index);
        at = (row.position, row.mac);
        passed |= head == Some(at);
    }
    left.is_empty() && passed
}
