//! Rows sorted by whether they can be an entry of their place.

use std::collections::HashSet;

use super::row::{Authenticity, Observed};
use crate::entry::Mac;

/// Why a row cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    Key,
    Record,
    Column(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Valid,
    ValidUnder(u32),
    Unjudged(Obstacle),
}

/// A well-formed row whose mac is right, or cannot be judged.
pub(super) struct Sound<K> {
    pub prev: Mac,
    pub mac: Mac,
    pub stored_epoch: Option<i32>,
    pub sealed_at: Option<i64>,
    pub standing: Standing,
    pub of_tenant: bool,
    pub key: Option<K>,
    pub foreign_content: Option<String>,
}

impl<K> Sound<K> {
    pub fn is_judged(&self) -> bool {
        !matches!(self.standing, Standing::Unjudged(_))
    }

    /// The epoch under which the row is sealed, or claims to be if it cannot be judged.
    pub fn epoch(&self) -> i64 {
        match self.standing {
            Standing::ValidUnder(epoch) => i64::from(epoch),
            _ => self.stored_epoch.map_or(-1, i64::from),
        }
    }

    pub fn is_copy_of(&self, other: &Self) -> bool {
        self.mac == other.mac && self.prev == other.prev
    }

    pub fn into_suspect(self, chain: Vec<u8>, position: u64) -> Suspect<K> {
        Suspect {
            chain: Some(chain),
            position: i64::try_from(position).ok(),
            prev: Some(self.prev),
            mac: Some(self.mac),
            unknown_epoch: None,
            of_tenant: self.of_tenant,
            key: self.key,
            place: Place::Nowhere,
            claimed: false,
        }
    }
}

/// Where a suspect stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Without a chain, or without a position from 1.
    Nowhere,
    /// At a position that a sound row has.
    Beside,
    /// At a position that the chain has not reached.
    Beyond,
    /// At a position that was pruned.
    BelowCut,
    /// At this position of the hole of this number.
    InHole(usize, u64),
}

/// A row that is no entry of the place where it stands. It may be one of another place.
pub(super) struct Suspect<K> {
    pub chain: Option<Vec<u8>>,
    pub position: Option<i64>,
    pub prev: Option<Mac>,
    pub mac: Option<Mac>,
    /// The number of the row's epoch, if there is no such epoch.
    pub unknown_epoch: Option<i32>,
    pub of_tenant: bool,
    pub key: Option<K>,
    pub place: Place,
    /// Whether it was recognised as the entry of some position.
    pub claimed: bool,
}

pub(super) enum Row<K> {
    Sound(Sound<K>),
    Suspect(Suspect<K>),
}

pub(super) enum Placed<K> {
    At(Vec<u8>, u64, Row<K>),
    Nowhere(Suspect<K>),
}

pub(super) fn place<K>(row: Observed<K>) -> Placed<K> {
    let prev = row.prev.and_then(|bytes| Mac::try_from(bytes).ok());
    let mac = row.mac.and_then(|bytes| Mac::try_from(bytes).ok());
    let position = row.position.and_then(|position| u64::try_from(position).ok()).filter(|position| *position > 0);
    let chain = row.chain.filter(|chain| !chain.is_empty());
    let unknown_epoch = row.epoch.filter(|_| row.authenticity == Authenticity::UnknownEpoch);
    let standing = match row.authenticity {
        Authenticity::Valid => Some(Standing::Valid),
        Authenticity::ValidUnderEpoch(epoch) => Some(Standing::ValidUnder(epoch)),
        Authenticity::UnknownKey => Some(Standing::Unjudged(Obstacle::Key)),
        Authenticity::NotArrived => Some(Standing::Unjudged(Obstacle::Record)),
        Authenticity::MissingColumn(column) => Some(Standing::Unjudged(Obstacle::Column(column))),
        Authenticity::Invalid | Authenticity::UnknownEpoch => None,
    };
    match (chain, position, standing, prev, mac) {
        (Some(chain), Some(position), Some(standing), Some(prev), Some(mac)) => Placed::At(
            chain,
            position,
            Row::Sound(Sound {
                prev,
                mac,
                stored_epoch: row.epoch,
                sealed_at: row.sealed_at,
                standing,
                of_tenant: row.of_tenant,
                key: row.key,
                foreign_content: row.foreign_content,
            }),
        ),
        (chain, position, ..) => {
            let suspect = Suspect {
                chain: chain.clone(),
                position: row.position,
                prev,
                mac,
                unknown_epoch,
                of_tenant: row.of_tenant,
                key: row.key,
                place: Place::Nowhere,
                claimed: false,
            };
            match (chain, position) {
                (Some(chain), Some(position)) => Placed::At(chain, position, Row::Suspect(suspect)),
                _ => Placed::Nowhere(suspect),
            }
        }
    }
}

/// All rows of one position.
pub(super) struct Layer<K> {
    pub position: u64,
    pub sound: Vec<Sound<K>>,
    pub suspects: Vec<Suspect<K>>,
}

impl<K> Layer<K> {
    pub fn new(position: u64, row: Row<K>) -> Self {
        let mut layer = Self { position, sound: Vec::new(), suspects: Vec::new() };
        layer.push(row);
        layer
    }

    pub fn push(&mut self, row: Row<K>) {
        match row {
            Row::Sound(row) => self.sound.push(row),
            Row::Suspect(suspect) => self.suspects.push(suspect),
        }
    }

    /// The macs that sound rows of this layer follow.
    pub fn followed(&self) -> HashSet<Mac> {
        self.sound.iter().map(|row| row.prev).collect()
    }
}
