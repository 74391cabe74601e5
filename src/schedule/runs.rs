//! What the launcher does for run workers: starts them in time, and ends one that is in somebody's way.

use super::alarm;
use super::plan::{LONGEST_RETRY, TOLERANCE};
use crate::pg::error::Report;
use crate::pg::shared_memory::{self, DatabaseSlot, Shared};
use crate::pg::{clock, worker};
use crate::settings;
use pgrx::PgSqlErrorCode;
use std::time::Duration;

/// How often the launcher looks after a run worker: whoever wants its database for himself waits five seconds.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How soon a database is looked at again that somebody wants for himself, µs.
const WANTED_RETRY: i64 = 1_000_000;
/// How soon a run is tried again that made way, µs.
const GIVEN_WAY_RETRY: i64 = 60_000_000;
/// How soon another worker is tried where none could be started, µs.
const NO_WORKER_RETRY: i64 = 5_000_000;
/// A worker that has not shown up after this long never will, µs.
const LOST_AFTER: i64 = 30_000_000;

const NO_WORKER: &str = "no worker could be started for a scheduled run: raise max_worker_processes";

/// Starts a run worker if it is time, looks after one that is there, and says when to look again; `None`: not for
/// a long time.
pub fn tend(database: u32) -> Option<Duration> {
    // As it is now: while one database is visited, the others are tended, too.
    let now = clock::now();
    let slot = shared_memory::change_database(database, |slot| {
        forget_the_future(slot, now);
        *slot
    })?;
    if slot.run_pid != 0 {
        if slot.running_since != 0 && worker::is_database_wanted(slot.database) {
            end(&slot);
        }
        return Some(LOOK_EVERY);
    }
    if slot.running_since != 0 {
        if now.saturating_sub(slot.running_since).abs() > LOST_AFTER {
            shared_memory::change_database(slot.database, |slot| slot.running_since = 0);
        }
        return Some(LOOK_EVERY);
    }
    let due = match slot.next_run.min(slot.next_alarm).min(slot.next_check) {
        0 | i64::MAX => return None,
        next => next.max(slot.run_not_before),
    };
    if due <= now {
        start(slot.database, now);
        return Some(LOOK_EVERY);
    }
    Some(Duration::from_micros((due - now) as u64))
}

/// A clock that was ahead and was set right must not keep anything waiting until it is as late again.
fn forget_the_future(slot: &mut DatabaseSlot, now: i64) {
    if slot.planned_at > now + TOLERANCE {
        slot.planned_at = 0;
        slot.plan_again();
    }
    if slot.run_not_before > now + LONGEST_RETRY {
        slot.run_not_before = 0;
    }
}

fn start(database: u32, now: i64) {
    if !worker::databases().contains(&database) {
        shared_memory::change_database(database, |slot| *slot = DatabaseSlot::FREE);
        return;
    }
    if worker::is_database_wanted(database) {
        shared_memory::change_database(database, |slot| slot.run_not_before = now + WANTED_RETRY);
        return;
    }
    shared_memory::change_database(database, |slot| slot.running_since = now);
    if worker::start_run(database) {
        return;
    }
    let known = shared_memory::change_database(database, |slot| {
        let known = slot.run_trouble.get() == NO_WORKER;
        slot.running_since = 0;
        slot.run_not_before = now + NO_WORKER_RETRY;
        slot.run_trouble.set(NO_WORKER);
        known
    });
    if known == Some(false) {
        alarm::log(None, NO_WORKER);
    }
}

fn end(slot: &DatabaseSlot) {
    let again = clock::now() + GIVEN_WAY_RETRY;
    shared_memory::change_database(slot.database, |slot| {
        slot.run_not_before = again;
        slot.running = [0; 16];
    });
    worker::end(slot.run_pid);
    Report::new(PgSqlErrorCode::ERRCODE_OBJECT_IN_USE, "a scheduled run makes way")
        .detail(format!("Somebody wants to drop, copy or move the database with oid {}.", slot.database))
        .hint(format!("It is tried again at {}.", clock::text(again)))
        .log();
}

/// Has everything planned anew if the settings have another schedule than before, or another interval of checks.
pub fn note_settings() {
    let schedule = settings::schedule().unwrap_or_default();
    let known = format!("{schedule} in {}", settings::schedule_zone().name());
    let check_interval = settings::checkpoint_interval().map_or(0, |interval| interval.as_micros() as i64);
    let launcher = shared_memory::read_launcher();
    let before = launcher.schedule.get();
    if before == known && launcher.check_interval == check_interval {
        return;
    }
    shared_memory::write(|Shared { launcher, databases, .. }| {
        launcher.schedule.set(&known);
        launcher.check_interval = check_interval;
        if !before.is_empty() && before != known {
            launcher.scheduled_since = clock::now();
        }
        databases.iter_mut().filter(|slot| slot.database != 0).for_each(DatabaseSlot::plan_again);
    });
}
