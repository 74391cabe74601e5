//! A history as its records define it, each record checked against its mac.

use super::epoch::{self, EpochColumn, EpochRecord};
use super::history_ring::{HistoryRing, Reach, named};
use super::identity::content;
use super::journaled::{self, Journaled};
use super::nodes::Elsewhere;
use super::registry::{self, Registration, StoredEpoch};
use crate::key::{self, Key, KeyFault};
use crate::pg::snapshot::Sees;
use pgseal_chain::{EpochKey, RecordKey, SaltKey};
use std::collections::BTreeSet;

/// One epoch, ready to seal or verify under.
pub struct Epoch {
    pub number: i32,
    pub record: EpochRecord,
    pub digest: [u8; 32],
    /// Absent where this server does not have the key that the epoch names.
    pub keys: Option<EpochKeys>,
}

/// What entries of an epoch are sealed with.
#[derive(Clone)]
pub struct EpochKeys {
    pub entries: EpochKey,
    pub salts: SaltKey,
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
    /// Why the newest epoch's key, which the history's row is signed with too, is not at hand.
    pub key_fault: Option<KeyFault>,
    /// Empty while every record is as pgseal wrote it. One whose key is not at hand is not judged.
    pub alterations: Vec<Alteration>,
    /// What entries of other nodes are judged by.
    pub elsewhere: Elsewhere,
}

impl Definition {
    /// As it is now.
    pub fn load(registration: Registration) -> Definition {
        Definition::load_as(registration, Sees::Stored)
    }

    /// With the epochs that `sees` shows.
    pub fn load_as(registration: Registration, sees: Sees) -> Definition {
        let stored = registry::epochs(registration.history, sees);
        let keys = HistoryRing::of(&registration, &stored, Reach::All);
        let elsewhere = Elsewhere::of(&registration, sees);
        Definition { elsewhere, ..Definition::judge(registration, stored, keys) }
    }

    /// As it is now, for entries of this place: the journal is not read.
    pub fn load_own(registration: Registration) -> Definition {
        let stored = registry::epochs(registration.history, Sees::Stored);
        let keys = HistoryRing::of(&registration, &stored, Reach::All);
        Definition::judge(registration, stored, keys)
    }

    /// As it is now, with the newest epoch's key and those that this server holds: no row waits for the key of an
    /// older epoch.
    pub fn to_seal(registration: Registration) -> Definition {
        let stored = registry::epochs(registration.history, Sees::Stored);
        let keys = HistoryRing::of(&registration, &stored, Reach::Newest);
        Definition::judge(registration, stored, keys)
    }

    fn judge(registration: Registration, stored: Vec<StoredEpoch>, keys: HistoryRing) -> Definition {
        let mut alterations = Vec::new();
        check_macs(&keys, &registration, &stored, &mut alterations);
        let epochs = readable(&registration, stored, &keys, &mut alterations);
        check_sequence(&registration, &epochs, &mut alterations);
        let key_fault = keys.newest().err();
        Definition { key_fault, registration, epochs, alterations, elsewhere: Elsewhere::default() }
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

/// The key of a history's records, if this server has the one that sealed it.
pub fn record_key(registration: &Registration) -> Option<RecordKey> {
    let stored = registry::epochs(registration.history, Sees::Stored);
    HistoryRing::of(registration, &stored, Reach::All).newest().ok().map(|keys| keys.record_key())
}

/// The key that the history's row is signed with.
pub fn key_of(registration: &Registration) -> Result<Key, KeyFault> {
    let stored = registry::epochs(registration.history, Sees::Stored);
    match stored.iter().find(|epoch| epoch.number == registration.epoch).and_then(named) {
        Some((id, _)) => key::by_id(&id),
        None => key::current(),
    }
}

/// The key that this database's records are signed with, and its next histories: that of the newest epochs, whatever
/// other databases have been rotated to; where nothing is attached yet, the server's.
pub fn key_in_force() -> Result<Key, KeyFault> {
    match newest_key_id(Sees::Stored) {
        Some(id) => key::by_id(&id),
        None => key::current(),
    }
}

/// Id of the key that an epoch names, whether or not its record is authentic.
pub fn key_id_named(epoch: &StoredEpoch) -> Option<String> {
    named(epoch).map(|(id, _)| id)
}

/// Id of the key that the newest epochs of this database's histories name: the one that its records are signed with.
pub fn newest_key_id(sees: Sees) -> Option<String> {
    let newest = registry::newest_epochs(sees);
    newest.iter().filter_map(key_id_named).max_by_key(|id| key::number(id))
}

fn altered(sentence: impl Into<String>) -> Alteration {
    Alteration { sentence: sentence.into(), expected: None, found: None }
}

/// The mac that would fit must never be told: it would authenticate what was changed.
fn mac_mismatch(sentence: String, record: &impl std::fmt::Debug) -> Alteration {
    Alteration { sentence, expected: None, found: Some(content(record)) }
}

fn check_macs(keys: &HistoryRing, registration: &Registration, epochs: &[StoredEpoch], found: &mut Vec<Alteration>) {
    if keys.newest().is_ok_and(|keys| !registration.is_authentic(&keys.record_key())) {
        let sentence = "the settings of this history in seal.history were changed outside pgseal".to_owned();
        found.push(mac_mismatch(sentence, registration));
    }
    if registration.is_attached() && (registration.detached_by.is_some() || registration.detach_mac.is_some()) {
        found.push(altered("the row of this history in seal.history has parts of a detachment that never was"));
    }
    for epoch in epochs.iter().filter(|epoch| !keys.is_possible(epoch)) {
        let sentence = format!("the record of epoch {} in seal.epoch was changed outside pgseal", epoch.number);
        found.push(mac_mismatch(sentence, epoch));
    }
}

/// Epochs whose record can be used; one that was changed has another key than its entries.
fn readable(
    registration: &Registration,
    stored: Vec<StoredEpoch>,
    keys: &HistoryRing,
    found: &mut Vec<Alteration>,
) -> Vec<Epoch> {
    let mut epochs = Vec::new();
    for row in stored {
        if !keys.is_possible(&row) {
            continue;
        }
        match (u32::try_from(row.number), EpochRecord::parse(&row.record)) {
            (Ok(number), Ok(record)) => {
                let digest = epoch::digest(&row.record);
                let keys = keys.of_key(&record.key_id).ok();
                let keys =
                    keys.map(|keys| EpochKeys { entries: keys.epoch_key(number, &digest), salts: keys.salt_key() });
                epochs.push(Epoch { number: row.number, record, digest, keys });
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
    let authentic = detached && row.is_detachment_authentic(&record_key) && row.is_authentic(&record_key);
    if authentic { Attachment::Detached } else { Attachment::Doubtful }
}
