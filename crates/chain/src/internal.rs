//! The two internal chains: what administrators did, and where all chains stood.

use crate::entry::Mac;
use crate::keys::{HistoryId, RecordKey};

/// Takes the place of a history's id in the keys of the journal.
pub const JOURNAL: HistoryId = HistoryId(*b"pgseal journal\0\0");

/// Takes the place of a history's id in the keys of the anchors.
pub const ANCHORS: HistoryId = HistoryId(*b"pgseal anchors\0\0");

/// Everything that the mac of one journal entry covers.
#[derive(Clone, Copy, Debug)]
pub struct JournalEntry<'a> {
    /// Name of the chain: that of the node's first chain.
    pub chain: &'a str,
    /// Position in the chain, from 1.
    pub position: u64,
    /// When it was written, in µs since 2000-01-01 UTC.
    pub at: i64,
    /// The user who acted.
    pub who: &'a str,
    /// What was done, in one word.
    pub kind: &'a str,
    /// The history it was done to.
    pub history: Option<HistoryId>,
    /// What that was called.
    pub table: Option<&'a str>,
    /// One sentence for people.
    pub sentence: &'a str,
    /// Text of the details as the server prints jsonb.
    pub details: &'a str,
    /// Number of the newest anchor published before; 0: none.
    pub anchor: u64,
    /// Id of the key that signs.
    pub key_id: &'a str,
    /// Mac of the entry before; [`GENESIS`](crate::GENESIS) at position 1.
    pub prev: &'a [u8],
}

impl JournalEntry<'_> {
    /// The entry's signature.
    #[must_use]
    pub fn mac(&self, key: &RecordKey) -> Mac {
        key.mac(
            "journal",
            JOURNAL,
            &record_id(self.chain, self.position),
            &[
                Some(&self.at.to_be_bytes()),
                Some(self.who.as_bytes()),
                Some(self.kind.as_bytes()),
                self.history.as_ref().map(|history| history.0.as_slice()),
                self.table.map(str::as_bytes),
                Some(self.sentence.as_bytes()),
                Some(self.details.as_bytes()),
                Some(&self.anchor.to_be_bytes()),
                Some(self.key_id.as_bytes()),
                Some(self.prev),
            ],
        )
    }
}

/// Everything that the mac of one anchor covers.
#[derive(Clone, Copy, Debug)]
pub struct AnchorEntry<'a> {
    /// Name of the chain: that of the node's first chain.
    pub chain: &'a str,
    /// Number of the anchor, from 1.
    pub number: u64,
    /// When it was made, in µs since 2000-01-01 UTC; not before any head that it has.
    pub at: i64,
    /// Whether it has all chains, or only those that changed since the anchor before.
    pub complete: bool,
    /// Text of the heads as the server prints jsonb.
    pub heads: &'a str,
    /// The operating system's id of its boot.
    pub boot: &'a str,
    /// µs since that boot.
    pub boot_time: i64,
    /// Id of the key that signs.
    pub key_id: &'a str,
    /// Mac of the anchor before; [`GENESIS`](crate::GENESIS) in the first.
    pub prev: &'a [u8],
}

impl AnchorEntry<'_> {
    /// The anchor's signature.
    #[must_use]
    pub fn mac(&self, key: &RecordKey) -> Mac {
        key.mac(
            "anchor",
            ANCHORS,
            &record_id(self.chain, self.number),
            &[
                Some(&self.at.to_be_bytes()),
                Some(&[u8::from(self.complete)]),
                Some(self.heads.as_bytes()),
                Some(self.boot.as_bytes()),
                Some(&self.boot_time.to_be_bytes()),
                Some(self.key_id.as_bytes()),
                Some(self.prev),
            ],
        )
    }
}

fn record_id(chain: &str, position: u64) -> Vec<u8> {
    [chain.as_bytes(), &position.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::GENESIS;
    use crate::keys::{HistoryKeys, Secret};

    fn key(of: HistoryId) -> RecordKey {
        HistoryKeys::derive(&Secret::from_bytes(vec![7; 32]).expect("32 bytes"), of).record_key()
    }

    #[test]
    fn every_part_of_an_anchor_is_signed() {
        let base = AnchorEntry {
            chain: "main.0a1b2c3d",
            number: 2,
            at: 3,
            complete: false,
            heads: "{}",
            boot: "b",
            boot_time: 4,
            key_id: "1",
            prev: &GENESIS,
        };
        let others = [
            AnchorEntry { chain: "main.0a1b2c3e", ..base },
            AnchorEntry { number: 3, ..base },
            AnchorEntry { at: 4, ..base },
            AnchorEntry { complete: true, ..base },
            AnchorEntry { heads: "[]", ..base },
            AnchorEntry { boot: "c", ..base },
            AnchorEntry { boot_time: 5, ..base },
            AnchorEntry { key_id: "2", ..base },
            AnchorEntry { prev: &[1; 32], ..base },
        ];
        let mac = base.mac(&key(ANCHORS));
        assert!(others.iter().all(|other| other.mac(&key(ANCHORS)) != mac));
        assert_ne!(base.mac(&key(JOURNAL)), mac);
    }

    #[test]
    fn every_part_of_a_journal_entry_is_signed() {
        let base = JournalEntry {
            chain: "main.0a1b2c3d",
            position: 2,
            at: 3,
            who: "w",
            kind: "attach",
            history: None,
            table: None,
            sentence: "s",
            details: "{}",
            anchor: 4,
            key_id: "1",
            prev: &GENESIS,
        };
        let others = [
            JournalEntry { chain: "main.0a1b2c3e", ..base },
            JournalEntry { position: 3, ..base },
            JournalEntry { at: 4, ..base },
            JournalEntry { who: "x", ..base },
            JournalEntry { kind: "detach", ..base },
            JournalEntry { history: Some(HistoryId([0; 16])), ..base },
            JournalEntry { table: Some(""), ..base },
            JournalEntry { sentence: "t", ..base },
            JournalEntry { details: "[]", ..base },
            JournalEntry { anchor: 5, ..base },
            JournalEntry { key_id: "2", ..base },
            JournalEntry { prev: &[1; 32], ..base },
        ];
        let mac = base.mac(&key(JOURNAL));
        assert!(others.iter().all(|other| other.mac(&key(JOURNAL)) != mac));
    }
}
