//! Anchors: where all chains stood, every few seconds with changes, in a sealed chain of their own.
//!
//! | column | |
//! |---|---|
//! | `chain`, `number` | the node's first chain's name, 1, 2, 3 … |
//! | `heads` | by history id (or `journal`, or `anchors` for chains of anchors that ended), by chain: position and mac |
//! | `complete` | all chains, or those that changed since the anchor before |

use crate::key;
use crate::pg::index;
use crate::pg::row::Row;
use crate::pg::snapshot::Sees;
use crate::pg::spi;
use crate::pg::value::{ColumnType, TypeOid};
use crate::record::identity;
use crate::record::journal;
use crate::record::ring;
use crate::record::tables::{self, Table};
use crate::seal::newest_anchor::NewestAnchor;
use pgseal_chain::{ANCHORS, AnchorEntry, HistoryId, Mac, RecordKey, is_same_mac};
use serde_json::{Map, Value, json};
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// Where the chain's name stands in `seal.anchor`.
pub const CHAIN: usize = 0;

/// Stands for the journal among the histories of an anchor.
pub const JOURNAL: &str = "journal";
/// Stands for chains of anchors that ended, in another place of sealing.
pub const ANCHOR_CHAINS: &str = "anchors";

/// Says that chains of other places may still grow.
const ADOPTING: &str = "adopting";

/// One row of `seal.anchor`.
#[derive(Debug, Clone)]
pub struct Anchor {
    pub chain: String,
    pub number: u64,
    /// µs since 2000-01-01 UTC.
    pub at: i64,
    pub complete: bool,
    /// As `jsonb::text` prints it.
    pub heads: String,
    pub boot: String,
    /// µs since that boot.
    pub boot_time: i64,
    pub key_id: String,
    pub prev: Vec<u8>,
    pub mac: Vec<u8>,
    /// It has a value that pgseal never writes.
    pub malformed: bool,
}

/// Position and mac of each chain, by history and chain name.
///
/// Of chains of other places (before a promotion, a restore, a copy) what the first anchor of this
/// place has is all there is: whatever comes later was sealed elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heads {
    pub histories: BTreeMap<String, BTreeMap<String, (u64, Mac)>>,
    /// Entries of other places may still come: a transaction that was prepared there is open.
    pub adopting: bool,
}

impl Anchor {
    pub fn expected_mac(&self, key: &RecordKey) -> Mac {
        AnchorEntry {
            chain: &self.chain,
            number: self.number,
            at: self.at,
            complete: self.complete,
            heads: &self.heads,
            boot: &self.boot,
            boot_time: self.boot_time,
            key_id: &self.key_id,
            prev: &self.prev,
        }
        .mac(key)
    }

    /// Its mac, if it is the right one.
    pub fn authentic_mac(&self) -> Option<Mac> {
        let key = record_key(&self.key_id).filter(|_| !self.malformed)?;
        Some(self.expected_mac(&key)).filter(|expected| is_same_mac(expected, &self.mac))
    }

    pub fn is_authentic(&self) -> bool {
        self.authentic_mac().is_some()
    }

    /// What entries need to know of it, if it is authentic.
    pub fn as_newest(&self) -> Option<NewestAnchor> {
        Some(NewestAnchor { number: self.number, at: self.at, mac: self.authentic_mac()? })
    }
}

impl Heads {
    pub fn is_empty(&self) -> bool {
        self.histories.is_empty()
    }

    pub fn insert(&mut self, history: String, chain: String, position: u64, mac: Mac) {
        self.histories.entry(history).or_default().insert(chain, (position, mac));
    }

    pub fn get(&self, history: &str, chain: &str) -> Option<(u64, Mac)> {
        self.histories.get(history)?.get(chain).copied()
    }

    pub fn count(&self) -> u64 {
        self.histories.values().map(|chains| chains.len() as u64).sum()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, u64, Mac)> {
        self.histories.iter().flat_map(|(history, chains)| {
            chains.iter().map(|(chain, (position, mac))| (history.as_str(), chain.as_str(), *position, *mac))
        })
    }

    /// Takes over what an older anchor says of chains that are not here yet.
    pub fn add_older(&mut self, older: Heads) {
        for (history, chains) in older.histories {
            let known = self.histories.entry(history).or_default();
            for (chain, head) in chains {
                known.entry(chain).or_insert(head);
            }
        }
    }

    pub fn to_json(&self) -> Value {
        let chains = |chains: &BTreeMap<String, (u64, Mac)>| {
            let heads =
                chains.iter().map(|(chain, (position, mac))| (chain.clone(), json!([position, hex::encode(mac)])));
            Value::Object(heads.collect::<Map<_, _>>())
        };
        let mut json: Map<_, _> =
            self.histories.iter().map(|(history, heads)| (history.clone(), chains(heads))).collect();
        if self.adopting {
            json.insert(ADOPTING.to_owned(), json!(true));
        }
        Value::Object(json)
    }

