//! What listeners of `pgseal_alert` get: one JSON object that fits into a notification.

use super::message::host;
use super::{Alarm, message};
use crate::pg::{server, spi};
use serde_json::{Map, Value, json};

pub const CHANNEL: &str = "pgseal_alert";

/// A payload must be shorter than 8,000 bytes.
const LONGEST: usize = 7_999;
/// Of the details, lists and objects keep so many elements, and texts so many characters: the first step that fits.
const STEPS: [(usize, usize); 5] = [(1_000, 2_000), (100, 500), (30, 200), (10, 100), (3, 50)];
/// How much a text beside the details keeps where something has to go.
const LETTERS: usize = 300;

/// Notifies the listeners when the transaction commits.
pub fn send(alarm: &Alarm) {
    spi::execute(&format!("SELECT pg_catalog.pg_notify('{CHANNEL}', {})", spi::literal(&payload(alarm))));
}

fn payload(alarm: &Alarm) -> String {
    let whole = json!({
        "kind": alarm.kind.as_str(),
        "database": server::database_name(),
        "host": host(),
        "history": alarm.history,
        "run": alarm.run,
        "verdict": alarm.verdict,
        "findings": alarm.findings,
        "findings_new": alarm.findings_new,
        "sentence": message::one_line(&alarm.sentence),
        "details": alarm.details,
    });
    let text = whole.to_string();
    if text.len() <= LONGEST {
        return text;
    }
    let mut short = shortened(&whole, usize::MAX, LETTERS);
    short["truncated"] = true.into();
    for (elements, letters) in STEPS {
        short["details"] = shortened(&alarm.details, elements, letters);
        let text = short.to_string();
        if text.len() <= LONGEST {
            return text;
        }
    }
    short["details"] = json!({});
    short.to_string()
}

/// A copy with few elements and short texts.
fn shortened(value: &Value, elements: usize, letters: usize) -> Value {
    match value {
        Value::Array(list) => list.iter().take(elements).map(|value| shortened(value, elements, letters)).collect(),
        Value::Object(members) => members
            .iter()
            .take(elements)
            .map(|(name, value)| (name.clone(), shortened(value, elements, letters)))
            .collect::<Map<_, _>>()
            .into(),
        Value::String(text) if text.chars().count() > letters => {
            text.chars().take(letters).chain(['…']).collect::<String>().into()
        }
        other => other.clone(),
    }
}
