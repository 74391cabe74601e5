//! What the journal says of streams: that a database began to use one, and by which root it is verified.

use crate::key::evolution::State;
use crate::pg::snapshot::Sees;
use crate::record::journal::{self, Act, Entry, Note};
use crate::record::overall;
use pgseal_chain::{PeriodKind, Stream};
use serde_json::{Value, json};

/// A stream as the journal has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournaledStream {
    pub stream: Stream,
    /// Fingerprint of the root, hex.
    pub root: String,
    /// Name of the node's first chain in the place where it was journaled.
    pub place: String,
    /// When, µs since 2000-01-01 UTC.
    pub at: i64,
}

impl JournaledStream {
    pub fn parse(act: &Entry, details: &Value) -> Option<JournaledStream> {
        let mut id = [0; 16];
        hex::decode_to_slice(details["stream"].as_str()?, &mut id).ok()?;
        Some(JournaledStream {
            stream: Stream {
                id,
                kind: PeriodKind::parse(details["kind"].as_str()?)?,
                first: u32::try_from(details["first"].as_u64()?).ok()?,
                key_id: details["key"].as_str()?.to_owned(),
            },
            root: details["root"].as_str()?.to_owned(),
            place: details["place"].as_str()?.to_owned(),
            at: act.at,
        })
    }
}

/// Journals that this database uses the stream of the state from now on, unless it does already.
pub(super) fn journal(state: &State, prefix: &str) {
    let known = overall::as_seen(Sees::Stored).streams;
    if known.iter().any(|known| known.stream == state.stream && known.place == prefix) {
        return;
    }
    let reason = match known.last() {
        None => "the first one",
        Some(last) if last.place != prefix => "the database was restored, copied or promoted",
        Some(_) => "the former state file is no longer in use",
    };
    let Stream { id, kind, first, key_id } = &state.stream;
    journal::note(Note {
        act: Act::Stream,
        history: None,
        table: None,
        sentence: format!("a stream of evolving secrets began with {}: {reason}", kind.name(*first)),
        details: json!({
            "stream": hex::encode(id),
            "kind": kind.as_str(),
            "first": first,
            "key": key_id,
            "root": state.root,
            "place": prefix,
            "reason": reason,
        }),
    });
}
