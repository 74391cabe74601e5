//! The journal: what administrators did, in a sealed chain of its own.
//!
//! Entries are queued in the transaction and written right before it commits, under the journal's
//! lock, which is taken last: a transaction that administers for an hour keeps nobody waiting. The
//! journal is the truth about settings; `seal.history` and `seal.epoch` are its cache.

mod queue;

use super::anchor;
use super::identity;
use super::journaled;
use super::live::LiveDefinition;
use super::nodes::Nodes;
use super::registry;
use super::ring::{self, Ring};
use super::tables::{self, Table};
use crate::key;
use crate::pg::error::Report;
use crate::pg::lock::{self, ChainLock};
use crate::pg::row::Row;
use crate::pg::snapshot::Sees;
use crate::pg::value::{ColumnType, TypeOid};
use crate::pg::{clock, scan, server};
use crate::seal::heads::{self, Head, Slot};
use crate::seal::plan;
use pgrx::PgSqlErrorCode;
use pgseal_chain::{HistoryId, JOURNAL, JournalEntry, Mac, RecordKey, is_same_mac};
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

pub use queue::{
    Note, is_queued, note, obstacle, refuse_prepare, savepoint_released, savepoint_rolled_back, transaction_ended,
    write_queued,
};

/// Where the chain's name stands in `seal.journal`.
pub const CHAIN: usize = 7;

/// What an administrator did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Attach,
    Epoch,
    Detach,
    /// The live definition of a history changed.
    Definition,
    /// Findings were filed as a known incident.
    Acknowledge,
    Window,
    Hold,
    Release,
    /// A run was recorded.
    Verify,
    /// The oldest entries of chains, or the oldest anchors, were pruned.
    Cut,
    /// What the clock did was accepted.
    Clock,
    /// A run left a checkpoint.
    Checkpoint,
    /// A history got a schedule of its own, or follows `pgseal.schedule` again.
    Schedule,
    /// Another key was put in force.
    Key,
    /// A key that is not in force any more was given up.
    Retire,
    /// What verifies a history was handed out.
    Export,
    /// A stream of evolving secrets began.
    Stream,
}

const ACTS: [Act; 17] = [
    Act::Attach,
    Act::Epoch,
    Act::Detach,
    Act::Definition,
    Act::Acknowledge,
    Act::Window,
    Act::Hold,
    Act::Release,
    Act::Verify,
    Act::Cut,
    Act::Clock,
    Act::Checkpoint,
    Act::Schedule,
    Act::Key,
    Act::Retire,
    Act::Export,
    Act::Stream,
];

impl Act {
    pub fn as_str(self) -> &'static str {
        match self {
            Act::Attach => "attach",
            Act::Epoch => "epoch",
            Act::Detach => "detach",
            Act::Definition => "definition",
            Act::Acknowledge => "acknowledge",
            Act::Window => "window",
            Act::Hold => "hold",
            Act::Release => "release",
            Act::Verify => "verify",
            Act::Cut => "cut",
            Act::Clock => "clock",
            Act::Checkpoint => "checkpoint",
            Act::Schedule => "schedule",
            Act::Key => "key",
            Act::Retire => "retire",
            Act::Export => "export",
            Act::Stream => "stream",
        }
    }

    /// What an entry of this kind says.
    pub fn of_kind(kind: &str) -> Option<Act> {
        ACTS.into_iter().find(|act| act.as_str() == kind)
    }
}

/// One row of `seal.journal`, or of this transaction's queue.
#[derive(Debug, Clone)]
pub struct Entry {
    pub chain: String,
    pub position: u64,
    /// µs since 2000-01-01 UTC.
    pub at: i64,
    pub who: String,
    pub kind: String,
    pub history: Option<HistoryId>,
    pub table: Option<String>,
    pub sentence: String,
    /// As `jsonb::text` prints it.
    pub details: String,
    pub anchor: u64,
    pub key_id: String,
    pub prev: Vec<u8>,
    pub mac: Vec<u8>,
    /// It has a value that pgseal never writes.
    pub malformed: bool,
}

impl Entry {
    pub fn expected_mac(&self, key: &RecordKey) -> Mac {
        JournalEntry {
            chain: &self.chain,
            position: self.position,
            at: self.at,
            who: &self.who,
            kind: &self.kind,
            history: self.history,
            table: self.table.as_deref(),
            sentence: &self.sentence,
            details: &self.details,
            anchor: self.anchor,
            key_id: &self.key_id,
            prev: &self.prev,
        }
        .mac(key)
    }

    /// Its mac, if it is the right one.
    pub fn authentic_mac(&self) -> Option<Mac> {
        let key = key::of_internal_chain(&self.key_id, JOURNAL).ok().filter(|_| !self.malformed)?;
        Some(self.expected_mac(&key)).filter(|expected| is_same_mac(expected, &self.mac))
    }

