//! What a record of a closing says.

use crate::record::identity::mac;
use pgseal_chain::{Closed, ClosingKind, ClosingStep, Mac, Period, PeriodKind};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Where a chain stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    pub position: u64,
    pub mac: Mac,
    /// Entries since the record before.
    pub count: u64,
    /// Of that entry, µs since 2000-01-01 UTC; 0 without one.
    pub sealed_at: i64,
    /// A transaction owned it: what that sealed was not committed yet.
    pub open: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub what: ClosingKind,
    /// Id of the key: of the root that the stream comes from, or of the key that a rotation ends.
    pub key_id: String,
    /// Always there but for rotations.
    pub period: Option<Period>,
    /// Name of the node's first chain in this place.
    pub place: String,
    /// What is not in it was sealed at this time or later, µs since 2000-01-01 UTC.
    pub closed: i64,
    pub chains: BTreeMap<String, Pin>,
    /// Chain, position and mac of the journal's newest entry.
    pub journal: Option<(String, u64, Mac)>,
    /// Chain, number and mac of the newest anchor.
    pub anchor: Option<(String, u64, Mac)>,
    pub previous: Option<[u8; 32]>,
}

impl Content {
    pub fn to_json(&self) -> Value {
        let pin = |pin: &Pin| json!([pin.position, hex::encode(pin.mac), pin.count, pin.sealed_at, pin.open]);
        let head = |head: &Option<(String, u64, Mac)>| {
            head.as_ref().map(|(chain, position, mac)| json!([chain, position, hex::encode(mac)]))
        };
        json!({
            "what": self.what.as_str(),
            "key": self.key_id,
            "stream": self.period.map(|period| hex::encode(period.stream)),
            "kind": self.period.map(|period| period.kind.as_str()),
            "period": self.period.map(|period| period.number),
            "place": self.place,
            "closed": self.closed,
            "chains": self.chains.iter().map(|(chain, of)| (chain.clone(), pin(of))).collect::<Map<_, _>>(),
            "journal": head(&self.journal),
            "anchor": head(&self.anchor),
            "previous": self.previous.map(hex::encode),
        })
    }

    pub fn parse(record: &str) -> Option<Content> {
        let value: Value = serde_json::from_str(record).ok()?;
        let chains = value["chains"].as_object()?.iter();
        Some(Content {
            what: ClosingKind::parse(value["what"].as_str()?)?,
            key_id: value["key"].as_str()?.to_owned(),
            period: period(&value)?,
            place: value["place"].as_str()?.to_owned(),
            closed: value["closed"].as_i64()?,
            chains: chains.map(|(chain, of)| Some((chain.clone(), pin(of)?))).collect::<Option<_>>()?,
            journal: head(&value["journal"])?,
            anchor: head(&value["anchor"])?,
            previous: match &value["previous"] {
                Value::Null => None,
                previous => Some(mac(previous)?),
            },
        })
    }

    pub fn step(&self, number: u64, digest: [u8; 32]) -> ClosingStep {
        let closed = |pin: &Pin| Closed { position: pin.position, mac: pin.mac, count: pin.count };
        ClosingStep {
            number,
            kind: self.what,
            period: self.period,
            place: self.place.clone(),
            previous: self.previous,
            digest,
            chains: self.chains.iter().map(|(chain, pin)| (chain.clone(), closed(pin))).collect(),
        }
    }

    /// Of an opening or a closing of a stream.
    pub fn of_stream(&self, stream: &[u8; 16]) -> Option<Period> {
        self.period.filter(|period| period.stream == *stream && self.what != ClosingKind::Rotation)
    }
}

/// `None` where it cannot be read, `Some(None)` where there is none.
fn period(value: &Value) -> Option<Option<Period>> {
    if value["stream"].is_null() {
        return Some(None);
    }
    let mut stream = [0; 16];
    hex::decode_to_slice(value["stream"].as_str()?, &mut stream).ok()?;
    let number = u32::try_from(value["period"].as_u64()?).ok()?;
    Some(Some(Period { stream, kind: PeriodKind::parse(value["kind"].as_str()?)?, number }))
}

fn head(value: &Value) -> Option<Option<(String, u64, Mac)>> {
    match value {
        Value::Null => Some(None),
        head => Some(Some((head[0].as_str()?.to_owned(), head[1].as_u64()?, mac(&head[2])?))),
    }
}

fn pin(value: &Value) -> Option<Pin> {
    Some(Pin {
        position: value[0].as_u64()?,
        mac: mac(&value[1])?,
        count: value[2].as_u64()?,
        sealed_at: value[3].as_i64()?,
        open: value[4].as_bool()?,
    })
}
