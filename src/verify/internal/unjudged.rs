//! Records that cannot be judged since their key is not at hand.

use crate::verify::locate::RowKey;
use pgseal_chain::{Finding, Kind};
use std::collections::BTreeMap;

/// By key id the first and last position of such records in one chain.
#[derive(Default)]
pub(super) struct Unjudged(BTreeMap<String, (u64, u64)>);

impl Unjudged {
    pub(super) fn add(&mut self, key_id: &str, position: u64) {
        let range = self.0.entry(key_id.to_owned()).or_insert((position, position));
        *range = (range.0.min(position), range.1.max(position));
    }

    /// One finding for each key.
    pub(super) fn findings(&self, what: &str, chain: &str) -> Vec<Finding<RowKey>> {
        self.0
            .iter()
            .map(|(id, (first, last))| {
                let sentence = format!("{what} {first} to {last} cannot be judged because key {id} is not available");
                Finding::new(Kind::UnknownKey, sentence).at(chain.to_owned(), *first, *last)
            })
            .collect()
    }
}
