//! Whether a row that was sealed is really there.

use super::error::SealError;
use crate::pg::index;
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

/// What became of a sealed row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Stored,
    Skipped,
    /// The same transaction dropped the table, or its seal index.
    Unknown,
}

/// Looks for the row; an error if another one stands in its position.
pub fn fate(chain: &str, place: &Place) -> Result<Fate, SealError> {
    match mac_at(place.leaf, chain, place.position) {
        None => Ok(Fate::Unknown),
        Some(None) => Ok(Fate::Skipped),
        Some(Some(mac)) if mac == Some(place.mac) => Ok(Fate::Stored),
        Some(Some(_)) => Err(SealError::ForeignRow { chain: chain.to_owned(), position: place.position }),
    }
}

/// Whether any row, also one of a transaction in progress, stands at this position of the leaf.
pub fn is_taken(leaf: u32, chain: &str, position: u64) -> bool {
    mac_at(leaf, chain, position).flatten().is_some()
}

/// The mac at a position: of no row, or of one whose mac may be malformed. `None` if the leaf is
/// gone or has no seal index.
fn mac_at(leaf: u32, chain: &str, position: u64) -> Option<Option<Option<Mac>>> {
    let open = Relation::open(leaf)?;
    let seal_index = open.seal_index()?;
    let places = SealPlaces::find(&open.attributes())?;
    let mut found = None;
    index::visit_pending(&open, seal_index, chain, i64::try_from(position).ok(), |row| {
        found = Some(row.get(places.mac).and_then(|value| value.as_mac()));
        false
    });
    Some(found)
}
