//! What the journal says of each history: its settings, epochs and definition, recomputed from the
//! first entry on. The tables of settings must agree with it.

use super::journal::{self, Act, Entry};
use super::live::LiveDefinition;
use super::registry::{Registration, StoredEpoch};
use crate::pg::snapshot::Sees;
use crate::record::checkpoint;
use crate::record::cut::{self, Cut};
use crate::record::epoch;
use crate::record::runs::How;
use pgseal_chain::HistoryId;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A known incident: findings that somebody has filed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// µs since 2000-01-01 UTC.
    pub at: i64,
    pub who: String,
    pub reason: String,
}

/// One history as the journal has it.
#[derive(Debug, Clone, Default)]
pub struct Journaled {
    /// Name of its table when it was last mentioned.
    pub table: String,
    pub tenant_column: Option<String>,
    pub max_chains: Option<i32>,
    pub window_months: Option<i32>,
    /// µs since 2000-01-01 UTC.
    pub attached_at: i64,
    pub attached_by: String,
    /// Number of the newest epoch, and the digest of each, hex.
    pub epoch: i32,
    pub digests: BTreeMap<i32, String>,
    /// When and by whom it was detached.
    pub detached: Option<(i64, String)>,
    /// Item by item, see `record::live`.
    pub definition: LiveDefinition,
    /// By fingerprint of the finding.
    pub acknowledged: BTreeMap<String, Acknowledgement>,
    /// Its own schedule, which may be `off`; `None`: it follows `pgseal.schedule`.
    pub schedule: Option<String>,
    /// When that was set the last time, µs since 2000-01-01 UTC; 0: never.
    pub scheduled_at: i64,
    /// When its newest recorded run by schedule began, µs since 2000-01-01 UTC.
    pub scheduled_run: Option<i64>,
    /// Ids and times of detachment of histories that the same table was before.
    pub earlier: Vec<String>,
    /// The last pruned entry of each chain.
    pub cuts: BTreeMap<String, Cut>,
    /// Of its newest checkpoint.
    pub checkpoint: Option<checkpoint::Mention>,
    /// What must not be pruned: the entries of a tenant, or of everybody.
    pub holds: BTreeMap<Option<String>, Hold>,
}

/// Why entries are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// µs since 2000-01-01 UTC.
    pub at: i64,
    pub who: String,
    pub reason: String,
}

/// Details of an attachment.
pub fn attach_details(registration: &Registration, definition: &LiveDefinition, earlier: &[String]) -> Value {
    json!({
        "settings": {
            "tenant_column": registration.tenant_column,
            "max_chains": registration.max_chains,
            "window_months": registration.window_months,
            "attached_at": registration.attached_at,
            "attached_by": registration.attached_by,
        },
        "definition": definition,
        "earlier": earlier,
    })
}

/// Details of a new epoch.
pub fn epoch_details(stored: &StoredEpoch, tenant_column: Option<&str>, key_source: Option<&str>) -> Value {
    let record: Value = serde_json::from_str(&stored.record).unwrap_or(Value::Null);
    json!({
        "epoch": stored.number,
        "digest": hex::encode(epoch::digest(&stored.record)),
        "tenant_column": tenant_column,
        "record": record,
        "key_source": key_source,
    })
}

/// Details of a detachment.
pub fn detach_details(registration: &Registration) -> Value {
    json!({"detached_at": registration.detached_at, "detached_by": registration.detached_by})
}

/// Details of a schedule that was set; `None`: that of `pgseal.schedule`.
pub fn schedule_details(schedule: Option<&str>) -> Value {
    json!({"schedule": schedule})
}

/// Every history that the journal mentions, as `sees` shows it, with what this transaction did.
pub fn as_seen(sees: Sees) -> BTreeMap<HistoryId, Journaled> {
    histories(&journal::acts(sees))
}

/// Every history that the journal mentions. `acts` come in their order.
pub fn histories(acts: &[Entry]) -> BTreeMap<HistoryId, Journaled> {
    let mut found: BTreeMap<HistoryId, Journaled> = BTreeMap::new();
    for act in acts {
        if let Some(history) = act.history {
            found.entry(history).or_default().apply(act);
        }
    }
    found
}

