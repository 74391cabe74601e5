//! Opens epochs: the record, its digest in the history's row, and both macs.

use crate::key::{self, Key};
use crate::pg::{invalidation, relation, spi, user};
use crate::record::epoch::{self, EpochColumn, EpochRecord};
use crate::record::identity::uuid_text;
use crate::record::journal::{self, Act, Note};
use crate::record::journaled;
use crate::record::registry::{Registration, StoredEpoch};
use pgseal_chain::RecordKey;

/// What an epoch is to sign.
pub struct Opening {
    pub columns: Vec<EpochColumn>,
    pub tenant_column: Option<String>,
    pub baseline: bool,
}

/// Writes the next epoch and makes it the one in force when the transaction commits.
pub fn open(registration: &mut Registration, opening: Opening, key: &Key) {
    let record_key = key.keys(registration.history).record_key();
    let record = EpochRecord {
        id: uuid_text(&random_id()),
        key_id: key.id.clone(),
        fingerprint: key.fingerprint(),
        columns: opening.columns,
        tenant_column: opening.tenant_column.clone(),
        baseline: opening.baseline,
        previous: (!registration.epoch_digest.is_empty()).then(|| hex::encode(&registration.epoch_digest)),
    };
    let mut stored = StoredEpoch {
        history: registration.history,
        number: registration.epoch + 1,
        record: spi::jsonb_text(&record.to_json()),
        mac: Vec::new(),
    };
    stored.mac = stored.expected_mac(&record_key).to_vec();
    registration.epoch = stored.number;
    registration.epoch_digest = epoch::digest(&stored.record).to_vec();
    registration.tenant_column = opening.tenant_column;
    registration.mac = registration.expected_mac(&record_key).to_vec();
    user::with_rights_of(user::extension_owner(), || {
        spi::execute(&format!(
            "INSERT INTO seal.epoch (history_id, epoch, record, mac) VALUES ({}, {}, {}::pg_catalog.jsonb, {})",
            spi::uuid_literal(&registration.history.0),
            stored.number,
            spi::literal(&stored.record),
            spi::bytea_literal(&stored.mac)
        ));
        spi::execute(&format!(
            "UPDATE seal.history SET epoch = {}, epoch_digest = {}, tenant_column = {}, mac = {} WHERE history_id = {}",
            registration.epoch,
            spi::bytea_literal(&registration.epoch_digest),
            spi::or_null(registration.tenant_column.as_deref(), spi::literal),
            spi::bytea_literal(&registration.mac),
            spi::uuid_literal(&registration.history.0)
        ));
    });
    invalidation::invalidate(registration.relation);
    let table = relation::name_of(registration.relation);
    let columns: Vec<&str> = record.columns.iter().map(|column| column.name.as_str()).collect();
    let what = if record.baseline { " of rows that were there before" } else { "" };
    journal::note(Note {
        act: Act::Epoch,
        history: Some(registration.history),
        sentence: format!(
            "epoch {} of {table}{what} signs {} with key {}",
            registration.epoch,
            columns.join(", "),
            record.key_id
        ),
        details: journaled::epoch_details(&stored, registration.tenant_column.as_deref(), key::source().as_deref()),
        table: Some(table),
    });
}

/// Writes a new history's row, without an epoch yet.
pub fn register(registration: &Registration) {
    user::with_rights_of(user::extension_owner(), || {
        spi::execute(&format!(
            "INSERT INTO seal.history (history_id, relation, tenant_column, max_chains, window_months, epoch,
                                       epoch_digest, attached_at, attached_by, mac)
             VALUES ({}, {}, {}, {}, {}, 0, '', {}, {}, '')",
            spi::uuid_literal(&registration.history.0),
            registration.relation,
            spi::or_null(registration.tenant_column.as_deref(), spi::literal),
            spi::or_null(registration.max_chains, |number| number.to_string()),
            spi::or_null(registration.window_months, |number| number.to_string()),
            spi::time_literal(registration.attached_at),
            spi::literal(&registration.attached_by),
        ));
    });
}

/// Writes a history's window, with the mac of its row.
pub fn change_window(registration: &mut Registration, key: &Key) {
    let record_key = key.keys(registration.history).record_key();
    registration.mac = registration.expected_mac(&record_key).to_vec();
    user::with_rights_of(user::extension_owner(), || {
        spi::execute(&format!(
            "UPDATE seal.history SET window_months = {}, mac = {} WHERE history_id = {}",
            spi::or_null(registration.window_months, |number| number.to_string()),
            spi::bytea_literal(&registration.mac),
            spi::uuid_literal(&registration.history.0)
        ));
    });
    invalidation::invalidate(registration.relation);
}

/// Marks a history as detached; without a key the mark cannot be authenticated.
pub fn mark_detached(registration: &Registration, record_key: Option<&RecordKey>) {
    let mac = record_key.map(|key| registration.expected_detach_mac(key));
    user::with_rights_of(user::extension_owner(), || {
        spi::execute(&format!(
            "UPDATE seal.history SET detached_at = {}, detached_by = {}, detach_mac = {} WHERE history_id = {}",
            spi::or_null(registration.detached_at, spi::time_literal),
            spi::or_null(registration.detached_by.as_deref(), spi::literal),
            spi::or_null(mac, |mac| spi::bytea_literal(&mac)),
            spi::uuid_literal(&registration.history.0)
        ));
    });
    invalidation::invalidate(registration.relation);
}

/// 16 random bytes with the marks of a version 4 UUID.
pub fn random_id() -> [u8; 16] {
    let mut id = [0; 16];
    getrandom::fill(&mut id).expect("the operating system gives random bytes");
    id[6] = (id[6] & 0x0f) | 0x40;
    id[8] = (id[8] & 0x3f) | 0x80;
    id
}
