//! How the histories of pgseal's records are written as text.

use super::anchor;
use pgseal_chain::{ChainName, HistoryId, JOURNAL, Mac, Origin};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Debug;

/// A uuid in its usual form.
pub fn uuid_text(id: &[u8; 16]) -> String {
    let mut text = Vec::with_capacity(38);
    pgseal_document::write_uuid(id, &mut text);
    String::from_utf8_lossy(&text).trim_matches('"').to_owned()
}

/// The name of a history among the heads of an anchor.
pub fn in_anchors(history: HistoryId) -> String {
    if history == JOURNAL { anchor::JOURNAL.to_owned() } else { uuid_text(&history.0) }
}

/// Names what stands in a record without telling a signature that would fit it, so that two changes
/// of it are two findings.
pub fn content(record: &impl Debug) -> String {
    format!("content {}", hex::encode(&Sha256::digest(format!("{record:?}").as_bytes())[..16]))
}

/// Digest of a record as `jsonb::text` prints it, hex.
pub fn digest(record: &str) -> String {
    hex::encode(Sha256::digest(record.as_bytes()))
}

/// A mac in hex, as pgseal's records have it.
pub fn mac(value: &Value) -> Option<Mac> {
    let mut mac = [0; 32];
    hex::decode_to_slice(value.as_str()?, &mut mac).ok()?;
    Some(mac)
}

/// Where a chain was begun, seen from the place of this prefix; `None` if one of them is no name of a chain.
pub fn origin(chain: &str, prefix: &str) -> Option<Origin> {
    Some(ChainName::parse(chain)?.origin(&ChainName::parse(prefix)?))
}

/// Whether a chain was begun in the place of this prefix, maybe under another `pgseal.chain_name`.
pub fn is_of_place(chain: &str, prefix: &str) -> bool {
    origin(chain, prefix) == Some(Origin::ThisPlace)
}
