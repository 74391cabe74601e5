//! Which anchors the entries name, and how old the oldest entry is that names each.

use std::collections::BTreeMap;

use crate::encoding::{Input, put};

/// For each place of sealing (the name of a node's first chain), the anchors that its entries name
/// and the earliest time of an entry that names them, in µs since 2000-01-01 UTC.
///
/// An anchor that is gone, or younger than an entry that names it, was removed or made anew.
#[derive(Clone, Debug, Default)]
pub struct NamedAnchors {
    places: BTreeMap<Vec<u8>, BTreeMap<u64, i64>>,
    /// The entry added last: entries that stand together mostly name the same anchor.
    last: Option<Last>,
}

#[derive(Clone, Debug)]
struct Last {
    chain: Vec<u8>,
    anchor: u64,
    sealed_at: i64,
}

impl NamedAnchors {
    /// Adds an authentic entry. Anchor 0 stands for none.
    pub fn add(&mut self, chain: &[u8], anchor: u64, sealed_at: i64) {
        match &self.last {
            Some(last) if last.anchor == anchor && last.sealed_at <= sealed_at && last.chain == chain => {}
            _ => self.insert(chain, anchor, sealed_at),
        }
    }

    fn insert(&mut self, chain: &[u8], anchor: u64, sealed_at: i64) {
        if anchor == 0 {
            return;
        }
        let place = chain.split(|byte| *byte == b'/').next().unwrap_or(chain);
        if !self.places.contains_key(place) {
            self.places.insert(place.to_vec(), BTreeMap::new());
        }
        if let Some(anchors) = self.places.get_mut(place) {
            let earliest = anchors.entry(anchor).or_insert(sealed_at);
            *earliest = (*earliest).min(sealed_at);
        }
        let last = self.last.get_or_insert_with(|| Last { chain: Vec::new(), anchor, sealed_at });
        last.chain.clear();
        last.chain.extend_from_slice(chain);
        last.anchor = anchor;
        last.sealed_at = sealed_at;
    }

    /// Takes over what another worker of the same run has added.
    pub fn merge(&mut self, other: Self) {
        for (place, anchors) in other.places {
            let known = self.places.entry(place).or_default();
            for (anchor, sealed_at) in anchors {
                let earliest = known.entry(anchor).or_insert(sealed_at);
                *earliest = (*earliest).min(sealed_at);
            }
        }
    }

    /// The anchors by place, each with the time of the earliest entry that names it.
    #[must_use]
    pub fn places(&self) -> &BTreeMap<Vec<u8>, BTreeMap<u64, i64>> {
        &self.places
    }

    /// A compact encoding, for handing it from a worker to its leader.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (place, anchors) in &self.places {
            put(&mut out, place);
            out.extend((anchors.len() as u64).to_be_bytes());
            for (anchor, sealed_at) in anchors {
                out.extend(anchor.to_be_bytes());
                out.extend(sealed_at.to_be_bytes());
            }
        }
        out
    }

    /// Reads what [`NamedAnchors::to_bytes`] wrote; `None` if it is anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut named = Self::default();
        let mut input = Input(bytes);
        while !input.is_empty() {
            let place = input.bytes()?;
            let mut anchors = BTreeMap::new();
            for _ in 0..input.u64()? {
                let anchor = input.u64()?;
                anchors.insert(anchor, input.u64()?.cast_signed());
            }
            named.places.insert(place.to_vec(), anchors);
        }
        Some(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_entry_of_each_anchor_counts_whatever_the_order() {
        let entries: [(&[u8], u64, i64); 6] =
            [(b"a/1", 1, 5), (b"a", 1, 3), (b"a", 1, 4), (b"b", 1, 1), (b"a", 0, 0), (b"a/2", 2, -7)];
        let mut whole = NamedAnchors::default();
        let mut parts = [NamedAnchors::default(), NamedAnchors::default()];
        for (i, (chain, anchor, at)) in entries.into_iter().enumerate() {
            whole.add(chain, anchor, at);
            parts[i % 2].add(chain, anchor, at);
        }
        let [mut first, second] = parts;
        first.merge(NamedAnchors::from_bytes(&second.to_bytes()).expect("its own encoding"));
        assert_eq!(first.places(), whole.places());
        assert_eq!(whole.places()[b"a".as_slice()], BTreeMap::from([(1, 3), (2, -7)]));
        assert_eq!(whole.places()[b"b".as_slice()], BTreeMap::from([(1, 1)]));
    }

    #[test]
    fn a_damaged_encoding_is_refused() {
        let mut named = NamedAnchors::default();
        named.add(b"a", 1, 5);
        let bytes = named.to_bytes();
        assert!((1..bytes.len()).all(|length| NamedAnchors::from_bytes(&bytes[..length]).is_none()));
    }
}
