//! Cuts: how far chains were pruned. The journal has them; what it says is what pruning left.

use super::{identity, journaled, nodes};
use crate::pg::snapshot::Sees;
use crate::seal::heads::Head;
use pgseal_chain::{HistoryId, Mac};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The last pruned entry of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    pub position: u64,
    pub mac: Mac,
    /// µs since 2000-01-01 UTC.
    pub sealed_at: i64,
    pub epoch: i32,
}

/// What one act of pruning removed from a chain: the entries from `first` to the cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub first: u64,
    pub cut: Cut,
}

impl Span {
    pub fn entries(&self) -> u64 {
        (self.cut.position + 1).saturating_sub(self.first)
    }

    /// Adds what was removed right after it.
    pub fn extend(&mut self, next: &Span) {
        self.cut = next.cut;
    }

    fn parse(value: &Value) -> Option<Span> {
        Some(Span {
            first: value["first"].as_u64()?,
            cut: Cut {
                position: value["last"].as_u64()?,
                mac: identity::mac(&value["mac"])?,
                sealed_at: value["sealed_at"].as_i64()?,
                epoch: i32::try_from(value["epoch"].as_i64()?).ok()?,
            },
        })
    }
}

/// Where a chain was pruned, here or by another node, as the head to go on from if nothing is left of it. Reads the
/// journal.
pub fn head(history: HistoryId, chain: &str) -> Option<Head> {
    let own = journaled::as_seen(Sees::Stored).remove(&history).unwrap_or_default().cuts;
    let elsewhere = nodes::stored_cuts(history, Sees::Stored);
    let cut = own.get(chain).into_iter().chain(elsewhere.get(chain)).max_by_key(|cut| cut.position)?;
    Some(Head { position: cut.position, mac: cut.mac, sealed_at: cut.sealed_at, epoch: cut.epoch })
}

/// As the journal has them, by chain.
pub fn to_json(spans: &BTreeMap<String, Span>) -> Value {
    let span = |span: &Span| {
        json!({
            "first": span.first,
            "last": span.cut.position,
            "mac": hex::encode(span.cut.mac),
            "sealed_at": span.cut.sealed_at,
            "epoch": span.cut.epoch,
        })
    };
    Value::Object(spans.iter().map(|(chain, of)| (chain.clone(), span(of))).collect::<Map<_, _>>())
}

/// Moves the cuts to where a journal entry's details say; never back.
pub fn take_over(cuts: &mut BTreeMap<String, Cut>, chains: &Value) {
    for (chain, value) in chains.as_object().into_iter().flatten() {
        if let Some(span) = Span::parse(value) {
            let known = cuts.entry(chain.clone()).or_insert(span.cut);
            if known.position < span.cut.position {
                *known = span.cut;
            }
        }
    }
}
