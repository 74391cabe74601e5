//! Epochs: which key and which columns were in force when an entry was sealed.

use pgseal_chain::HistoryId;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// One signed column as an epoch lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochColumn {
    /// Stays the same when the column is renamed.
    pub id: u32,
    pub name: String,
    /// As `format_type` prints it.
    pub type_name: String,
    /// What entries of earlier epochs show in this column: the default it was added with.
    pub default: Option<String>,
}

/// The record whose digest is part of the epoch's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochRecord {
    /// Random, so that no two epochs share a key.
    pub id: String,
    pub key_id: String,
    /// Of that key; names it without telling it.
    pub fingerprint: String,
    pub columns: Vec<EpochColumn>,
    pub tenant_column: Option<String>,
    /// Its entries were rows before the table was attached.
    pub baseline: bool,
    /// Digest of the epoch before, hex; absent in the first.
    pub previous: Option<String>,
}

#[derive(Debug, Error)]
#[error("the record is not a JSON object of an epoch")]
pub struct NotAnEpoch;

impl EpochRecord {
    /// JSON to be stored as jsonb; what is digested is the server's text of that jsonb.
    pub fn to_json(&self) -> Value {
        let columns: Vec<Value> = self
            .columns
            .iter()
            .map(|column| {
                let mut object = json!({"id": column.id, "name": column.name, "type": column.type_name});
                if let Some(default) = &column.default {
                    object["default"] = json!(default);
                }
                object
            })
            .collect();
        let mut record = Map::new();
        record.insert("id".into(), json!(self.id));
        record.insert("key".into(), json!(self.key_id));
        record.insert("fingerprint".into(), json!(self.fingerprint));
        record.insert("columns".into(), json!(columns));
        record.insert("baseline".into(), json!(self.baseline));
        if let Some(tenant) = &self.tenant_column {
            record.insert("tenant".into(), json!(tenant));
        }
        if let Some(previous) = &self.previous {
            record.insert("previous".into(), json!(previous));
        }
        Value::Object(record)
    }

    pub fn parse(text: &str) -> Result<EpochRecord, NotAnEpoch> {
        let value: Value = serde_json::from_str(text).map_err(|_| NotAnEpoch)?;
        let string = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let columns = value.get("columns").and_then(Value::as_array).ok_or(NotAnEpoch)?;
        Ok(EpochRecord {
            id: string("id").ok_or(NotAnEpoch)?,
            key_id: string("key").ok_or(NotAnEpoch)?,
            fingerprint: string("fingerprint").ok_or(NotAnEpoch)?,
            columns: columns.iter().map(parse_column).collect::<Result<_, _>>()?,
            tenant_column: string("tenant"),
            baseline: value.get("baseline").and_then(Value::as_bool).ok_or(NotAnEpoch)?,
            previous: string("previous"),
        })
    }

    pub fn column(&self, id: u32) -> Option<&EpochColumn> {
        self.columns.iter().find(|column| column.id == id)
    }

    pub fn next_column_id(&self) -> u32 {
        self.columns.iter().map(|column| column.id).max().unwrap_or(0).saturating_add(1)
    }
}

fn parse_column(value: &Value) -> Result<EpochColumn, NotAnEpoch> {
    let string = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    Ok(EpochColumn {
        id: value.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok()).ok_or(NotAnEpoch)?,
        name: string("name").ok_or(NotAnEpoch)?,
        type_name: string("type").ok_or(NotAnEpoch)?,
        default: string("default"),
    })
}

/// SHA-256 of the record's text as `jsonb::text` prints it.
pub fn digest(record_text: &str) -> [u8; 32] {
    Sha256::digest(record_text.as_bytes()).into()
}

/// What identifies an epoch's row among pgseal's records.
pub fn record_id(history: HistoryId, number: u32) -> Vec<u8> {
    [history.0.as_slice(), &number.to_be_bytes()].concat()
}
