//! Writes closings: of a period by the anchor worker, of a key by the transaction that rotates it.

use super::content::{Content, Pin};
use super::standing::Standing;
use super::{Stored, insert, newest, newest_of_period, stream};
use crate::key::Key;
use crate::key::evolution::State;
use crate::pg::error::{OrRaise, Report};
use crate::pg::snapshot::Sees;
use crate::pg::{relation, spi};
use crate::record::journal;
use crate::record::registry::Registration;
use crate::seal::newest_anchor;
use crate::seal::plan;
use pgrx::PgSqlErrorCode;
use pgseal_chain::{ClosingKind, HistoryId, JOURNAL, Period, RecordKey};
use std::collections::BTreeMap;

/// What the writing of a period's records came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Everything that belongs there is there now.
    All,
    /// A table is locked, or the journal has no place in memory: to be tried again.
    Later,
    /// This database was brought here from another place since the stream began, or it was there before the stream and
    /// has nothing of it.
    NeedsStream,
}

/// A subject's next record.
struct Next<'a> {
    subject: HistoryId,
    what: ClosingKind,
    period: Option<Period>,
    key_id: &'a str,
    key: &'a RecordKey,
    before: Option<&'a Stored>,
    chains: BTreeMap<String, Pin>,
}

impl Next<'_> {
    fn write(self, moment: &Standing) -> Stored {
        let (position, mac, _) = moment.journal;
        let anchor = moment.anchor;
        let content = Content {
            what: self.what,
            key_id: self.key_id.to_owned(),
            period: self.period,
            place: moment.prefix.clone(),
            closed: if anchor.number > 0 { anchor.at } else { 0 },
            chains: self.chains,
            journal: (position > 0).then(|| (moment.prefix.clone(), position, mac)),
            anchor: (anchor.number > 0).then(|| (moment.prefix.clone(), anchor.number, anchor.mac)),
            previous: self.before.map(Stored::digest),
        };
        let mut record = Stored {
            subject: self.subject,
            number: self.before.map_or(1, |before| before.number.saturating_add(1)),
            record: spi::jsonb_text(&content.to_json()),
            mac: Vec::new(),
        };
        record.mac = record.expected_mac(self.key).to_vec();
        insert(&record);
        record
    }
}

fn chains_of(before: Option<&Stored>) -> BTreeMap<String, Pin> {
    before.and_then(Stored::content).map(|content| content.chains).unwrap_or_default()
}

/// How late a transaction may have ended whose journal entry is of the period before.
pub const LATE: i64 = 3_600_000_000;

/// Writes the openings that are missing and, where the period in force has ended, its closings: for the journal and
/// every attached history. In the current transaction, which is the anchor worker's.
///
/// # Errors
///
/// A sentence on what is in the way.
pub fn write_period(state: &State, has_ended: bool) -> Result<Written, String> {
    let prefix = plan::chain_prefix().map_err(|error| error.to_string())?;
    let anchor = newest_anchor::newest(&prefix).map_err(|error| error.to_string())?;
    if needs_stream(state, &prefix) {
        return Ok(Written::NeedsStream);
    }
    let Some(standing) = Standing::take(&prefix, anchor) else { return Ok(Written::Later) };
    stream::journal(state, &prefix);
    let subjects = std::iter::once((JOURNAL, None)).chain(standing.attached.iter().map(|row| (row.history, Some(row))));
    for (subject, registration) in subjects {
        if !write_subject(state, has_ended, &standing, subject, registration) {
            return Ok(Written::Later);
        }
    }
    Ok(Written::All)
}

/// `false` while somebody has locked the table.
fn write_subject(
    state: &State,
    has_ended: bool,
    standing: &Standing,
    subject: HistoryId,
    registration: Option<&Registration>,
) -> bool {
    let key = state.secret.closing_key(subject);
    let written = newest_of_period(subject);
    let reached = written.as_ref().and_then(Stored::content).and_then(|content| {
        let period = content.of_stream(&state.stream.id)?;
        Some((content.what, period.number))
    });
    let is_closed = reached == Some((ClosingKind::Closing, state.period))
        && written.is_some_and(|record| record.is_authentic(&key));
    let kinds: Vec<ClosingKind> =
        [(reached.is_none(), ClosingKind::Opening), (has_ended && !is_closed, ClosingKind::Closing)]
            .into_iter()
            .filter_map(|(wanted, kind)| wanted.then_some(kind))
            .collect();
    let mut before = if kinds.is_empty() { None } else { newest(subject) };
    for what in kinds {
        let former = chains_of(before.as_ref());
        let chains = match registration {
            None => Some(standing.of_journal(&former)),
            Some(row) => standing.of_history(row, &former),
        };
        let Some(chains) = chains else { return false };
        let period = state.in_force();
        let key_id = &state.stream.key_id;
        let next = Next { subject, what, period: Some(period), key_id, key: &key, before: before.as_ref(), chains };
        before = Some(next.write(standing));
    }
    true
}

/// Whether this database was brought here since the stream began: what was closed in another place, or not at all, is
/// nothing that this stream could go on from.
fn needs_stream(state: &State, prefix: &str) -> bool {
    let begun = newest_of_period(JOURNAL).as_ref().and_then(Stored::content);
    match begun.filter(|content| content.of_stream(&state.stream.id).is_some()) {
        Some(content) => content.place != prefix,
        None if state.period == state.stream.first => false,
        None if newest_of_period(JOURNAL).is_some() => true,
        None => {
            let first = journal::stored(Sees::Stored).iter().map(|entry| entry.at).min();
            first.is_some_and(|at| at < state.stream.kind.start(state.period) - LATE)
        }
    }
}

/// Writes what a rotation of the key leaves behind, for the journal and every attached history, in the current
/// transaction and under the key that ends. Call before anything is written under the new key; the caller holds the
/// tables' locks. Raises where a table is locked by somebody else.
pub fn write_rotation(ends: &Key) {
    let prefix = plan::chain_prefix().or_raise();
    let anchor = newest_anchor::newest(&prefix).or_raise();
    let Some(moment) = Standing::take(&prefix, anchor) else {
        Report::new(
            PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
            "pgseal's shared memory has no room for the journal",
        )
        .hint("Raise pgseal.max_heads in postgresql.conf and restart the server.")
        .raise()
    };
    let write = |subject: HistoryId, registration: Option<&Registration>| {
        let before = newest(subject);
        let chains = match registration {
            None => moment.of_journal(&chains_of(before.as_ref())),
            Some(row) => moment.of_history(row, &chains_of(before.as_ref())).unwrap_or_else(|| locked(row)),
        };
        let period = before.as_ref().and_then(Stored::content).and_then(|content| in_force(&content));
        let key = ends.keys(subject).record_key();
        let what = ClosingKind::Rotation;
        Next { subject, what, period, key_id: &ends.id, key: &key, before: before.as_ref(), chains }.write(&moment);
    };
    write(JOURNAL, None);
    moment.attached.iter().for_each(|row| write(row.history, Some(row)));
}

/// The period that comes after what a record closes.
fn in_force(content: &Content) -> Option<Period> {
    let step = u32::from(content.what == ClosingKind::Closing);
    content.period.map(|period| Period { number: period.number.saturating_add(step), ..period })
}

fn locked(row: &Registration) -> ! {
    let table = relation::name_of(row.relation);
    Report::new(PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE, format!("the chains of {table} cannot be closed now"))
        .detail("Another transaction has locked the table, or an index of pgseal's on it is missing.")
        .hint("Repeat it when that transaction has ended; see SELECT * FROM seal.check_setup() WHERE NOT ok.")
        .raise()
}
