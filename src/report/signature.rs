//! The mac of a report: over every byte that comes before it.
//!
//! Line ends, blanks at ends of lines and what stands around the report may differ, as mail and editors have it. Nothing
//! else may: were line breaks overlooked, a reason that somebody has given could be broken so that it looks like a line
//! of the report.

use crate::key;
use crate::pg::error::Report;
use pgrx::PgSqlErrorCode;
use pgseal_chain::{JOURNAL, Mac};

const LABEL: &str = "report";

/// What every text begins with, and its last line.
pub const TITLE: &str = "PGSEAL REPORT: ";
const TEXT_END: &str = "Mac          key ";
const NO_KEY: &str =
    "Mac          none: this server has no usable key, so that nobody can say later who made this report";

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

impl Format {
    /// Raises for any other name.
    pub fn named(name: &str) -> Format {
        match name {
            "text" => Format::Text,
            "json" => Format::Json,
            _ => Report::new(
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                format!("there is no report in the format \"{name}\""),
            )
            .hint("Use format => 'text' or format => 'json'.")
            .raise(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "json",
        }
    }

    /// What stands after the mac.
    fn end(self) -> &'static str {
        match self {
            Format::Text => "",
            Format::Json => "\"\n}",
        }
    }
}

/// Adds the last line to a text, whose lines all end.
pub fn sign_text(body: String) -> String {
    match key::current() {
        Ok(key) => sign(Format::Text, format!("{body}{TEXT_END}{}, ", key.id), &key),
        Err(_) => body + NO_KEY,
    }
}

/// Adds the last two members to an object that is still open, after a comma.
pub fn sign_json(body: String) -> String {
    match key::current() {
        Ok(key) => {
            let id = serde_json::Value::from(key.id.as_str());
            sign(Format::Json, format!("{body}  \"key\": {id},\n  \"mac\": \""), &key)
        }
        Err(_) => body + "  \"key\": null,\n  \"mac\": null\n}",
    }
}

fn sign(format: Format, body: String, key: &key::Key) -> String {
    let mac = mac(format, &body, key);
    body + &hex::encode(mac) + format.end()
}

fn mac(format: Format, body: &str, key: &key::Key) -> Mac {
    key.keys(JOURNAL).record_key().mac(LABEL, JOURNAL, format.name().as_bytes(), &[Some(body.as_bytes())])
}

/// What a mac says of a report that somebody kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authenticity {
    Authentic,
    /// It is no report, or its end is missing, or it was made without a key.
    NoMac,
    /// Signed with a key of this id, which is not at hand.
    UnknownKey(String),
    /// It is not as it was made, or was made with another key.
    Changed,
}

/// A report as somebody kept it.
pub struct Kept {
    pub format: Format,
    /// As it was made, as far as line ends and blanks at ends of lines go.
    pub text: String,
}

impl Kept {
    pub fn new(text: &str) -> Kept {
        let lines: Vec<&str> = text.trim_start_matches('\u{feff}').trim().lines().map(str::trim_end).collect();
        let text = lines.join("\n");
        Kept { format: if text.starts_with('{') { Format::Json } else { Format::Text }, text }
    }

    pub fn authenticity(&self) -> Authenticity {
        let Some((body, key_id, mac)) = self.parts() else { return Authenticity::NoMac };
        let Ok(record_key) = key::of_internal_chain(&key_id, JOURNAL) else {
            return Authenticity::UnknownKey(key_id);
        };
        let fields = [Some(body.as_bytes())];
        match record_key.verify(LABEL, JOURNAL, self.format.name().as_bytes(), &fields, &mac) {
            true => Authenticity::Authentic,
            false => Authenticity::Changed,
        }
    }

    /// What is signed, the id of the key, and the mac.
    fn parts(&self) -> Option<(&str, String, Mac)> {
        let signed = self.text.strip_suffix(self.format.end())?;
        let (body, digits) = signed.split_at_checked(signed.len().checked_sub(64)?)?;
        let mut mac = [0; 32];
        hex::decode_to_slice(digits, &mut mac).ok().filter(|()| hex::encode(mac) == digits)?;
        let key_id = match self.format {
            Format::Text if !body.starts_with(TITLE) => None,
            Format::Text => Some(body.lines().next_back()?.strip_prefix(TEXT_END)?.strip_suffix(", ")?.to_owned()),
            Format::Json => {
                serde_json::from_str::<serde_json::Value>(&self.text).ok()?["key"].as_str().map(str::to_owned)
            }
        };
        Some((body, key_id?, mac))
    }
}
