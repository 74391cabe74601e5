//! Verification secrets: what verifies one history and derives no key of another. A server that holds only these can
//! judge, and cannot seal.
//!
//! They are the extracted halves of HKDF, salted with the history's id; those of journal and anchors come along, since
//! no verdict stands without them.

use super::fault::KeyFault;
use crate::pg::secret_memory;
use crate::private_file;
use crate::record::identity::uuid_text;
use pgseal_chain::{ANCHORS, HistoryId, HistoryKeys, JOURNAL, Secret};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// The member of the exported object that says what it is, and its version.
const FORMAT: &str = "pgseal verification secrets";
const VERSION: u64 = 1;

/// The file may hold so many bytes.
const MAX_FILE: usize = 1024 * 1024;

/// Label of the mark that this server holds verification secrets only.
const ONLY: &str = "verification only";

/// The secrets of one history under one key.
pub struct Export<'a> {
    pub id: &'a str,
    pub secret: &'a Secret,
}

/// One line of text for `pgseal.verification_file`.
pub fn export(history: HistoryId, table: &str, keys: &[Export<'_>]) -> Zeroizing<String> {
    let of = |secret: &Secret, history| {
        let bytes = HistoryKeys::extract(secret, history);
        Zeroizing::new(hex::encode(bytes.as_ref()))
    };
    let keys: Vec<Value> = keys
        .iter()
        .map(|Export { id, secret }| {
            json!({
                "id": id,
                "fingerprint": hex::encode(secret.fingerprint()),
                "history": of(secret, history).as_str(),
                "journal": of(secret, JOURNAL).as_str(),
                "anchors": of(secret, ANCHORS).as_str(),
            })
        })
        .collect();
    Zeroizing::new(json!({FORMAT: VERSION, "history": uuid_text(&history.0), "table": table, "keys": keys}).to_string())
}

/// Reads the file into the server's memory; from then on it holds verification secrets only.
pub fn load(path: &str) -> Result<(), KeyFault> {
    let unusable = |reason: String| KeyFault::VerificationFile { path: path.to_owned(), reason };
    let text = private_file::read(path, MAX_FILE).map_err(|error| unusable(error.to_string()))?;
    let text = std::str::from_utf8(&text).map_err(|_| unusable("is not text".into()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    for (number, line) in (1..).zip(lines.clone()) {
        let taken = serde_json::from_str(line).ok().and_then(|value: Value| take(&value));
        match taken {
            Some(true) => {}
            Some(false) => return Err(unusable("has more histories than a server can hold".into())),
            None => {
                return Err(unusable(format!("has in line {number} something that seal.history_secret did not give")));
            }
        }
    }
    if lines.count() == 0 {
        return Err(unusable("is empty".into()));
    }
    secret_memory::put(ONLY, b"1");
    Ok(())
}

/// `Some(false)`: there is no room for it.
fn take(value: &Value) -> Option<bool> {
    if value[FORMAT].as_u64() != Some(VERSION) {
        return None;
    }
    let history: [u8; 16] = hex::decode(value["history"].as_str()?.replace('-', "")).ok()?.try_into().ok()?;
    let mut has_room = true;
    for key in value["keys"].as_array()? {
        let id = key["id"].as_str()?;
        has_room &= secret_memory::put(&fingerprint_label(id), key["fingerprint"].as_str()?.as_bytes());
        for (name, history) in [("history", HistoryId(history)), ("journal", JOURNAL), ("anchors", ANCHORS)] {
            let mut bytes = Zeroizing::new([0; 32]);
            hex::decode_to_slice(key[name].as_str()?, bytes.as_mut()).ok()?;
            has_room &= secret_memory::put(&label(id, history), bytes.as_ref());
        }
    }
    Some(has_room)
}

fn label(id: &str, history: HistoryId) -> String {
    format!("of {} {}", id, hex::encode(history.0))
}

fn fingerprint_label(id: &str) -> String {
    format!("fingerprint {id}")
}

/// Whether this server holds verification secrets only.
pub fn is_all() -> bool {
    secret_memory::get(ONLY).is_some()
}

/// The fingerprint of the key of this id, of which this server has secrets.
pub fn fingerprint(id: &str) -> Option<String> {
    String::from_utf8(secret_memory::get(&fingerprint_label(id))?.to_vec()).ok()
}

/// The keys of a history under the key of this id.
pub fn keys(id: &str, history: HistoryId) -> Option<HistoryKeys> {
    HistoryKeys::of_extracted(secret_memory::get(&label(id, history))?.as_slice())
}
