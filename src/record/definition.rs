//! A history as its records define it, each record checked against its mac.

use super::epoch::{self, EpochColumn, EpochRecord};
use super::identity::content;
use super::journal;
use super::journaled::{self, Journaled};
use super::registry::{self, Registration, StoredEpoch};
use crate::key::{self, KeyFault};
use crate::pg::server;
use crate::pg::snapshot::Sees;
use crate::seal::heads;
use pgseal_chain::{EpochKey, HistoryKeys, RecordKey, SaltKey};
use std::collections::BTreeSet;

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
    /// As it is now.
    pub fn load(registration: Registration) -> Definition {
        Definition::load_as(registration, Sees::Stored)
    }

    /// With the epochs that `sees` shows.
    pub fn load_as(registration: Registration, sees: Sees) -> Definition {
        let stored = registry::epochs(registration.history, sees);
        let keys = keys_of(&registration, &stored);
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

    /// Adds what the journal says otherwise than the tables of settings.
    pub fn compare(&mut self, journaled: Option<&Journaled>) {
        let Some(journaled) = journaled else {
            self.alterations.push(altered("the journal has no entry of this history"));
            return;
        };
        let stored = registry::epochs(self.registration.history, Sees::Snapshot);
        let differences = journaled.differences(&self.registration, &stored);
        let alterations = differences.into_iter();
        self.alterations.extend(alterations.map(|(sentence, expected, found)| Alteration {
            sentence,
            expected,
            found,
        }));
    }

    pub fn newest(&self) -> Option<&Epoch> {
        self.epochs.last()
    }

    pub fn epoch(&self, number: i32) -> Option<&Epoch> {
        self.epochs.iter().find(|epoch| epoch.number == number)
    }

    /// Ids of the keys of its epochs, each once.
    pub fn key_ids(&self) -> Vec<String> {
        let ids: BTreeSet<&str> = self.epochs.iter().map(|epoch| epoch.record.key_id.as_str()).collect();
        ids.into_iter().map(str::to_owned).collect()
    }

    /// The column as the newest epoch knows it, whatever it and its type were called before.
    pub fn live(&self, column: &EpochColumn) -> Option<&EpochColumn> {
        self.newest()?.record.column(column.id)
    }
}

/// The history's keys, unless this server has another secret than the one that sealed it: none of
/// its records is authentic then and no journal entry, the newest names another fingerprint, and the
/// server has sealed nothing of it since its start. Without this, a wrong key would look like tampering.
fn keys_of(registration: &Registration, epochs: &[StoredEpoch]) -> Result<HistoryKeys, KeyFault> {
    let key = key::current()?;
    let keys = HistoryKeys::derive(&key.secret, registration.history);
    let record_key = keys.record_key();
    let any_authentic = registration.mac == registration.expected_mac(&record_key)
        || epochs.iter().any(|epoch| epoch.mac == epoch.expected_mac(&record_key));
    let named = epochs.last().and_then(|epoch| EpochRecord::parse(&epoch.record).ok()).map(|record| record.fingerprint);
    let have = key::fingerprint(key);
    match named {
        Some(wanted)
            if !any_authentic
                && wanted != have
                && !has_sealed(registration)
                && !journal::stored(Sees::Stored).iter().any(journal::Entry::is_authentic) =>
        {
            Err(KeyFault::OtherKey { wanted, have })
        }
        _ => Ok(keys),
    }
}

/// The key of a history's records, if this server has the one that sealed it.
pub fn record_key(registration: &Registration) -> Option<RecordKey> {
    keys_of(registration, &registry::epochs(registration.history, Sees::Stored)).ok().map(|keys| keys.record_key())
}

fn has_sealed(registration: &Registration) -> bool {
    !server::in_recovery() && heads::of_history(registration.history).iter().any(|known| known.head.position > 0)
}

fn altered(sentence: impl Into<String>) -> Alteration {
    Alteration { sentence: sentence.into(), expected: None, found: None }
}

/// The mac that would fit must never be told: it would authenticate what was changed.
fn mac_mismatch(sentence: String, record: &impl std::fmt::Debug) -> Alteration {
    Alteration { sentence, expected: None, found: Some(content(record)) }
}

fn check_macs(keys: &HistoryKeys, registration: &Registration, epochs: &[StoredEpoch], found: &mut Vec<Alteration>) {
    let key = keys.record_key();
    let expected = registration.expected_mac(&key);
    if registration.mac != expected {
        let sentence = "the settings of this history in seal.history were changed outside pgseal".to_owned();
        found.push(mac_mismatch(sentence, registration));
    }
    if registration.is_attached() && (registration.detached_by.is_some() || registration.detach_mac.is_some()) {
        found.push(altered("the row of this history in seal.history has parts of a detachment that never was"));
    }
    for epoch in epochs {
        let expected = epoch.expected_mac(&key);
        if epoch.mac != expected {
            let sentence = format!("the record of epoch {} in seal.epoch was changed outside pgseal", epoch.number);
            found.push(mac_mismatch(sentence, epoch));
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
        let twice = epochs.windows(2).find(|pair| pair[0].number == pair[1].number).map(|pair| pair[0].number);
        if let Some(number) = twice {
            return found.push(altered(format!("the record of epoch {number} stands twice in seal.epoch")));
        }
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

/// Whether a history is attached, and if not, whether pgseal itself recorded that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attachment {
    Attached,
    Detached,
    /// Marked as detached, but not under the history's key.
    Doubtful,
    /// Marked as detached; without the key nobody can say by whom.
    Unjudged,
}

/// Detached histories are left out only while the record of who detached them is authentic.
pub fn is_to_be_verified(row: &Registration) -> bool {
    attachment(row) != Attachment::Detached
}

pub fn attachment(row: &Registration) -> Attachment {
    if row.is_attached() {
        return Attachment::Attached;
    }
    let Some(record_key) = record_key(row) else { return Attachment::Unjudged };
    let journaled = journaled::as_seen(Sees::Stored);
    let detached = journaled.get(&row.history).is_some_and(|journaled| journaled.detached.is_some());
    let authentic = detached
        && row.detach_mac.as_deref() == Some(row.expected_detach_mac(&record_key).as_slice())
        && row.mac == row.expected_mac(&record_key);
    if authentic { Attachment::Detached } else { Attachment::Doubtful }
}