    pub fn parse(text: &str) -> Option<Heads> {
        let value: Value = serde_json::from_str(text).ok()?;
        let mut heads = Heads { adopting: value.get(ADOPTING).is_some(), ..Heads::default() };
        for (history, chains) in value.as_object()?.iter().filter(|(history, _)| *history != ADOPTING) {
            for (chain, head) in chains.as_object()? {
                let mac = identity::mac(&head[1])?;
                heads.insert(history.clone(), chain.clone(), head[0].as_u64()?, mac);
            }
        }
        Some(heads)
    }
}

/// The key that authenticates anchors signed under this key id, if it is at hand.
pub fn record_key(key_id: &str) -> Option<RecordKey> {
    key::of_internal_chain(key_id, ANCHORS).ok()
}

/// Oid of `seal.anchor`, if the extension is installed in this database.
pub fn table() -> Option<u32> {
    Table::Anchor.oid()
}

/// A query for the distinct values of a column that leads an index, without reading all of it.
pub fn distinct(column: &str, table: &str) -> String {
    format!(
        "WITH RECURSIVE chain (name) AS (
            (SELECT {column} FROM {table} ORDER BY {column} LIMIT 1)
            UNION ALL
            SELECT (SELECT {column} FROM {table} WHERE {column} > chain.name ORDER BY {column} LIMIT 1)
              FROM chain WHERE chain.name IS NOT NULL)
         SELECT name FROM chain WHERE name IS NOT NULL"
    )
}

/// Names of all chains of anchors.
pub fn chains(sees: Sees) -> Vec<String> {
    spi::column(spi::query(&distinct("chain", "seal.anchor"), sees))
}

/// Visits the anchors of a chain from the newest down, until `visitor` returns `false`. `None`
/// where the table or its primary key is gone.
pub fn visit(chain: &str, sees: Sees, mut visitor: impl FnMut(Anchor) -> bool) -> Option<()> {
    let open = Table::Anchor.open()?;
    let by_number = open.unique_index([c"chain", c"number"])?;
    let jsonb = ColumnType::new(TypeOid::JSONB);
    index::visit(&open, by_number, chain, None, sees, |row| visitor(anchor(row, &jsonb)));
    Some(())
}

/// The newest authentic anchor of a chain, [`NewestAnchor::NONE`] if there is none; `None` where the
/// anchors cannot be read. One whose key is out of reach counts: the next one follows it, and verification says that
/// it could not be judged.
pub fn newest(chain: &str, sees: Sees) -> Option<NewestAnchor> {
    let mut found = None;
    let ring = OnceCell::new();
    visit(chain, sees, |anchor| {
        found = anchor.as_newest().or_else(|| {
            let ring = ring.get_or_init(|| journal::judged(sees).1);
            let mac = anchor.mac.as_slice().try_into().ok()?;
            let is_possible = !anchor.malformed && ring::is_out_of_reach(ring, &anchor.key_id);
            is_possible.then_some(NewestAnchor { number: anchor.number, at: anchor.at, mac })
        });
        found.is_none()
    })?;
    Some(found.unwrap_or(NewestAnchor::NONE))
}

/// The anchor that was published last, as it stands in the table.
pub fn published(chain: &str, newest: NewestAnchor) -> Option<Anchor> {
    let mut found = None;
    visit(chain, Sees::Stored, |anchor| {
        if anchor.as_newest() == Some(newest) {
            found = Some(anchor);
            return false;
        }
        anchor.number > newest.number
    });
    found
}

/// Where the authentic anchors of a chain say that all chains stood: the newest of each, back to
/// the last complete anchor.
pub fn state(chain: &str, sees: Sees) -> Heads {
    let mut heads = Heads::default();
    let mut any = false;
    visit(chain, sees, |anchor| {
        if !anchor.is_authentic() {
            return true;
        }
        let older = Heads::parse(&anchor.heads).unwrap_or_default();
        heads.adopting |= older.adopting && !any;
        any = true;
        heads.add_older(older);
        !anchor.complete
    });
    heads
}

/// Where the anchors say that one chain stood, with the time of the anchor.
pub fn floor(anchors: &str, history: HistoryId, chain: &str) -> Option<(u64, Mac, i64)> {
    let history = identity::in_anchors(history);
    let mut found = None;
    visit(anchors, Sees::Stored, |anchor| {
        if !anchor.is_authentic() {
            return true;
        }
        let heads = Heads::parse(&anchor.heads).unwrap_or_default();
        found = heads.get(&history, chain).map(|(position, mac)| (position, mac, anchor.at));
        found.is_none() && !anchor.complete
    });
    found
}

fn anchor(row: Row<'_>, jsonb: &ColumnType) -> Anchor {
    let text = |index| row.get(index).map(|value| value.to_text()).unwrap_or_default();
    let bytes = |index| row.get(index).map(|value| value.to_bytes()).unwrap_or_default();
    let number = |index| row.get(index).map_or(0, |value| value.as_i64());
    Anchor {
        malformed: number(1) < 1 || (0..=9).any(|index| row.get(index).is_none()),
        chain: text(CHAIN),
        number: u64::try_from(number(1)).unwrap_or(0),
        at: number(2),
        complete: row.get(3).is_some_and(|value| value.as_bool()),
        heads: tables::jsonb_text(row, 4, jsonb),
        boot: text(5),
        boot_time: number(6),
        key_id: text(7),
        prev: bytes(8),
        mac: bytes(9),
    }
}