impl Journaled {
    fn apply(&mut self, act: &Entry) {
        let details = act.details();
        if let Some(table) = &act.table {
            self.table.clone_from(table);
        }
        let Some(kind) = Act::of_kind(&act.kind) else { return };
        match kind {
            Act::Attach => self.attach(&details),
            Act::Epoch => self.open_epoch(&details),
            Act::Detach => {
                let at = details["detached_at"].as_i64().unwrap_or(act.at);
                self.detached = Some((at, text(&details["detached_by"]).unwrap_or_default()));
            }
            Act::Definition => self.define(&details),
            Act::Acknowledge => self.acknowledge(act, &details),
            Act::Window => self.window_months = number(&details["months"]),
            Act::Hold => {
                let reason = text(&details["reason"]).unwrap_or_default();
                self.holds.insert(text(&details["tenant"]), Hold { at: act.at, who: act.who.clone(), reason });
            }
            Act::Release => {
                self.holds.remove(&text(&details["tenant"]));
            }
            Act::Checkpoint => self.checkpoint = checkpoint::Mention::parse(&details),
            Act::Cut => cut::take_over(&mut self.cuts, &details["chains"]),
            Act::Schedule => {
                self.schedule = text(&details["schedule"]);
                self.scheduled_at = act.at;
            }
            Act::Verify if details["how"] == How::Schedule.as_str() => {
                self.scheduled_run = details["started"].as_i64().or(self.scheduled_run);
            }
            // The rest is of the whole database, see `Overall`.
            Act::Verify | Act::Clock | Act::Key | Act::Retire | Act::Export | Act::Stream => {}
        }
    }

    fn attach(&mut self, details: &Value) {
        let settings = &details["settings"];
        self.tenant_column = text(&settings["tenant_column"]);
        self.max_chains = number(&settings["max_chains"]);
        self.window_months = number(&settings["window_months"]);
        self.attached_at = settings["attached_at"].as_i64().unwrap_or(0);
        self.attached_by = text(&settings["attached_by"]).unwrap_or_default();
        self.definition = items(&details["definition"]);
        let earlier = details["earlier"].as_array().into_iter().flatten();
        self.earlier = earlier.filter_map(text).collect();
    }

    fn open_epoch(&mut self, details: &Value) {
        let (Some(epoch), Some(digest)) = (number(&details["epoch"]), text(&details["digest"])) else { return };
        self.epoch = self.epoch.max(epoch);
        self.digests.insert(epoch, digest);
        self.tenant_column = text(&details["tenant_column"]);
    }

    fn define(&mut self, details: &Value) {
        for item in details["unset"].as_array().into_iter().flatten().filter_map(text) {
            self.definition.remove(&item);
        }
        self.definition.extend(items(&details["set"]));
    }

    fn acknowledge(&mut self, act: &Entry, details: &Value) {
        let reason = text(&details["reason"]).unwrap_or_default();
        for fingerprint in details["findings"].as_array().into_iter().flatten().filter_map(text) {
            let filed = Acknowledgement { at: act.at, who: act.who.clone(), reason: reason.clone() };
            self.acknowledged.entry(fingerprint).or_insert(filed);
        }
    }

    /// Sentences on what `seal.history` and `seal.epoch` say otherwise, with what was expected and
    /// what is there.
    pub fn differences(
        &self,
        row: &Registration,
        epochs: &[StoredEpoch],
    ) -> Vec<(String, Option<String>, Option<String>)> {
        let optional = |value: Option<i32>| value.map(|value| value.to_string());
        let fields = [
            ("tenant column", self.tenant_column.clone(), row.tenant_column.clone()),
            ("max_chains", optional(self.max_chains), optional(row.max_chains)),
            ("window_months", optional(self.window_months), optional(row.window_months)),
            ("number of the newest epoch", Some(self.epoch.to_string()), Some(row.epoch.to_string())),
            ("time of attachment", Some(self.attached_at.to_string()), Some(row.attached_at.to_string())),
            ("user who attached it", Some(self.attached_by.clone()), Some(row.attached_by.clone())),
        ];
        let mut found: Vec<_> = fields
            .into_iter()
            .filter(|(_, expected, found)| expected != found)
            .map(|(what, expected, found)| {
                (format!("the {what} of this history in seal.history is not the one in the journal"), expected, found)
            })
            .collect();
        if self.detached.is_some() && row.is_attached() {
            found.push(("this history was detached, but seal.history has it as attached".into(), None, None));
        }
        if self.detached.is_none() && !row.is_attached() {
            found.push(("this history is marked as detached, but the journal does not say so".into(), None, None));
        }
        for (number, digest) in &self.digests {
            let stored = epochs.iter().find(|epoch| epoch.number == *number);
            let actual = stored.map(|stored| hex::encode(epoch::digest(&stored.record)));
            if actual.as_ref() != Some(digest) {
                let sentence = format!("the record of epoch {number} in seal.epoch is not the one in the journal");
                found.push((sentence, Some(digest.clone()), actual));
            }
        }
        let unknown = epochs.iter().find(|epoch| !self.digests.contains_key(&epoch.number));
        found.extend(unknown.map(|epoch| {
            (format!("the record of epoch {} in seal.epoch is not in the journal", epoch.number), None, None)
        }));
        found
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn number(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|value| i32::try_from(value).ok())
}

fn items(value: &Value) -> LiveDefinition {
    let items = value.as_object().into_iter().flatten();
    items.filter_map(|(item, value)| Some((item.clone(), text(value)?))).collect()
}
