//! The keys of one history, by the ids that its epochs name.

use super::epoch::EpochRecord;
use super::journal;
use super::registry::{Registration, StoredEpoch};
use crate::key::{self, KeyFault};
use crate::pg::server;
use crate::pg::snapshot::Sees;
use crate::seal::heads;
use pgseal_chain::HistoryKeys;
use std::collections::{BTreeMap, BTreeSet};

/// Which keys are worth asking their source for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    All,
    /// The newest epoch's. Of the others only those that this server holds.
    Newest,
}

pub struct HistoryRing {
    newest: String,
    keys: BTreeMap<String, Result<HistoryKeys, KeyFault>>,
    /// Ids that an epoch names and that never were: such a record was changed.
    invented: BTreeSet<String>,
}

/// Id and fingerprint of the key that an epoch names, whether or not its record is authentic.
pub fn named(epoch: &StoredEpoch) -> Option<(String, String)> {
    let record = EpochRecord::parse(&epoch.record).ok()?;
    Some((record.key_id, record.fingerprint))
}

impl HistoryRing {
    pub fn of(registration: &Registration, epochs: &[StoredEpoch], reach: Reach) -> HistoryRing {
        let ids: Vec<String> = epochs.iter().filter_map(named).map(|(id, _)| id).collect();
        let invented = if reach == Reach::All { invented(&ids) } else { BTreeSet::new() };
        let newest = ids.iter().rev().find(|id| !invented.contains(*id)).cloned();
        let newest = newest.or_else(|| key::current().ok().map(|key| key.id)).unwrap_or_default();
        let mut ring = HistoryRing { newest: newest.clone(), keys: BTreeMap::new(), invented };
        for id in ids.into_iter().chain([newest]) {
            if !ring.keys.contains_key(&id) {
                let found = ring.find(&id, registration, epochs, reach);
                ring.keys.insert(id, found);
            }
        }
        ring
    }

    fn find(
        &self,
        id: &str,
        registration: &Registration,
        epochs: &[StoredEpoch],
        reach: Reach,
    ) -> Result<HistoryKeys, KeyFault> {
        let is_newest = id == self.newest;
        let key = match reach {
            Reach::Newest if !is_newest => key::held_to_verify(id).ok_or(KeyFault::NotConfigured)?,
            _ => key::to_verify(id)?,
        };
        let own: Vec<&StoredEpoch> =
            epochs.iter().filter(|epoch| named(epoch).is_some_and(|(of, _)| of == id)).collect();
        let keys = key.keys(registration.history)?;
        match own.last().and_then(|epoch| named(epoch)) {
            Some((_, wanted))
                if wanted != key.fingerprint() && is_of_nobody(id, &keys, registration, &own, is_newest) =>
            {
                Err(KeyFault::OtherKey { wanted, have: key.fingerprint() })
            }
            _ => Ok(keys),
        }
    }

    /// The keys that the newest epoch names, which the history's row is signed with, too.
    pub fn newest(&self) -> Result<HistoryKeys, KeyFault> {
        self.of_key(&self.newest)
    }

    pub fn of_key(&self, id: &str) -> Result<HistoryKeys, KeyFault> {
        self.keys.get(id).cloned().unwrap_or(Err(KeyFault::NoSuchId))
    }

    /// Whether the record can be as pgseal wrote it: its mac is right, or its key is not at hand.
    pub fn is_possible(&self, epoch: &StoredEpoch) -> bool {
        let Some((id, _)) = named(epoch) else {
            return self.newest().is_ok_and(|keys| epoch.is_authentic(&keys.record_key()));
        };
        self.of_key(&id).map_or(!self.invented.contains(&id), |keys| epoch.is_authentic(&keys.record_key()))
    }
}

/// Which of these ids no authentic journal entry lists, and no source knows. Where no entry at all can be judged, none.
fn invented(ids: &[String]) -> BTreeSet<String> {
    let away: BTreeSet<&String> = ids.iter().filter(|id| key::to_verify(id).is_err()).collect();
    if away.is_empty() {
        return BTreeSet::new();
    }
    let (_, known) = journal::judged(Sees::Stored);
    away.into_iter().filter(|id| !known.is_empty() && !known.contains_key(*id)).cloned().collect()
}

/// Whether this is another secret than the one that sealed: none of the history's records is authentic under it and no
/// journal entry, and the server has sealed nothing of the history since its start. Without this, a wrong key would
/// look like tampering.
fn is_of_nobody(
    id: &str,
    keys: &HistoryKeys,
    registration: &Registration,
    own: &[&StoredEpoch],
    is_newest: bool,
) -> bool {
    let record_key = keys.record_key();
    let is_authentic = |epoch: &&StoredEpoch| epoch.is_authentic(&record_key);
    !own.iter().any(is_authentic)
        && !(is_newest && (registration.is_authentic(&record_key) || has_sealed(registration)))
        && !journal::stored(Sees::Stored).iter().any(|entry| entry.key_id == id && entry.is_authentic())
}

fn has_sealed(registration: &Registration) -> bool {
    !server::in_recovery() && heads::of_history(registration.history).iter().any(|known| known.head.position > 0)
}