    pub fn is_authentic(&self) -> bool {
        self.authentic_mac().is_some()
    }

    /// Its mac as it stands there, right or not.
    pub fn stored_mac(&self) -> Option<Mac> {
        self.mac.as_slice().try_into().ok()
    }

    pub fn details(&self) -> Value {
        serde_json::from_str(&self.details).unwrap_or(Value::Null)
    }
}

/// Oid of `seal.journal`, if the extension is installed in this database.
pub fn table() -> Option<u32> {
    Table::Journal.oid()
}

pub fn has_primary_key() -> bool {
    Table::Journal.open().is_some_and(|open| open.unique_index([c"chain", c"seq"]).is_some())
}

/// Names of the chains that stored entries are of.
pub fn chains(sees: Sees) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if let Some(open) = Table::Journal.open() {
        scan::visit_as(&open, sees, |row| {
            if let Some(chain) = row.get(CHAIN) {
                chain.with_bytes(|bytes| {
                    if let Ok(name) = str::from_utf8(bytes)
                        && !found.contains(name)
                    {
                        found.insert(name.to_owned());
                    }
                });
            }
        });
    }
    found
}

/// All stored entries, by chain and position. Their macs are the caller's to check.
pub fn stored(sees: Sees) -> Vec<Entry> {
    let mut found = Vec::new();
    if let Some(open) = Table::Journal.open() {
        let jsonb = ColumnType::new(TypeOid::JSONB);
        scan::visit_as(&open, sees, |row| found.push(entry(row, &jsonb)));
    }
    found.sort_by(|a, b| (&a.chain, a.position).cmp(&(&b.chain, b.position)));
    found
}

/// How a stored entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Authentic,
    /// An authentic entry names its key, which is not at hand.
    Unjudged,
    /// Changed or forged.
    False,
}

/// All stored entries, by chain and position, each with its standing, and the keys that they name.
pub fn judged(sees: Sees) -> (Vec<(Entry, Standing)>, Ring) {
    let entries = stored(sees);
    let authentic: Vec<bool> = entries
        .iter()
        .map(|entry| {
            server::check_for_interrupts();
            entry.is_authentic()
        })
        .collect();
    let mut proven: Vec<&Entry> =
        entries.iter().zip(&authentic).filter(|(_, is)| **is).map(|(entry, _)| entry).collect();
    proven.sort_by(|a, b| in_time(a, b));
    let ring = ring::of(proven);
    let mut out_of_reach: BTreeMap<String, bool> = BTreeMap::new();
    let mut judged = Vec::with_capacity(entries.len());
    for (entry, is_authentic) in entries.into_iter().zip(authentic) {
        let standing = match is_authentic {
            true => Standing::Authentic,
            false if entry.malformed => Standing::False,
            false => {
                let id = &entry.key_id;
                let is_out = *out_of_reach.entry(id.clone()).or_insert_with(|| ring::is_out_of_reach(&ring, id));
                if is_out { Standing::Unjudged } else { Standing::False }
            }
        };
        judged.push((entry, standing));
    }
    (judged, ring)
}

fn in_time(a: &Entry, b: &Entry) -> Ordering {
    (a.at, &a.chain, a.position).cmp(&(b.at, &b.chain, b.position))
}

/// Everything in the order in which it was done, but what is false; what this transaction did last. What cannot be
/// judged counts: a key that is gone for a while does not undo what was done under it, and verification says so.
pub fn acts(sees: Sees) -> Vec<Entry> {
    let (judged, _) = judged(sees);
    acts_among(judged, sees)
}

/// The same of entries that were judged already.
pub fn acts_among(judged: Vec<(Entry, Standing)>, sees: Sees) -> Vec<Entry> {
    let mut acts: Vec<Entry> =
        judged.into_iter().filter(|(_, standing)| *standing != Standing::False).map(|(entry, _)| entry).collect();
    leave_out_what_was_brought_over(&mut acts, sees);
    acts.sort_by(in_time);
    acts.extend(queue::queued());
    acts
}

/// Everything else, in its order: forged, or written under a key that is not at hand.
pub fn unproven(sees: Sees) -> Vec<Entry> {
    let mut found = stored(sees);
    found.retain(|entry| !entry.is_authentic());
    found.sort_by(in_time);
    found
}

