//! A history as its records define it, each record checked against its mac.

use super::epoch::{self, EpochColumn, EpochRecord};
use super::registry::{self, Registration, StoredEpoch};
use crate::key::{self, KeyFault};
use pgseal_chain::{EpochKey, HistoryKeys, Mac, SaltKey};

/// One epoch, ready to seal or verify under.
pub struct Epoch {
    pub number: i32,
    pub record: EpochRecord,
    pub digest: [u8; 32],
    /// Absent where this server does not have the key that the epoch names.
    pub key: Option<EpochKey>,
}

/// A record that is not as pgseal wrote it.
#[derive(Debug, Clone)]
pub struct Alteration {
    pub sentence: String,
    pub expected: Option<String>,
    pub found: Option<String>,
}

/// A history with its epochs and keys.
pub struct Definition {
    pub registration: Registration,
    pub epochs: Vec<Epoch>,
    pub salt_key: Option<SaltKey>,
    pub key_fault: Option<KeyFault>,
    /// Empty while every record is as pgseal wrote it. Not judged without a key.
    pub alterations: Vec<Alteration>,
}

impl Definition {
    pub fn load(registration: Registration) -> Definition {
        let stored = registry::epochs(registration.history);
        let keys = key::current().map(|key| HistoryKeys::derive(&key.secret, registration.history));
        let mut alterations = Vec::new();
        if let Ok(keys) = &keys {
            check_macs(keys, &registration, &stored, &mut alterations);
        }
        let epochs = readable(&registration, stored, keys.as_ref().ok(), &mut alterations);
        check_sequence(&registration, &epochs, &mut alterations);
        Definition {
            salt_key: keys.as_ref().ok().map(HistoryKeys::salt_key),
            key_fault: keys.err(),
            registration,
            epochs,
            alterations,
        }
    }

    pub fn newest(&self) -> Option<&Epoch> {
        self.epochs.last()
    }

    pub fn epoch(&self, number: i32) -> Option<&Epoch> {
        self.epochs.iter().find(|epoch| epoch.number == number)
    }

    /// The column's name in the table today, whatever it was called in its epoch.
    pub fn live_name(&self, column: &EpochColumn) -> Option<&str> {
        self.newest()?.record.column(column.id).map(|newest| newest.name.as_str())
    }
}

fn altered(sentence: impl Into<String>) -> Alteration {
    Alteration { sentence: sentence.into(), expected: None, found: None }
}

fn mac_mismatch(sentence: String, expected: &Mac, found: &[u8]) -> Alteration {
    Alteration { sentence, expected: Some(hex::encode(expected)), found: Some(hex::encode(found)) }
}

fn check_macs(keys: &HistoryKeys, registration: &Registration, epochs: &[StoredEpoch], found: &mut Vec<Alteration>) {
    let key = keys.record_key();
    let expected = registration.expected_mac(&key);
    if registration.mac != expected {
        let sentence = "the settings of this history in seal.history were changed outside pgseal".to_owned();
        found.push(mac_mismatch(sentence, &expected, &registration.mac));
    }
    for epoch in epochs {
        let expected = epoch.expected_mac(&key);
        if epoch.mac != expected {
            let sentence = format!("the record of epoch {} in seal.epoch was changed outside pgseal", epoch.number);
            found.push(mac_mismatch(sentence, &expected, &epoch.mac));
        }
    }
}

/// Epochs whose record can be used; one that was changed has another key than its entries.
fn readable(
    registration: &Registration,
    stored: Vec<StoredEpoch>,
    keys: Option<&HistoryKeys>,
    found: &mut Vec<Alteration>,
) -> Vec<Epoch> {
    let record_key = keys.map(HistoryKeys::record_key);
    let mut epochs = Vec::new();
    for row in stored {
        let authentic = record_key.as_ref().is_none_or(|key| row.mac == row.expected_mac(key));
        if !authentic {
            continue;
        }
        match (u32::try_from(row.number), EpochRecord::parse(&row.record)) {
            (Ok(number), Ok(record)) => {
                let digest = epoch::digest(&row.record);
                let available = key::by_id(&record.key_id).is_ok();
                let key = keys.filter(|_| available).map(|keys| keys.epoch_key(number, &digest));
                epochs.push(Epoch { number: row.number, record, digest, key });
            }
            _ => found.push(altered(format!("the record of epoch {} in seal.epoch cannot be read", row.number))),
        }
    }
    epochs.retain(|epoch| epoch.number <= registration.epoch);
    epochs
}

/// Numbers 1, 2, 3 … up to the registered one, each naming the digest of the one before.
fn check_sequence(registration: &Registration, epochs: &[Epoch], found: &mut Vec<Alteration>) {
    if found.is_empty() {
        let gap = (1..).zip(epochs).find(|(number, epoch)| epoch.number != *number).map(|(number, _)| number);
        let missing = gap.or((epochs.len() < registration.epoch.max(0) as usize).then_some(epochs.len() as i32 + 1));
        if let Some(number) = missing {
            found.push(altered(format!("the record of epoch {number} was removed from seal.epoch")));
        }
    }
    if found.is_empty() {
        let mut previous: Option<String> = None;
        for epoch in epochs {
            if epoch.record.previous != previous {
                found.push(altered(format!("the record of epoch {} does not follow the one before it", epoch.number)));
            }
            previous = Some(hex::encode(epoch.digest));
        }
        let newest = epochs.last().map(|epoch| epoch.digest.to_vec()).unwrap_or_default();
        if newest != registration.epoch_digest {
            found.push(altered("the newest epoch is not the one that seal.history names"));
        }
    }
}
