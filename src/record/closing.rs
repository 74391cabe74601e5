//! Closings: where the chains of each history, and the journal, stood at the end of each period, signed under the
//! secret of that period, which is erased afterwards; and at each rotation of the key. Never pruned.
//!
//! | what | |
//! |---|---|
//! | `opening` | the first of a stream, and of a history that was attached in it |
//! | `closing` | the end of a period |
//! | `rotation` | the end of a key, amid a period; signed under that key |

mod content;
mod standing;
mod stream;
mod writing;

pub use content::Content;
pub use stream::JournaledStream;
pub use writing::{LATE, Written, write_period, write_rotation};

use super::tables::{self, Table};
use crate::pg::snapshot::Sees;
use crate::pg::value::{ColumnType, TypeOid};
use crate::pg::{scan, spi, user};
use pgseal_chain::{HistoryId, Mac, RecordKey, closing_digest, closing_mac, is_same_mac};
use std::collections::BTreeMap;

/// One row of `seal.closing`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub subject: HistoryId,
    pub number: u64,
    /// As `jsonb::text` prints it.
    pub record: String,
    pub mac: Vec<u8>,
}

impl Stored {
    pub fn expected_mac(&self, key: &RecordKey) -> Mac {
        closing_mac(key, self.subject, self.number, &self.record)
    }

    pub fn is_authentic(&self, key: &RecordKey) -> bool {
        is_same_mac(&self.expected_mac(key), &self.mac)
    }

    pub fn digest(&self) -> [u8; 32] {
        closing_digest(self.number, &self.record, &self.mac)
    }

    pub fn content(&self) -> Option<Content> {
        Content::parse(&self.record)
    }
}

/// All records, by subject and number.
pub fn stored(sees: Sees) -> BTreeMap<HistoryId, Vec<Stored>> {
    let mut found: BTreeMap<HistoryId, Vec<Stored>> = BTreeMap::new();
    let Some(open) = Table::Closing.open() else { return found };
    let jsonb = ColumnType::new(TypeOid::JSONB);
    scan::visit_as(&open, sees, |row| {
        let subject = HistoryId(row.get(0).map_or([0; 16], |value| value.as_uuid()));
        let number = row.get(1).map_or(0, |value| value.as_i64());
        let record = Stored {
            subject,
            number: u64::try_from(number).unwrap_or(0),
            record: tables::jsonb_text(row, 2, &jsonb),
            mac: row.get(3).map(|value| value.to_bytes()).unwrap_or_default(),
        };
        found.entry(subject).or_default().push(record);
    });
    found.values_mut().for_each(|records| records.sort_by_key(|record| record.number));
    found
}

/// The newest record of a subject.
fn newest(subject: HistoryId) -> Option<Stored> {
    newest_where(subject, "true")
}

/// The newest opening or closing of a subject.
fn newest_of_period(subject: HistoryId) -> Option<Stored> {
    newest_where(subject, "record ->> 'what' IS DISTINCT FROM 'rotation'")
}

fn newest_where(subject: HistoryId, condition: &str) -> Option<Stored> {
    let rows = spi::execute(&format!(
        "SELECT number, record::pg_catalog.text, pg_catalog.encode(mac, 'hex')
           FROM seal.closing WHERE history_id = {} AND {condition} ORDER BY number DESC LIMIT 1",
        spi::uuid_literal(&subject.0)
    ));
    match rows.into_iter().next()?.as_slice() {
        [Some(number), Some(record), Some(mac)] => Some(Stored {
            subject,
            number: number.parse().unwrap_or(0),
            record: record.clone(),
            mac: hex::decode(mac).unwrap_or_default(),
        }),
        _ => None,
    }
}

fn insert(record: &Stored) {
    user::with_rights_of(user::extension_owner(), || {
        spi::execute(&format!(
            "INSERT INTO seal.closing (history_id, number, record, mac) VALUES ({}, {}, {}::pg_catalog.jsonb, {})",
            spi::uuid_literal(&record.subject.0),
            record.number,
            spi::literal(&record.record),
            spi::bytea_literal(&record.mac),
        ));
    });
}