/// What was done on other nodes, and what other chains hold beyond what the anchors of this place took up, was done
/// elsewhere, in a copy of this database or with the same key, and does not count here.
fn leave_out_what_was_brought_over(acts: &mut Vec<Entry>, sees: Sees) {
    let nodes = Nodes::among(acts.iter(), sees);
    acts.retain(|act| !nodes.is_strange(&act.chain));
    let Some(prefix) = (!server::in_recovery()).then(plan::chain_prefix).and_then(Result::ok) else { return };
    if acts.iter().all(|act| act.chain == prefix) {
        return;
    }
    let known = anchor::state(&prefix, sees);
    if known.is_empty() || known.adopting {
        return;
    }
    acts.retain(|act| {
        identity::is_of_place(&act.chain, &prefix)
            || known.get(anchor::JOURNAL, &act.chain).is_some_and(|(position, _)| act.position <= position)
    });
}

/// The definition that the journal has of a history, with what this transaction did; `None` if it
/// does not know the history.
pub fn definition_of(history: HistoryId) -> Option<LiveDefinition> {
    journaled::histories(&acts(Sees::Stored)).remove(&history).map(|journaled| journaled.definition)
}

/// The newest authentic entry of a chain as a head, with the newest time of any chain.
fn top(chain: &str) -> Head {
    let entries = stored(Sees::Stored);
    let mut head = Head::START;
    for entry in entries.iter().rev().filter(|entry| entry.chain == chain) {
        if let Some(mac) = entry.authentic_mac() {
            head = Head { position: entry.position, mac, sealed_at: entry.at, epoch: 0 };
            break;
        }
    }
    // A time from the future is somebody's forgery, or the clock was wrong: it must not become everybody's.
    let newest = entries.iter().map(|entry| entry.at).filter(|at| *at <= clock::now()).max();
    head.sealed_at = head.sealed_at.max(newest.unwrap_or(i64::MIN));
    head
}

/// The journal's head as memory or, failing that, table and anchors have it.
pub fn head(prefix: &str) -> Option<(Slot, Head)> {
    let known = heads::reserve(JOURNAL, 0, table()?).ok()?;
    if known.valid {
        return Some((known.slot, known.head));
    }
    let mut head = top(prefix);
    let floor = anchor::floor(prefix, JOURNAL, prefix);
    let remembered = (known.head.position, known.head.mac, known.head.sealed_at);
    for (position, mac, at) in floor.into_iter().chain([remembered]) {
        if position > head.position {
            entries_are_gone(prefix, head.position, position);
            head = Head { position, mac, sealed_at: head.sealed_at.max(at), epoch: 0 };
        }
    }
    Some((known.slot, head))
}

fn entries_are_gone(chain: &str, found: u64, known: u64) {
    Report::new(PgSqlErrorCode::ERRCODE_DATA_CORRUPTED, "entries of pgseal's journal are gone")
        .detail(format!(
            "Its chain {chain} ends at position {found}, {known} were known. It goes on after {known}, so that the gap stays visible."
        ))
        .hint("Run: SELECT * FROM seal.findings().")
        .warn();
}

/// Takes the lock under which the journal is written, or its head may be reloaded.
pub fn lock(wait: bool) -> bool {
    table().is_some_and(|table| lock::acquire(ChainLock::internal(table), wait))
}

pub fn unlock() {
    if let Some(table) = table() {
        lock::release(ChainLock::internal(table));
    }
}

/// Whether this database holds nothing that it sealed or journaled itself: a copy that is just being
/// restored, or was and has not been used yet.
pub fn is_restored_copy() -> bool {
    let Ok(prefix) = plan::chain_prefix() else { return false };
    let mut anchored = false;
    anchor::visit(&prefix, Sees::Stored, |_| {
        anchored = true;
        false
    });
    !anchored
        && queue::is_empty()
        && heads::of_database().iter().all(|known| known.head.position == 0)
        && stored(Sees::Stored).iter().all(|entry| entry.chain != prefix)
        && !registry::registrations().is_empty()
}

fn entry(row: Row<'_>, jsonb: &ColumnType) -> Entry {
    let text = |index| row.get(index).map(|value| value.to_text());
    let bytes = |index| row.get(index).map(|value| value.to_bytes()).unwrap_or_default();
    let number = |index| row.get(index).map_or(0, |value| value.as_i64());
    // Only the history and its name may be NULL.
    let incomplete = (0..=12).any(|index| index != 3 && index != 6 && row.get(index).is_none());
    Entry {
        malformed: incomplete || number(8) < 1 || number(9) < 0,
        at: number(0),
        who: text(1).unwrap_or_default(),
        kind: text(2).unwrap_or_default(),
        table: text(3),
        sentence: text(4).unwrap_or_default(),
        details: tables::jsonb_text(row, 5, jsonb),
        history: row.get(6).map(|value| HistoryId(value.as_uuid())),
        chain: text(CHAIN).unwrap_or_default(),
        position: u64::try_from(number(8)).unwrap_or(0),
        anchor: u64::try_from(number(9)).unwrap_or(0),
        key_id: text(10).unwrap_or_default(),
        prev: bytes(11),
        mac: bytes(12),
    }
}
