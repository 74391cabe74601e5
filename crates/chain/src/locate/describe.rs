//! The findings in words.

use super::layer::{Obstacle, Place, Sound, Suspect};
use super::wanted::{Trust, Wanted};
use crate::finding::{Finding, Kind};

pub(super) fn at<K>(kind: Kind, chain: &[u8], first: u64, last: u64, detail: String) -> Finding<K> {
    Finding::new(kind, detail).at(text(chain), first, last)
}

/// «entry 3 was» or «entries 3 to 5 were»
pub(super) fn entries(first: u64, last: u64, one: &str, many: &str) -> String {
    if first == last { format!("entry {first} {one}") } else { format!("entries {first} to {last} {many}") }
}

pub(super) fn missing<K>(chain: &[u8], first: u64, last: u64) -> Finding<K> {
    let detail = entries(first, last, "was removed", "were removed");
    at(Kind::Missing, chain, first, last, detail)
}

pub(super) fn truncated<K>(chain: &[u8], first: u64, last: u64) -> Finding<K> {
    let detail = if first == last {
        format!("the newest entry of this chain (position {last}) was removed")
    } else {
        let count = (last - first).saturating_add(1);
        format!("the newest {count} entries of this chain (positions {first} to {last}) were removed")
    };
    at(Kind::Truncated, chain, first, last, detail)
}

/// The entry of this place was changed, and `suspect` is what became of it.
pub(super) fn modified<K>(chain: &[u8], position: u64, wanted: Option<Wanted>, suspect: Suspect<K>) -> Finding<K> {
    let mac_is_right = wanted.is_some_and(|wanted| suspect.mac == Some(wanted.mac));
    let stands_here =
        suspect.chain.as_deref() == Some(chain) && suspect.position.is_some_and(|p| u64::try_from(p) == Ok(position));
    if let (true, true, Some(epoch)) = (stands_here, mac_is_right, suspect.unknown_epoch) {
        let detail = format!("entry {position} names epoch {epoch}, which does not exist");
        return at(Kind::WrongEpoch, chain, position, position, detail)
            .values(None, Some(epoch.to_string()))
            .about(suspect.key, suspect.of_tenant);
    }
    let mut detail = format!("entry {position} was changed after it was sealed");
    if !stands_here {
        detail.push_str(&moved_to(chain, position, &suspect));
    }
    let known = wanted.filter(|wanted| !mac_is_right && wanted.trust == Trust::Known);
    let (expected, found) = match known {
        _ if !stands_here => (
            Some(location(Some(chain), i64::try_from(position).ok())),
            Some(location(suspect.chain.as_deref(), suspect.position)),
        ),
        Some(wanted) => (Some(hex::encode(wanted.mac)), suspect.mac.map(hex::encode)),
        None => (None, None),
    };
    at(Kind::Modified, chain, position, position, detail).values(expected, found).about(suspect.key, suspect.of_tenant)
}

fn moved_to<K>(chain: &[u8], position: u64, suspect: &Suspect<K>) -> String {
    let position = (suspect.position != i64::try_from(position).ok()).then(|| {
        suspect
            .position
            .map_or_else(|| "its position was removed".to_owned(), |now| format!("its position was changed to {now}"))
    });
    let chain = (suspect.chain.as_deref() != Some(chain)).then(|| {
        suspect
            .chain
            .as_deref()
            .map_or_else(|| "its chain was removed".to_owned(), |now| format!("its chain was changed to {}", text(now)))
    });
    let changes: Vec<String> = chain.into_iter().chain(position).collect();
    format!(": {}", changes.join(" and "))
}

fn location(chain: Option<&[u8]>, position: Option<i64>) -> String {
    let chain = chain.map_or_else(|| "no chain".to_owned(), text);
    match position {
        Some(position) => format!("{chain}, position {position}"),
        None => format!("{chain}, no position"),
    }
}

/// A row that is the entry of no place.
pub(super) fn stray<K>(suspect: Suspect<K>) -> Finding<K> {
    let position = suspect.position.and_then(|p| u64::try_from(p).ok()).filter(|p| *p > 0);
    let homeless = suspect.chain.is_none() || suspect.position.is_none();
    let (kind, detail) = match (suspect.place, position) {
        (Place::Nowhere, _) if homeless && suspect.mac.is_none() => {
            (Kind::Unsealed, "a row stands in the table without a seal".to_owned())
        }
        (Place::Nowhere, _) if homeless => {
            (Kind::Forged, "a row that was never sealed like this belongs to no place in a chain".to_owned())
        }
        (Place::Nowhere, _) => {
            (Kind::Forged, "a row that was never sealed like this stands at a position that does not exist".to_owned())
        }
        (Place::Beside | Place::InHole(..), p) => {
            (Kind::Forged, format!("a row that was never sealed like this stands beside entry {}", p.unwrap_or(0)))
        }
        (Place::Beyond, p) => (
            Kind::Forged,
            format!(
                "a row that was never sealed stands at position {}, which the chain has not reached",
                p.unwrap_or(0)
            ),
        ),
        (Place::BelowCut, p) => (
            Kind::Forged,
            format!("a row that was never sealed like this stands at position {}, which was pruned", p.unwrap_or(0)),
        ),
    };
    let finding = Finding { chain: suspect.chain.as_deref().map(text), position, ..Finding::new(kind, detail) };
    finding.values(None, suspect.mac.map(hex::encode)).about(suspect.key, suspect.of_tenant).of_row_only()
}

pub(super) fn duplicated<K>(chain: &[u8], position: u64, row: Sound<K>) -> Finding<K> {
    let detail = format!("a copy of entry {position} was inserted");
    at(Kind::Duplicated, chain, position, position, detail).about(row.key, row.of_tenant).of_row_only()
}

pub(super) fn other_epoch<K>(chain: &[u8], position: u64, row: &Sound<K>, epoch: u32, key: Option<K>) -> Finding<K> {
    let detail = format!("entry {position} was sealed under epoch {epoch} but names another");
    at(Kind::WrongEpoch, chain, position, position, detail)
        .values(Some(epoch.to_string()), row.stored_epoch.map(|epoch| epoch.to_string()))
        .about(key, row.of_tenant)
        .of_row_only()
}

pub(super) fn foreign_content<K>(
    chain: &[u8],
    position: u64,
    column: &str,
    key: Option<K>,
    of_tenant: bool,
) -> Finding<K> {
    let detail = format!("entry {position} has content in column {column}, which was not sealed");
    at(Kind::UnknownColumn, chain, position, position, detail)
        .values(None, Some(column.to_owned()))
        .about(key, of_tenant)
        .of_row_only()
}

pub(super) fn unjudged<K>(chain: &[u8], first: u64, last: u64, epoch: i64, obstacle: &Obstacle) -> Finding<K> {
    let which = entries(first, last, "cannot be judged", "cannot be judged");
    match obstacle {
        Obstacle::Key => {
            let detail = format!("{which} because the key of epoch {epoch} is not available");
            at(Kind::UnknownKey, chain, first, last, detail)
        }
        Obstacle::Record => {
            let detail = format!(
                "{which} because the journal of the node that sealed, as far as it was replicated to here, does not have epoch {epoch}"
            );
            at(Kind::UnknownKey, chain, first, last, detail)
        }
        Obstacle::Column(column) => {
            let detail = format!("{which} because column {column} is gone or has another type");
            let finding = at(Kind::UnknownColumn, chain, first, last, detail).values(Some(column.clone()), None);
            Finding { column_missing: true, ..finding }
        }
    }
}

fn text(chain: &[u8]) -> String {
    String::from_utf8_lossy(chain).into_owned()
}
