//! The tables `seal.history` and `seal.epoch`: which tables are sealed, and how.
//!
//! Read without an MVCC snapshot, so that a writer at any isolation level sees what is in force
//! now. Every row carries a mac over all its fields but the table's oid, which dump and restore
//! change.

use crate::pg::row::Row;
use crate::pg::scan;
use crate::pg::snapshot::Sees;
use crate::pg::value::{ColumnType, TypeOid};
use crate::record::epoch;
use crate::record::tables::{self, Table};
use pgseal_chain::{HistoryId, Mac, RecordKey, is_same_mac};
use std::collections::BTreeMap;

/// One row of `seal.history`.
#[derive(Debug, Clone)]
pub struct Registration {
    pub history: HistoryId,
    /// Oid of the table, the root of a partitioned one.
    pub relation: u32,
    pub tenant_column: Option<String>,
    pub max_chains: Option<i32>,
    pub window_months: Option<i32>,
    /// Number of the newest epoch.
    pub epoch: i32,
    pub epoch_digest: Vec<u8>,
    /// µs since 2000-01-01 UTC.
    pub attached_at: i64,
    pub attached_by: String,
    /// µs since 2000-01-01 UTC.
    pub detached_at: Option<i64>,
    pub detached_by: Option<String>,
    pub mac: Vec<u8>,
    /// Over the two fields before; NULL when there was no key at the time.
    pub detach_mac: Option<Vec<u8>>,
}

impl Registration {
    /// The mac that belongs to these fields.
    pub fn expected_mac(&self, key: &RecordKey) -> Mac {
        let number = |value: Option<i32>| value.map(i32::to_be_bytes);
        let (chains, window) = (number(self.max_chains), number(self.window_months));
        let (epoch, attached_at) = (self.epoch.to_be_bytes(), self.attached_at.to_be_bytes());
        key.mac(
            "history",
            self.history,
            &self.history.0,
            &[
                self.tenant_column.as_deref().map(str::as_bytes),
                chains.as_ref().map(<[u8; 4]>::as_slice),
                window.as_ref().map(<[u8; 4]>::as_slice),
                Some(&epoch),
                Some(&self.epoch_digest),
                Some(&attached_at),
                Some(self.attached_by.as_bytes()),
            ],
        )
    }

    /// The mac of a detachment at this time by this user.
    pub fn expected_detach_mac(&self, key: &RecordKey) -> Mac {
        let at = self.detached_at.map(i64::to_be_bytes);
        key.mac(
            "detach",
            self.history,
            &self.history.0,
            &[at.as_ref().map(<[u8; 8]>::as_slice), self.detached_by.as_deref().map(str::as_bytes)],
        )
    }

    /// Whether the row's mac is that of its fields.
    pub fn is_authentic(&self, key: &RecordKey) -> bool {
        is_same_mac(&self.expected_mac(key), &self.mac)
    }

    /// Whether it has the mac of its detachment.
    pub fn is_detachment_authentic(&self, key: &RecordKey) -> bool {
        self.detach_mac.as_deref().is_some_and(|mac| is_same_mac(&self.expected_detach_mac(key), mac))
    }

    pub fn is_attached(&self) -> bool {
        self.detached_at.is_none()
    }
}

/// One row of `seal.epoch`.
#[derive(Debug, Clone)]
pub struct StoredEpoch {
    pub history: HistoryId,
    pub number: i32,
    /// The record as `jsonb::text` prints it.
    pub record: String,
    pub mac: Vec<u8>,
}

impl StoredEpoch {
    pub fn expected_mac(&self, key: &RecordKey) -> Mac {
        let number = u32::try_from(self.number).unwrap_or(0);
        key.mac("epoch", self.history, &epoch::record_id(self.history, number), &[Some(self.record.as_bytes())])
    }

    /// Whether the row's mac is that of its fields.
    pub fn is_authentic(&self, key: &RecordKey) -> bool {
        is_same_mac(&self.expected_mac(key), &self.mac)
    }
}

/// Oid of `seal.history`, if the extension is installed in this database.
pub fn catalog() -> Option<u32> {
    Table::History.oid()
}

/// All rows of `seal.history`, detached ones too. Rows with a NULL that pgseal never writes are
/// returned with an empty or zero value, so that their mac does not fit.
pub fn registrations() -> Vec<Registration> {
    registrations_as(Sees::Stored)
}

/// The same, as `sees` shows them.
pub fn registrations_as(sees: Sees) -> Vec<Registration> {
    let mut found = Vec::new();
    if let Some(table) = Table::History.open() {
        scan::visit_as(&table, sees, |row| found.push(registration(row)));
    }
    found.sort_by_key(|registration| (registration.attached_at, registration.history.0));
    found
}

/// The attached history whose table (root) this is.
pub fn attached(relation: u32) -> Option<Registration> {
    registrations().into_iter().find(|row| row.relation == relation && row.is_attached())
}

/// The epochs of a history, by number.
pub fn epochs(history: HistoryId, sees: Sees) -> Vec<StoredEpoch> {
    epochs_where(sees, |epoch| epoch.history == history)
}

/// The epochs in force of all histories, detached ones too.
pub fn newest_epochs(sees: Sees) -> Vec<StoredEpoch> {
    let newest: BTreeMap<HistoryId, i32> =
        registrations_as(sees).into_iter().map(|row| (row.history, row.epoch)).collect();
    epochs_where(sees, |epoch| newest.get(&epoch.history) == Some(&epoch.number))
}

fn epochs_where(sees: Sees, wanted: impl Fn(&StoredEpoch) -> bool) -> Vec<StoredEpoch> {
    let mut found = Vec::new();
    if let Some(table) = Table::Epoch.open() {
        let jsonb = ColumnType::new(TypeOid::JSONB);
        scan::visit_as(&table, sees, |row| {
            let epoch = stored_epoch(row, &jsonb);
            if wanted(&epoch) {
                found.push(epoch);
            }
        });
    }
    found.sort_by_key(|epoch| epoch.number);
    found
}

fn text(row: Row<'_>, index: usize) -> Option<String> {
    row.get(index).map(|value| value.to_text())
}

fn bytes(row: Row<'_>, index: usize) -> Option<Vec<u8>> {
    row.get(index).map(|value| value.to_bytes())
}

fn history_id(row: Row<'_>) -> HistoryId {
    HistoryId(row.get(0).map_or([0; 16], |value| value.as_uuid()))
}

fn registration(row: Row<'_>) -> Registration {
    let int = |index| row.get(index).map(|value| value.as_i32());
    let time = |index| row.get(index).map(|value| value.as_i64());
    Registration {
        history: history_id(row),
        relation: int(1).unwrap_or(0) as u32,
        tenant_column: text(row, 2),
        max_chains: int(3),
        window_months: int(4),
        epoch: int(5).unwrap_or(0),
        epoch_digest: bytes(row, 6).unwrap_or_default(),
        attached_at: time(7).unwrap_or(0),
        attached_by: text(row, 8).unwrap_or_default(),
        detached_at: time(9),
        detached_by: text(row, 10),
        mac: bytes(row, 11).unwrap_or_default(),
        detach_mac: bytes(row, 12),
    }
}

fn stored_epoch(row: Row<'_>, jsonb: &ColumnType) -> StoredEpoch {
    StoredEpoch {
        history: history_id(row),
        number: row.get(1).map_or(0, |value| value.as_i32()),
        record: tables::jsonb_text(row, 2, jsonb),
        mac: bytes(row, 3).unwrap_or_default(),
    }
}
