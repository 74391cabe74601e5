//! A line that a witness keeps: what an anchor said, as one line of printable text, with a mac.

mod text;
mod time;

use std::fmt;

use thiserror::Error;

use crate::entry::Mac;
use crate::keys::{HistoryId, RecordKey};
use text::{escape, unescape};

const WORD: &str = "pgseal-anchor";
const VERSION: &str = "1";
const LABEL: &str = "witness";
/// How much of what is wrong an error shows, in characters.
const SHOWN: usize = 40;

/// What a witness is told of an anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessLine {
    /// Name of the database.
    pub database: String,
    /// The chain of anchors.
    pub chain: String,
    /// Number of the anchor: its position in the chain.
    pub number: u64,
    /// When the anchor was written, in µs since 2000-01-01 UTC.
    pub at: i64,
    /// Whether the anchor names all chains, not only those that changed.
    pub full: bool,
    /// How many heads the anchor names.
    pub heads: u64,
    /// Id of the key under which the anchor and this line have their macs.
    pub key_id: String,
    /// The anchor's own mac.
    pub anchor_mac: Mac,
    /// The line's mac, see [`WitnessLine::sign`].
    pub mac: Mac,
}

/// Why some text is no witness line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WitnessError {
    /// It is something else, or its beginning was cut off.
    #[error("\"{WORD} {VERSION}\", with which a witness line begins, is not in it")]
    NoLine,
    /// Another version of the format.
    #[error("the witness line has version \"{found}\", and only version {VERSION} is known")]
    Version {
        /// What stands in its place.
        found: String,
    },
    /// A field is missing, or not in its place.
    #[error("\"{field}=\" is expected in the witness line where {found} stands")]
    Field {
        /// The field that belongs there.
        field: &'static str,
        /// What stands there, in quotes; or `nothing`.
        found: String,
    },
    /// A field has a value that no witness line has.
    #[error("\"{field}={found}\" in the witness line is not {wanted}")]
    Value {
        /// The field.
        field: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// More text, perhaps a second line: each is to be looked at by itself.
    #[error("\"{found}\" stands after the end of the witness line")]
    Trailing {
        /// What stands there.
        found: String,
    },
}

impl WitnessLine {
    /// Gives the line its mac: that of a record with the label `witness`, the chain's name and the
    /// number (8 bytes) as its id, and every other field: database, at (8 bytes), full (1 byte),
    /// heads (8 bytes), key id, mac of the anchor.
    pub fn sign(&mut self, key: &RecordKey, history: HistoryId) {
        self.mac = self.with_parts(|id, fields| key.mac(LABEL, history, id, fields));
    }

    /// Whether the line has its mac; constant time in the mac.
    #[must_use]
    pub fn is_authentic(&self, key: &RecordKey, history: HistoryId) -> bool {
        self.with_parts(|id, fields| key.verify(LABEL, history, id, fields, &self.mac))
    }

    fn with_parts<T>(&self, work: impl FnOnce(&[u8], &[Option<&[u8]>]) -> T) -> T {
        let id = [self.chain.as_bytes(), &self.number.to_be_bytes()].concat();
        work(
            &id,
            &[
                Some(self.database.as_bytes()),
                Some(&self.at.to_be_bytes()),
                Some(&[u8::from(self.full)]),
                Some(&self.heads.to_be_bytes()),
                Some(self.key_id.as_bytes()),
                Some(&self.anchor_mac),
            ],
        )
    }

    /// Reads what [`fmt::Display`] prints, and nothing that differs from it by a character. White space
    /// may surround it, and before its first word may stand what syslog or mail puts there.
    ///
    /// # Errors
    /// Any [`WitnessError`].
    pub fn parse(text: &str) -> Result<Self, WitnessError> {
        let mut fields = Fields(after_version(text)?);
        let line = Self {
            database: fields.take("database", NAME, unescape)?,
            chain: fields.take("chain", NAME, unescape)?,
            number: fields.take("number", NUMBER, number)?,
            at: fields.take("at", "a time as in 2026-11-21T22:00:00.123456Z", time::parse)?,
            full: fields.take("full", "yes or no", yes_or_no)?,
            heads: fields.take("heads", NUMBER, number)?,
            key_id: fields.take("key", NAME, unescape)?,
            anchor_mac: fields.take("anchor", MAC, mac)?,
            mac: fields.take("mac", MAC, mac)?,
        };
        let rest = fields.0.trim();
        if rest.is_empty() { Ok(line) } else { Err(WitnessError::Trailing { found: excerpt(rest) }) }
    }
}

impl fmt::Display for WitnessLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{WORD} {VERSION} database={} chain={} number={} at={} full={} heads={} key={} anchor={} mac={}",
            escape(&self.database),
            escape(&self.chain),
            self.number,
            time::text(self.at),
            if self.full { "yes" } else { "no" },
            self.heads,
            escape(&self.key_id),
            hex::encode(self.anchor_mac),
            hex::encode(self.mac),
        )
    }
}

/// What follows the first word and the version. The word may stand earlier too, as syslog's tag.
fn after_version(text: &str) -> Result<&str, WitnessError> {
    let begins_word = |place: usize| !text[..place].ends_with(|c: char| c == '=' || text::is_plain(c));
    let mut found = None;
    for (place, word) in text.match_indices(WORD).filter(|(place, _)| begins_word(*place)) {
        let Some(rest) = text[place + word.len()..].strip_prefix(' ') else { continue };
        let (version, fields) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        if version == VERSION {
            return Ok(fields);
        }
        found.get_or_insert(version);
    }
    Err(found.map_or(WitnessError::NoLine, |version| WitnessError::Version { found: excerpt(version) }))
}

const NAME: &str = "text with every character but A-Z a-z 0-9 _ . : / - as %XX";
const NUMBER: &str = "a decimal number below 18446744073709551616";
const MAC: &str = "64 hexadecimal digits in lower case";

/// What is left of a line: fields, each after a single blank.
struct Fields<'a>(&'a str);

impl Fields<'_> {
    fn take<T>(
        &mut self,
        field: &'static str,
        wanted: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, WitnessError> {
        let rest = self.0.strip_prefix(' ').and_then(|rest| rest.strip_prefix(field)?.strip_prefix('='));
        let rest = rest.ok_or_else(|| WitnessError::Field { field, found: quoted(self.0) })?;
        let (value, rest) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        self.0 = rest;
        read(value).ok_or_else(|| WitnessError::Value { field, found: excerpt(value), wanted })
    }
}

/// The beginning of `text`, on one line.
fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

fn quoted(text: &str) -> String {
    match text.trim() {
        "" => "nothing".to_owned(),
        some => format!("\"{}\"", excerpt(some)),
    }
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|n: &u64| n.to_string() == text)
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn mac(text: &str) -> Option<Mac> {
    let mut mac = [0; 32];
    hex::decode_to_slice(text, &mut mac).ok().filter(|()| hex::encode(mac) == text).map(|()| mac)
}
