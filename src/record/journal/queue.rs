//! What this transaction did and has not committed: queued, and written right before the commit.

use super::{Act, Entry, head, lock, table};
use crate::key::{self, Key, KeyFault};
use crate::pg::error::{OrRaise, Report};
use crate::pg::settings::PinnedPath;
use crate::pg::shared_memory::{self, DatabaseSlot};
use crate::pg::transaction::Level;
use crate::pg::{clock, server, snapshot, spi, transaction, user};
use crate::record::definition;
use crate::seal::heads::{self, Head, Slot};
use crate::seal::{newest_anchor, plan};
use pgrx::PgSqlErrorCode;
use pgseal_chain::{HistoryId, JOURNAL};
use serde_json::Value;
use std::borrow::Cow;
use std::cell::RefCell;

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
    if let Some(fault) = obstacle() {
        Report::from(fault).raise();
    }
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
    definition::key_in_force().err()
}

/// What this transaction did and has not committed, as entries without place and mac.
pub(super) fn queued() -> Vec<Entry> {
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

/// Whether this transaction did nothing that is still to be written.
pub(super) fn is_empty() -> bool {
    QUEUE.with_borrow(|queue| queue.notes.is_empty())
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
    let in_force = definition::key_in_force().or_raise();
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
            let key = signing_key(&note, &in_force).or_raise();
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
                key_id: key.id.clone(),
                prev: head.mac.to_vec(),
                mac: Vec::new(),
                malformed: false,
            };
            let mac = entry.expected_mac(&key.keys(JOURNAL).record_key());
            entry.mac = mac.to_vec();
            insert(&entry);
            head = Head { position: entry.position, mac, sealed_at: at, epoch: 0 };
        }
    });
    QUEUE.with_borrow_mut(|queue| queue.written = Some((slot, head)));
}

/// That a key follows another one is signed with the other one.
fn signing_key<'a>(note: &Note, in_force: &'a Key) -> Result<Cow<'a, Key>, KeyFault> {
    match note.details["before"].as_str().filter(|_| note.act == Act::Key) {
        Some(id) => key::by_id(id).map(Cow::Owned),
        None => Ok(Cow::Borrowed(in_force)),
    }
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
    spi::execute(&format!(
        "INSERT INTO seal.journal (at, who, kind, history, sentence, details, history_id, chain, seq, anchor, key, prev, mac)
         VALUES ({}, {}, {}, {}, {}, {}::pg_catalog.jsonb, {}, {}, {}, {}, {}, {}, {})",
        spi::time_literal(entry.at),
        spi::literal(&entry.who),
        spi::literal(&entry.kind),
        spi::or_null(entry.table.as_deref(), spi::literal),
        spi::literal(&entry.sentence),
        spi::literal(&entry.details),
        spi::or_null(entry.history, |history| spi::uuid_literal(&history.0)),
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
    if !is_empty() {
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
