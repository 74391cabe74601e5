//! Frequent checks: what was sealed since the newest checkpoint of each history, every
//! `pgseal.checkpoint_interval`. What is intact leaves no trace but the time; what is not becomes a recorded
//! run with its alarm, once.

use super::alarm;
use crate::alert::AlarmKind;
use crate::pg::shared_memory::{self, DatabaseSlot};
use crate::pg::{clock, relation, server, worker};
use crate::prune;
use crate::record::definition;
use crate::record::registry;
use crate::settings;
use pgseal_chain::HistoryId;

/// When the next check is due, µs since 2000-01-01 UTC; `i64::MAX`: never.
pub fn due(slot: &DatabaseSlot, now: i64) -> i64 {
    let Some(interval) = settings::checkpoint_interval() else { return i64::MAX };
    let interval = interval.as_micros() as i64;
    // A check from the future was made before the clock was set right.
    let last = Some(slot.checked_at).filter(|at| *at <= now).unwrap_or(0);
    if last == 0 { now } else { last + interval }
}

/// Checks every attached history of the database, if it is time.
pub fn work() {
    let now = clock::now();
    let is_due = shared_memory::database(server::database(), |slot| due(slot, now) <= now);
    if is_due != Some(true) {
        return;
    }
    let mut trouble = None;
    for (history, table) in worker::attempt(attached).unwrap_or_default() {
        worker::announce(&format!("check of {table}"));
        if let Err(message) = worker::attempt(|| prune::run::verify_since(history)) {
            trouble = Some((table, message));
        }
    }
    let before = shared_memory::change_database(server::database(), |slot| {
        slot.checked_at = now;
        std::mem::replace(&mut slot.check_failed, trouble.is_some())
    });
    if let Some((table, message)) = trouble.filter(|_| before == Some(false)) {
        let sentence = format!("the check of {table} since its checkpoint failed: {message}");
        if worker::attempt(|| alarm::raise(AlarmKind::Failed, &table, &sentence)).is_err() {
            alarm::log(Some(&table), &sentence);
        }
    }
}

/// With the names of their tables.
fn attached() -> Vec<(HistoryId, String)> {
    let registrations = registry::registrations().into_iter();
    let attached = registrations.filter(definition::is_to_be_verified);
    attached.map(|row| (row.history, relation::name_of(row.relation))).collect()
}
