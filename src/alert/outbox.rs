//! The table seal.alert: alarms that are to be sent, and the record of those that were.
//!
//! A row is claimed before it is sent: its next attempt moves into the future in a transaction of its
//! own, so that two processes never send it at once, and one that dies while sending leaves it due
//! again later. So an alarm is sent at least once; in the worst case twice.

use super::message::Message;
use super::{Alarm, Way};
use crate::pg::settings::PinnedPath;
use crate::pg::{scan, spi, user};
use crate::settings;

/// An alarm is tried for so long.
const GIVE_UP_AFTER: &str = "7 days";
/// The longest time between two attempts.
const LONGEST_WAIT_MS: u64 = 3_600_000;

/// Whoever has not recorded an outcome after so long has died: longer than any attempt takes.
const CLAIMED_FOR: &str = "5 minutes";

/// The condition for a row that is due at a time, an SQL expression. One that waits for longer than any does was put off
/// by a clock that was ahead.
fn is_due(at: &str) -> String {
    format!("(next_attempt <= {at} OR next_attempt > {at} + interval '2 hours')")
}

/// What is to be sent now.
pub struct Due {
    pub id: i64,
    pub way: Way,
    pub message: Message,
}

/// With the rights of the extension's owner, to whom the table belongs, and with names and operators of
/// pg_catalog.
fn as_owner<R>(work: impl FnOnce() -> R) -> R {
    let _pinned = PinnedPath::pin();
    user::with_rights_of(user::extension_owner(), work)
}

/// Notes an alarm for one way, due at once; one for the log alone is only a record. Its id.
pub fn add(alarm: &Alarm, way: Way, message: &Message) -> Option<i64> {
    let sent = if way == Way::Log { "clock_timestamp()" } else { "NULL" };
    let next = if way == Way::Log { "NULL" } else { "clock_timestamp()" };
    as_owner(|| {
        spi::value(spi::execute(&format!(
            "INSERT INTO seal.alert (at, kind, history, run, way, subject, text, attempts, next_attempt, sent_at)
             VALUES (clock_timestamp(), {}, {}, {}, {}, {}, {}, 0, {next}, {sent}) RETURNING id",
            spi::literal(alarm.kind.as_str()),
            spi::or_null(alarm.history.as_deref(), spi::literal),
            spi::or_null(alarm.run, |run| run.to_string()),
            spi::literal(way.as_str()),
            spi::literal(&message.subject),
            spi::literal(&message.text),
        )))
    })
    .and_then(|id| id.parse().ok())
}

/// Whether this database has an outbox.
pub fn exists() -> bool {
    scan::seal_table(c"alert").is_some()
}

/// When the outbox wants to be looked at again, in µs since 2000-01-01 UTC; inside a transaction.
/// `None`: nothing waits.
pub fn next_attempt() -> Option<i64> {
    if !exists() {
        return None;
    }
    let query = format!(
        "SELECT (extract(epoch FROM min(CASE WHEN {} THEN least(next_attempt, clock_timestamp()) ELSE next_attempt END)
                                    - timestamptz '2000-01-01 00:00:00+00') * 1000000)::bigint
           FROM seal.alert WHERE next_attempt IS NOT NULL",
        is_due("clock_timestamp()")
    );
    as_owner(|| spi::value(spi::read(&query))).and_then(|micros| micros.parse().ok())
}

/// How long a row waits after so many attempts, an SQL expression: twice as long each time.
fn wait_after(attempts: &str) -> String {
    let step = settings::alert::retry_interval().as_millis();
    format!("interval '1 millisecond' * least({step} * power(2, least({attempts} - 1, 20)), {LONGEST_WAIT_MS})")
}

/// Claims the row that has waited longest, of those that were tried least and are due at `now` (µs since
/// 2000-01-01 UTC); inside a transaction. Until its outcome is recorded, nobody else tries it.
pub fn claim(now: i64) -> Option<Due> {
    let mut rows = as_owner(|| {
        spi::execute(&format!(
            "UPDATE seal.alert SET attempts = attempts + 1, next_attempt = clock_timestamp() + interval '{CLAIMED_FOR}'
              WHERE id = (SELECT id FROM seal.alert WHERE {}
                           ORDER BY attempts, next_attempt, id LIMIT 1 FOR UPDATE SKIP LOCKED)
             RETURNING id, way, subject, text",
            is_due(&spi::time_literal(now))
        ))
    });
    let mut row = rows.pop()?.into_iter();
    let mut next = || row.next().flatten().unwrap_or_default();
    let (id, way) = (next().parse().ok()?, Way::named(&next())?);
    Some(Due { id, way, message: Message { subject: next(), text: next() } })
}

/// Records that a row was sent, what was answered, and what was wrong all the same.
pub fn sent(id: i64, answer: &str, remark: Option<&str>) {
    as_owner(|| {
        spi::execute(&format!(
            "UPDATE seal.alert SET sent_at = clock_timestamp(), next_attempt = NULL, answer = {}, last_error = {}
              WHERE id = {id}",
            spi::literal(answer),
            spi::or_null(remark, spi::literal)
        ))
    });
}

/// Records that a row could not be sent; whether it was tried for the last time. What else is due the
/// same way waits a step, too: one attempt tells enough of a server that is down.
pub fn failed(due: &Due, error: &str) -> bool {
    let Due { id, way, .. } = due;
    as_owner(|| {
        spi::execute(&format!(
            "UPDATE seal.alert SET next_attempt = clock_timestamp() + {}
              WHERE id IN (SELECT id FROM seal.alert WHERE way = {} AND next_attempt <= clock_timestamp()
                              FOR UPDATE SKIP LOCKED)",
            wait_after("1"),
            spi::literal(way.as_str())
        ));
        let given_up = spi::value(spi::execute(&format!(
            "UPDATE seal.alert
                SET last_error = {},
                    given_up_at = CASE WHEN is_last THEN clock_timestamp() END,
                    next_attempt = CASE WHEN NOT is_last THEN clock_timestamp() + {} END
               FROM (SELECT at < clock_timestamp() - interval '{GIVE_UP_AFTER}' AS is_last
                       FROM seal.alert WHERE id = {id}) AS age
              WHERE id = {id} RETURNING is_last",
            spi::literal(error),
            wait_after("attempts")
        )));
        given_up.as_deref() == Some("t")
    })
}

/// Records an attempt that will not be repeated.
pub fn tried_once(id: i64, outcome: &Result<super::deliver::Delivered, String>) {
    as_owner(|| spi::execute(&format!("UPDATE seal.alert SET attempts = 1 WHERE id = {id}")));
    match outcome {
        Ok(delivered) => sent(id, &delivered.answer, delivered.remark.as_deref()),
        Err(error) => {
            as_owner(|| {
                spi::execute(&format!(
                    "UPDATE seal.alert SET last_error = {}, given_up_at = clock_timestamp(), next_attempt = NULL
                      WHERE id = {id}",
                    spi::literal(error)
                ))
            });
        }
    }
}
