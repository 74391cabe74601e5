//! The journal: what administrators did, in a sealed chain of its own.
//!
//! Entries are queued in the transaction and written right before it commits, under the journal's
//! lock, which is taken last: a transaction that administers for an hour keeps nobody waiting. The
//! journal is the truth about settings; `seal.history` and `seal.epoch` are its cache.

use super::anchor;
use super::journaled;
use super::live::LiveDefinition;
use super::registry;
use super::tables::Table;
use crate::key::{self, KeyFault};
use crate::pg::error::{OrRaise, Report};
use crate::pg::index::Sees;
use crate::pg::lock::{self, ChainLock};
use crate::pg::row::Row;
use crate::pg::settings::PinnedPath;
use crate::pg::shared_memory::{self, DatabaseSlot};
use crate::pg::transaction::Level;
use crate::pg::value::{ColumnType, TypeOid};
use crate::pg::{clock, scan, server, snapshot, spi, transaction, user};
use crate::record::identity::{self, uuid_text};
use crate::seal::heads::{self, Head, Slot};
use crate::seal::{newest_anchor, plan};
use pgrx::PgSqlErrorCode;
use pgseal_chain::{HistoryId, JOURNAL, JournalEntry, Mac, RecordKey};
use serde_json::Value;
use std::cell::RefCell;

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
    /// A history got a schedule of its own, or follows `pgseal.schedule` again.
    Schedule,
}

impl Act {
    pub fn as_str(self) -> &'static str {
        match self {
            Act::Attach => "attach",
            Act::Epoch => "epoch",
            Act::Detach => "detach",
            Act::Definition => "definition",
            Act::Acknowledge => "acknowledge",
            Act::Schedule => "schedule",
        }
    }
}

/// An entry that is still to be written.
#[derive(Debug, Clone)]
pub struct Note {
    pub act: Act,
    pub history: Option<HistoryId>,
    /// Name of the history's table.
    pub table: Option<String>,
    pub sentence: String,
    pub details: Value,
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
        let key = key::by_id(&self.key_id).ok().filter(|_| !self.malformed)?.of_internal_chain(JOURNAL);
        Some(self.expected_mac(&key)).filter(|expected| self.mac == expected)
    }

    pub fn is_authentic(&self) -> bool {
        self.authentic_mac().is_some()
    }

    pub fn details(&self) -> Value {
        serde_json::from_str(&self.details).unwrap_or(Value::Null)
    }
}

struct Queued {
    level: Level,
    /// µs since 2000-01-01 UTC.
    at: i64,
    who: String,
    note: Note,
}

#[derive(Default)]
struct Queue {
    notes: Vec<Queued>,
    /// The journal's head once this transaction commits.
    written: Option<(Slot, Head)>,
    closed: bool,
}

thread_local! {
    static QUEUE: RefCell<Queue> = RefCell::default();
}

/// Queues an entry; it is written when the transaction commits, and with it. Raises where that could
/// not be: without a key, or when the transaction is already ending.
pub fn note(note: Note) {
    key::current().or_raise();
    let who = spi::value(spi::execute("SELECT pg_catalog.session_user()")).unwrap_or_default();
    let level = transaction::level();
    let closed = QUEUE.with_borrow_mut(|queue| {
        if !queue.closed {
            queue.notes.push(Queued { level, at: clock::now(), who, note });
        }
        queue.closed
    });
    if closed {
        Report::new(
            PgSqlErrorCode::ERRCODE_ACTIVE_SQL_TRANSACTION,
            "a history cannot be administered while its transaction commits",
        )
        .hint("Do it before COMMIT.")
        .raise();
    }
}

/// Why nothing can be journaled now.
pub fn obstacle() -> Option<KeyFault> {
    key::current().err()
}

/// What this transaction did and has not committed, as entries without place and mac.
fn queued() -> Vec<Entry> {
    QUEUE.with_borrow(|queue| {
        queue
            .notes
            .iter()
            .map(|queued| Entry {
                chain: String::new(),
                position: 0,
                at: queued.at,
                who: queued.who.clone(),
                kind: queued.note.act.as_str().to_owned(),
                history: queued.note.history,
                table: queued.note.table.clone(),
                sentence: queued.note.sentence.clone(),
                details: queued.note.details.to_string(),
                anchor: 0,
                key_id: String::new(),
                prev: Vec::new(),
                mac: Vec::new(),
                malformed: false,
            })
            .collect()
    })
}

