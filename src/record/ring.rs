//! The ring: which keys this database's records were ever sealed with, as its journal says.

use super::epoch::EpochRecord;
use super::journal::{Act, Entry};
use crate::key::{self, Key};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One key as the journal has it. Never the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    pub fingerprint: String,
    /// The setting that it came from when it was put in force.
    pub source: Option<String>,
    /// When it was put in force, µs since 2000-01-01 UTC.
    pub created: i64,
    /// When it was given up, likewise.
    pub retired: Option<i64>,
}

/// By id.
pub type Ring = BTreeMap<String, KnownKey>;

/// What these entries say; they come in their order.
pub fn of<'a>(acts: impl IntoIterator<Item = &'a Entry>) -> Ring {
    let mut ring = Ring::new();
    for act in acts {
        apply(&mut ring, act);
    }
    ring
}

fn apply(ring: &mut Ring, act: &Entry) {
    let kind = Act::of_kind(&act.kind);
    let details = match kind {
        Some(Act::Epoch | Act::Key | Act::Retire) => act.details(),
        _ => return,
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match kind {
        Some(Act::Epoch) => {
            if let Ok(record) = EpochRecord::parse(&details["record"].to_string()) {
                let source = text(&details["key_source"]);
                let known = KnownKey { fingerprint: record.fingerprint, source, created: act.at, retired: None };
                ring.entry(record.key_id).or_insert(known);
            }
        }
        Some(Act::Key) => {
            for (id, known) in details["ring"].as_object().into_iter().flatten() {
                if let Some(known) = KnownKey::parse(known) {
                    ring.entry(id.clone()).or_insert(known);
                }
            }
        }
        Some(Act::Retire) => {
            if let Some(known) = text(&details["id"]).and_then(|id| ring.get_mut(&id)) {
                known.retired = Some(act.at);
            }
        }
        _ => {}
    }
}

impl KnownKey {
    /// A key as it is now put in force.
    pub fn of(key: &Key, at: i64) -> KnownKey {
        KnownKey { fingerprint: key.fingerprint(), source: key::source(), created: at, retired: None }
    }

    fn to_json(&self) -> Value {
        json!({
            "fingerprint": self.fingerprint,
            "source": self.source,
            "created": self.created,
            "retired": self.retired,
        })
    }

    fn parse(value: &Value) -> Option<KnownKey> {
        Some(KnownKey {
            fingerprint: value["fingerprint"].as_str()?.to_owned(),
            source: value["source"].as_str().map(str::to_owned),
            created: value["created"].as_i64()?,
            retired: value["retired"].as_i64(),
        })
    }
}

/// Details of a key that takes over: with the whole ring, so that a journal whose oldest key is gone still knows it.
/// `before` is the key that signs this, where it is not the one that takes over.
pub fn key_details(id: &str, before: Option<&str>, ring: &Ring) -> Value {
    let ring: BTreeMap<&String, Value> = ring.iter().map(|(id, known)| (id, known.to_json())).collect();
    json!({"id": id, "before": before, "ring": ring})
}

/// Whether a record under the key of this id cannot be judged: the ring has it, and this server does not.
pub fn is_out_of_reach(ring: &Ring, id: &str) -> bool {
    let Some(known) = ring.get(id) else { return false };
    key::to_verify(id).map_or(true, |key| key.fingerprint() != known.fingerprint)
}
