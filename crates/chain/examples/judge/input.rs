//! A case as the tests write it: rows as they were sealed, rows as they stand now, and what else is known.

use std::collections::BTreeMap;

use pgseal_chain::{Cut, EpochKey, Head, HistoryId, HistoryKeys, Mac, SaltKey, Secret};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// One row of a history. Everything may be absent or nonsense.
#[derive(Clone)]
pub struct Row {
    /// By which people name the row, as JSON.
    pub key: Value,
    pub chain: Option<String>,
    pub position: Option<i64>,
    pub epoch: Option<i32>,
    pub anchor: Option<i64>,
    /// µs since 2000-01-01 UTC
    pub sealed_at: Option<i64>,
    pub tenant: Option<String>,
    pub prev: Option<Vec<u8>>,
    pub mac: Option<Vec<u8>>,
    /// What would be signed, by number of the epoch.
    pub documents: BTreeMap<u32, String>,
    /// The text in each column that is not pgseal's, in the table's order.
    pub columns: Vec<(String, Option<String>)>,
}

pub struct Epoch {
    pub number: u32,
    pub key: EpochKey,
    pub columns: Vec<String>,
    pub has_tenant: bool,
}

pub struct Case {
    pub history: HistoryId,
    pub salt_key: SaltKey,
    pub epochs: Vec<Epoch>,
    /// What older entries show in columns that were added later.
    pub defaults: BTreeMap<String, String>,
    pub heads: Vec<Head>,
    pub cuts: Vec<Cut>,
    /// By chain: the last position that the newest checkpoint covers.
    pub checkpoint: BTreeMap<String, u64>,
    pub honest: Vec<Row>,
    pub rows: Vec<Row>,
    pub tenants: Vec<String>,
}

impl Case {
    pub fn read(text: &str) -> Option<Self> {
        let case: Value = serde_json::from_str(text).ok()?;
        let secret = Secret::from_text(case["secret"].as_str()?.as_bytes()).ok()?;
        let history = HistoryId(hex::decode(case["history"].as_str()?).ok()?.try_into().ok()?);
        let keys = HistoryKeys::derive(&secret, history);
        let records = list(&case["epochs"], |record| record.as_str().map(str::to_owned))?;
        let newest: Value = serde_json::from_str(records.last()?).ok()?;
        let defaults = newest["columns"].as_array()?.iter().filter_map(default_of).collect();
        let checkpoint = case["checkpoint"].as_object()?;
        Some(Self {
            history,
            salt_key: keys.salt_key(),
            epochs: (1..).zip(records).map(|(number, record)| epoch(&keys, number, &record)).collect::<Option<_>>()?,
            defaults,
            heads: list(&case["heads"], head)?,
            cuts: list(&case["cuts"], cut)?,
            checkpoint: checkpoint
                .iter()
                .map(|(chain, at)| Some((chain.clone(), at.as_u64()?)))
                .collect::<Option<_>>()?,
            honest: list(&case["honest"], row)?,
            rows: list(&case["rows"], row)?,
            tenants: list(&case["tenants"], |tenant| tenant.as_str().map(str::to_owned))?,
        })
    }
}

impl Row {
    /// All that stands in it, to compare rows by.
    pub fn content(&self) -> String {
        format!("{:?} {:?} {:?}", self.place_and_macs(), self.epoch, self.columns)
    }

    /// What was signed, but for the number of the epoch; `epoch` is the one whose document counts.
    pub fn as_sealed(&self, epoch: Option<i32>) -> String {
        let document = epoch.and_then(|epoch| self.documents.get(&u32::try_from(epoch).ok()?));
        format!("{:?} {document:?}", self.place_and_macs())
    }

    /// The position, if there can be such a one.
    pub fn at(&self) -> Option<u64> {
        self.position.and_then(|position| u64::try_from(position).ok()).filter(|position| *position > 0)
    }

    pub fn prev(&self) -> Option<Mac> {
        self.prev.as_deref()?.try_into().ok()
    }

    pub fn mac(&self) -> Option<Mac> {
        self.mac.as_deref()?.try_into().ok()
    }

    fn place_and_macs(&self) -> impl std::fmt::Debug {
        (
            (self.chain.clone(), self.position, self.anchor, self.sealed_at),
            (self.tenant.clone(), self.prev.clone(), self.mac.clone()),
        )
    }
}

fn list<T>(values: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    values.as_array()?.iter().map(read).collect()
}

fn epoch(keys: &HistoryKeys, number: u32, record: &str) -> Option<Epoch> {
    let content: Value = serde_json::from_str(record).ok()?;
    Some(Epoch {
        number,
        key: keys.epoch_key(number, &Sha256::digest(record).into()),
        columns: list(&content["columns"], |column| column["name"].as_str().map(str::to_owned))?,
        has_tenant: content["tenant"].is_string(),
    })
}

fn default_of(column: &Value) -> Option<(String, String)> {
    Some((column["name"].as_str()?.to_owned(), column["default"].as_str()?.to_owned()))
}

fn head(value: &Value) -> Option<Head> {
    Some(Head { chain: value[0].as_str()?.into(), position: value[1].as_u64()?, mac: Some(mac(&value[2])?) })
}

fn cut(value: &Value) -> Option<Cut> {
    Some(Cut { chain: value[0].as_str()?.into(), position: value[1].as_u64()?, mac: mac(&value[2])? })
}

fn mac(value: &Value) -> Option<Mac> {
    hex::decode(value.as_str()?).ok()?.try_into().ok()
}

fn row(value: &Value) -> Option<Row> {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let bytes = |name: &str| hex::decode(value[name].as_str()?).ok();
    let documents = value["documents"].as_object()?;
    Some(Row {
        key: value["key"].clone(),
        chain: text("chain"),
        position: value["position"].as_i64(),
        epoch: value["epoch"].as_i64().and_then(|epoch| i32::try_from(epoch).ok()),
        anchor: value["anchor"].as_i64(),
        sealed_at: bytes("sealed_at").and_then(|bytes| bytes.try_into().ok()).map(i64::from_be_bytes),
        tenant: text("tenant"),
        prev: bytes("prev"),
        mac: bytes("mac"),
        documents: documents
            .iter()
            .map(|(epoch, document)| Some((epoch.parse().ok()?, document.as_str()?.to_owned())))
            .collect::<Option<_>>()?,
        columns: list(&value["columns"], |column| {
            Some((column[0].as_str()?.to_owned(), column[1].as_str().map(str::to_owned)))
        })?,
    })
}