/// Whether this transaction did something to this history that is not committed yet.
pub fn is_queued(history: HistoryId) -> bool {
    QUEUE.with_borrow(|queue| queue.notes.iter().any(|queued| queued.note.history == Some(history)))
}

/// Oid of `seal.journal`, if the extension is installed in this database.
pub fn table() -> Option<u32> {
    Table::Journal.oid()
}

pub fn has_primary_key() -> bool {
    Table::Journal.open().is_some_and(|open| open.unique_index([c"chain", c"seq"]).is_some())
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

/// Everything authentic in the order in which it was done, what this transaction did last.
pub fn acts(sees: Sees) -> Vec<Entry> {
    let mut acts: Vec<Entry> = stored(sees).into_iter().filter(Entry::is_authentic).collect();
    leave_out_what_was_brought_over(&mut acts, sees);
    acts.sort_by(|a, b| (a.at, &a.chain, a.position).cmp(&(b.at, &b.chain, b.position)));
    acts.extend(queued());
    acts
}

/// What other chains hold beyond what the anchors of this place took up was done elsewhere, in a
/// copy of this database or with the same key, and does not count here.
fn leave_out_what_was_brought_over(acts: &mut Vec<Entry>, sees: Sees) {
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

/// Writes what was queued. Runs right before the commit, after everything else that can fail.
pub fn write_queued() {
    let notes = QUEUE.with_borrow_mut(|queue| {
        queue.closed = true;
        std::mem::take(&mut queue.notes)
    });
    // Without a table the extension was dropped in this very transaction.
    if notes.is_empty() || table().is_none() {
        return;
    }
    let _path = PinnedPath::pin();
    // The statement's snapshot is gone by now.
    snapshot::with_fresh(|| write(notes));
}

fn write(notes: Vec<Queued>) {
    let prefix = plan::chain_prefix().or_raise();
    let key = key::current().or_raise();
    let record_key = key.of_internal_chain(JOURNAL);
    lock(true);
    let newest = newest_anchor::newest(&prefix).or_raise();
    let Some((slot, mut head)) = head(&prefix) else {
        Report::new(
            PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
            "pgseal's shared memory has no room for the journal",
        )
        .hint("Raise pgseal.max_heads in postgresql.conf and restart the server.")
        .raise()
    };
    user::with_rights_of(user::extension_owner(), || {
        for Queued { who, note, .. } in notes {
            let at = clock::now().max(head.sealed_at).max(newest.at);
            let mut entry = Entry {
                chain: prefix.clone(),
                position: free_position(&prefix, head.position),
                at,
                who,
                kind: note.act.as_str().to_owned(),
                history: note.history,
                table: note.table,
                sentence: note.sentence,
                details: spi::jsonb_text(&note.details),
                anchor: newest.number,
                key_id: key.id.to_owned(),
                prev: head.mac.to_vec(),
                mac: Vec::new(),
                malformed: false,
            };
            let mac = entry.expected_mac(&record_key);
            entry.mac = mac.to_vec();
            insert(&entry);
            head = Head { position: entry.position, mac, sealed_at: at, epoch: 0 };
        }
    });
    QUEUE.with_borrow_mut(|queue| queue.written = Some((slot, head)));
}

/// The first position above this one where no row stands; one that stands there is a forgery, which
/// verification names.
fn free_position(chain: &str, above: u64) -> u64 {
    let rows = spi::execute(&format!(
        "SELECT place FROM pg_catalog.generate_series({above} + 1, {above} + 1 +
                (SELECT pg_catalog.count(*) FROM seal.journal WHERE chain = {chain} AND seq > {above})) AS place
          WHERE NOT EXISTS (SELECT FROM seal.journal WHERE chain = {chain} AND seq = place) ORDER BY 1 LIMIT 1",
        chain = spi::literal(chain)
    ));
    let free = spi::value(rows).and_then(|place| place.parse().ok()).unwrap_or(above + 1);
    if free != above + 1 {
        Report::new(PgSqlErrorCode::ERRCODE_DATA_CORRUPTED, "a foreign row stands in pgseal's journal")
            .detail(format!("It has position {} of chain {chain}. The journal goes on after it.", above + 1))
            .hint("Run: SELECT * FROM seal.findings().")
            .log();
    }
    free
}

fn insert(entry: &Entry) {
    let text = |text: &Option<String>| text.as_deref().map_or("NULL".to_owned(), spi::literal);
    spi::execute(&format!(
        "INSERT INTO seal.journal (at, who, kind, history, sentence, details, history_id, chain, seq, anchor, key, prev, mac)
         VALUES ({}, {}, {}, {}, {}, {}::pg_catalog.jsonb, {}, {}, {}, {}, {}, {}, {})",
        spi::time_literal(entry.at),
        spi::literal(&entry.who),
        spi::literal(&entry.kind),
        text(&entry.table),
        spi::literal(&entry.sentence),
        spi::literal(&entry.details),
        entry.history.map_or("NULL".to_owned(), |history| format!("'{}'::pg_catalog.uuid", uuid_text(&history.0))),
        spi::literal(&entry.chain),
        entry.position,
        entry.anchor,
        spi::literal(&entry.key_id),
        spi::bytea_literal(&entry.prev),
        spi::bytea_literal(&entry.mac),
    ));
}

/// Refuses PREPARE TRANSACTION of what would have to be journaled.
pub fn refuse_prepare() {
    if QUEUE.with_borrow(|queue| !queue.notes.is_empty()) {
        Report::new(
            PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
            "cannot PREPARE a transaction that administered a history",
        )
        .detail("What it did is journaled when it commits, which a prepared transaction does in another session.")
        .hint("End it with COMMIT.")
        .raise();
    }
}

/// The transaction ended; nothing in here may fail. Says whether the launcher is to be woken.
pub fn transaction_ended(committed: bool) -> bool {
    let mut wake = false;
    let _ = QUEUE.try_with(|queue| {
        if let Ok(mut queue) = queue.try_borrow_mut() {
            if let Some((slot, head)) = queue.written.filter(|_| committed) {
                wake = heads::publish(slot, &head);
                shared_memory::change_database(server::database(), DatabaseSlot::plan_again);
            }
            *queue = Queue::default();
        }
    });
    wake
}

pub fn savepoint_released(level: Level, parent: Level) {
    QUEUE.with_borrow_mut(|queue| {
        queue.notes.iter_mut().filter(|queued| queued.level == level).for_each(|queued| queued.level = parent);
    });
}

pub fn savepoint_rolled_back(level: Level) {
    QUEUE.with_borrow_mut(|queue| queue.notes.retain(|queued| queued.level < level));
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
        && QUEUE.with_borrow(|queue| queue.notes.is_empty())
        && heads::of_database().iter().all(|known| known.head.position == 0)
        && stored(Sees::Stored).iter().all(|entry| entry.chain != prefix)
        && !registry::registrations().is_empty()
}

fn entry(row: Row<'_>, jsonb: &ColumnType) -> Entry {
    let text = |index| row.get(index).map(|value| value.to_text());
    let bytes = |index| row.get(index).map(|value| value.to_bytes()).unwrap_or_default();
    let number = |index| row.get(index).map_or(0, |value| value.as_i64());
    let mut details = Vec::new();
    if let Some(value) = row.get(5) {
        // A damaged value leaves an unfinished text, whose mac does not fit.
        let _ = jsonb.write_json(value, &mut details);
    }
    // Only the history and its name may be NULL.
    let incomplete = (0..=12).any(|index| index != 3 && index != 6 && row.get(index).is_none());
    Entry {
        malformed: incomplete || number(8) < 1 || number(9) < 0,
        at: number(0),
        who: text(1).unwrap_or_default(),
        kind: text(2).unwrap_or_default(),
        table: text(3),
        sentence: text(4).unwrap_or_default(),
        details: String::from_utf8_lossy(&details).into_owned(),
        history: row.get(6).map(|value| HistoryId(value.as_uuid())),
        chain: text(7).unwrap_or_default(),
        position: u64::try_from(number(8)).unwrap_or(0),
        anchor: u64::try_from(number(9)).unwrap_or(0),
        key_id: text(10).unwrap_or_default(),
        prev: bytes(11),
        mac: bytes(12),
    }
}
