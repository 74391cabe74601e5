//! Since when a history is sealed and what it went through: attachments, epochs, keys, cuts, holds.

use super::facts::Period;
use super::words::{count, moment};
use crate::record::epoch::EpochRecord;
use crate::record::identity::uuid_text;
use crate::record::journal::{Act, Entry};
use crate::record::journaled::{Hold, Journaled};
use pgseal_chain::HistoryId;
use serde_json::Value;
use std::collections::BTreeMap;

pub struct Life {
    /// µs since 2000-01-01 UTC.
    pub attached_at: i64,
    pub attached_by: String,
    /// Times and columns that were not sealed, or not as they are now, in sentences.
    pub unsealed: Vec<String>,
    pub pruned: Vec<Pruned>,
    /// Entries that were pruned so far, whenever that was.
    pub pruned_ever: u64,
    /// What is on hold; `None` as tenant: all of it.
    pub holds: Vec<(Option<String>, Hold)>,
    /// Holds of other tenants, which the page of one tenant only counts.
    pub other_holds: u64,
    pub keys: Vec<Key>,
    /// Columns of the newest epoch.
    pub signed_columns: Vec<String>,
}

/// What one act of pruning removed.
pub struct Pruned {
    /// µs since 2000-01-01 UTC.
    pub at: i64,
    pub run: Option<i64>,
    pub entries: u64,
    /// By chain: first and last position.
    pub chains: BTreeMap<String, (u64, u64)>,
}

/// A key, and the epochs in which entries were sealed under it.
pub struct Key {
    pub id: String,
    pub fingerprint: String,
    pub first_epoch: i64,
    pub last_epoch: i64,
}

impl Life {
    /// `acts` is the whole journal, `histories` what it comes to.
    pub fn of(
        history: HistoryId,
        acts: &[Entry],
        histories: &BTreeMap<HistoryId, Journaled>,
        tenant: Option<&str>,
        period: Period,
    ) -> Option<Life> {
        let journaled = histories.get(&history)?;
        let own: Vec<&Entry> = acts.iter().filter(|act| act.history == Some(history)).collect();
        let epochs = epochs(&own);
        let is_shown = |held: &Option<String>| tenant.is_none() || held.is_none() || held.as_deref() == tenant;
        let (holds, others): (Vec<_>, Vec<_>) =
            journaled.holds.clone().into_iter().partition(|(held, _)| is_shown(held));
        Some(Life {
            attached_at: journaled.attached_at,
            attached_by: journaled.attached_by.clone(),
            unsealed: unsealed(journaled, &own, &epochs, histories),
            pruned: own.iter().filter(|act| period.contains(act.at)).filter_map(|act| pruned(act)).collect(),
            pruned_ever: journaled.cuts.values().map(|cut| cut.position).sum(),
            holds,
            other_holds: others.len() as u64,
            keys: keys(&epochs),
            signed_columns: epochs.last().map(Epoch::columns).unwrap_or_default(),
        })
    }
}

struct Epoch {
    at: i64,
    number: i64,
    record: EpochRecord,
}

impl Epoch {
    fn columns(&self) -> Vec<String> {
        self.record.columns.iter().map(|column| column.name.clone()).collect()
    }
}

fn is(act: &Entry, kind: Act) -> bool {
    act.kind == kind.as_str()
}

fn epochs(own: &[&Entry]) -> Vec<Epoch> {
    own.iter()
        .filter(|act| is(act, Act::Epoch))
        .filter_map(|act| {
            let details = act.details();
            let record = EpochRecord::parse(&details["record"].to_string()).ok()?;
            Some(Epoch { at: act.at, number: details["epoch"].as_i64()?, record })
        })
        .collect()
}

fn keys(epochs: &[Epoch]) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for Epoch { number, record, .. } in epochs {
        match keys.iter_mut().find(|key| key.id == record.key_id && key.fingerprint == record.fingerprint) {
            Some(key) => key.last_epoch = *number,
            None => keys.push(Key {
                id: record.key_id.clone(),
                fingerprint: record.fingerprint.clone(),
                first_epoch: *number,
                last_epoch: *number,
            }),
        }
    }
    keys
}

fn unsealed(
    journaled: &Journaled,
    own: &[&Entry],
    epochs: &[Epoch],
    histories: &BTreeMap<HistoryId, Journaled>,
) -> Vec<String> {
    let mut found = Vec::new();
    let since = moment(journaled.attached_at);
    let earlier = histories.iter().filter(|(id, _)| journaled.earlier.contains(&uuid_text(&id.0)));
    for (at, who) in earlier.filter_map(|(_, of)| of.detached.as_ref()) {
        found.push(format!("from {} to {since} the table was not sealed: {who} had detached it", moment(*at)));
    }
    if epochs.iter().any(|epoch| epoch.record.baseline) {
        found.push(format!("rows from before {since} were sealed as they stood then"));
    }
    for pair in epochs.windows(2) {
        let (before, after) = (&pair[0].record, &pair[1]);
        let new = after.record.columns.iter().filter(|column| before.column(column.id).is_none());
        let names: Vec<&str> = new.map(|column| column.name.as_str()).collect();
        if !names.is_empty() {
            let columns = count(names.len() as u64, "column was", "columns were");
            found.push(format!("{columns} added on {}, and signed since then: {}", moment(after.at), names.join(", ")));
        }
    }
    let accepted = own.iter().filter(|act| is(act, Act::Definition));
    for act in accepted.filter(|act| act.details()["command"] == "seal.open_epoch") {
        found.push(format!(
            "up to {} columns that came past pgseal were not signed: {}, by {}",
            moment(act.at),
            act.sentence,
            act.who
        ));
    }
    found
}

fn pruned(act: &Entry) -> Option<Pruned> {
    let details = act.details();
    let chains: BTreeMap<String, (u64, u64)> =
        details["chains"].as_object().filter(|_| is(act, Act::Cut))?.iter().filter_map(span).collect();
    let entries = chains.values().map(|(first, last)| (last + 1).saturating_sub(*first)).sum();
    Some(Pruned { at: act.at, run: details["run"].as_i64(), entries, chains })
}

fn span((chain, value): (&String, &Value)) -> Option<(String, (u64, u64))> {
    Some((chain.clone(), (value["first"].as_u64()?, value["last"].as_u64()?)))
}
