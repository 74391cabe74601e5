//! Whether a row that was sealed is really there.

use super::error::SealError;
use crate::pg::index::{self, Sees};
use crate::pg::relation::Relation;
use crate::record::columns::SealPlaces;
use pgseal_chain::Mac;

/// Where a sealed row went.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub leaf: u32,
    pub position: u64,
    pub mac: Mac,
}

/// Whether the row is stored; an error if another one stands in its position.
pub fn is_stored(chain: &str, place: &Place) -> Result<bool, SealError> {
    match mac_at(place.leaf, chain, place.position)? {
        None => Ok(false),
        Some(mac) if mac == Some(place.mac) => Ok(true),
        Some(_) => Err(SealError::ForeignRow { chain: chain.to_owned(), position: place.position }),
    }
}

/// Whether any row, also one of a transaction in progress, stands at this position of the leaf.
pub fn is_taken(leaf: u32, chain: &str, position: u64) -> Result<bool, SealError> {
    Ok(mac_at(leaf, chain, position)?.is_some())
}

type StoredMac = Option<Mac>;

fn mac_at(leaf: u32, chain: &str, position: u64) -> Result<Option<StoredMac>, SealError> {
    let table = || crate::pg::relation::name_of(leaf);
    let open = Relation::open(leaf).ok_or_else(|| SealError::NotAttached { table: table() })?;
    let seal_index = open.seal_index().ok_or_else(|| SealError::NoIndex { table: table() })?;
    let places = SealPlaces::find(&open.attributes()).ok_or_else(|| SealError::NoIndex { table: table() })?;
    let mut found = None;
    index::visit(&open, seal_index, chain, i64::try_from(position).ok(), Sees::Pending, |row| {
        found = Some(row.get(places.mac).and_then(|value| value.as_mac()));
        false
    });
    Ok(found)
}
