//! Starts a worker in each database that has something to anchor, one after the other.
//!
//! A worker ends when it is done: one that stayed connected would be in the way of DROP DATABASE.
//! A commit wakes the launcher only if its database was not marked yet; otherwise it sleeps.

use super::closing::Periods;
use super::work::LONGEST_SILENCE;
use super::{runs, witness};
use crate::pg::counters;
use crate::pg::error::Report;
use crate::pg::shared_memory::{self, DatabaseSlot, Shared};
use crate::pg::{clock, worker};
use crate::settings;
use pgrx::PgSqlErrorCode;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Also without being woken, the launcher looks this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// How often databases are looked at that have nothing to seal: somebody may have restored one, which nobody tells.
const LOOK_AGAIN: Duration = Duration::from_secs(3_600);

/// How long a database waits in which not everything could be anchored: twice as long each time.
const FIRST_RETRY: Duration = Duration::from_secs(2);

/// How often it is tried to break a long silence.
const SILENT_RETRY: Duration = Duration::from_secs(60);

const NO_WORKER: &str = "no worker could be started, all of max_worker_processes are taken";

struct Visited {
    last: Instant,
    retry: Duration,
}

/// The launcher's life.
pub fn run() {
    let mut visited = BTreeMap::new();
    let mut listed = None;
    let mut periods = Periods::default();
    loop {
        runs::note_settings();
        if listed.is_none_or(|at: Instant| at.elapsed() >= LONGEST_SLEEP) {
            visit_unknown(&mut visited);
            listed = Some(Instant::now());
        }
        let mut sleep = periods.tend(|database| visit(database, &mut visited)).min(LONGEST_SLEEP);
        for slot in slots() {
            sleep = runs::tend(slot.database).unwrap_or(LONGEST_SLEEP).min(sleep);
            if witness::is_waiting(&slot) {
                witness::start(slot.database);
            }
            match due_in(&slot, visited.get(&slot.database)) {
                None => {}
                _ if worker::is_to_end() => return,
                Some(Duration::ZERO) => {
                    visit(slot.database, &mut visited);
                    // Whatever is left for this one has a time of its own.
                    sleep = Duration::ZERO;
                }
                Some(later) => sleep = sleep.min(later),
            }
        }
        if !worker::wait(sleep.max(Duration::from_millis(1))) {
            return;
        }
    }
}

fn slots() -> Vec<DatabaseSlot> {
    let mut found = Vec::new();
    shared_memory::read(|_, databases| found.extend(databases.iter().filter(|slot| slot.database != 0)));
    found
}

/// Visits databases of which nothing is known: what was sealed before the server started is in no memory, and a copy
/// of a database has histories of which nobody has told.
fn visit_unknown(visited: &mut BTreeMap<u32, Visited>) {
    let databases = worker::databases();
    visited.retain(|database, _| databases.contains(database));
    let known: Vec<u32> = slots().iter().map(|slot| slot.database).collect();
    for database in databases {
        let due = match visited.get(&database) {
            Some(visited) => !known.contains(&database) && visited.last.elapsed() >= LOOK_AGAIN,
            None => true,
        };
        if worker::is_to_end() {
            return;
        }
        if due {
            visit(database, visited);
        }
    }
}

/// Starts and looks after run workers, and says when to look again.
fn tend_runs() -> Duration {
    slots().iter().filter_map(|slot| runs::tend(slot.database)).min().unwrap_or(LONGEST_SLEEP)
}

/// How long to wait before this database is visited; `None`: there is nothing to do.
fn due_in(slot: &DatabaseSlot, visited: Option<&Visited>) -> Option<Duration> {
    let since = visited.map(|visited| visited.last.elapsed());
    let wait = |interval: Duration| since.map_or(Duration::ZERO, |since| interval.saturating_sub(since));
    let anchor = slot.dirty.then(|| wait(settings::anchor_interval()));
    let retry = slot.pending.then(|| wait(visited.map_or(FIRST_RETRY, |visited| visited.retry)));
    let witness = witness::due_in(slot).map(|due| due.max(wait(FIRST_RETRY)));
    let plan = (slot.next_run == 0).then(|| wait(settings::anchor_interval()));
    let is_silent = slot.known && slot.number > 0 && clock::now() - slot.at >= LONGEST_SILENCE;
    let silence = is_silent.then(|| wait(SILENT_RETRY));
    [anchor, retry, witness, plan, silence].into_iter().flatten().min()
}

fn visit(database: u32, visited: &mut BTreeMap<u32, Visited>) {
    if !worker::databases().contains(&database) {
        shared_memory::change_database(database, |slot| *slot = DatabaseSlot::FREE);
        counters::forget(|known| known == database);
        visited.remove(&database);
        return;
    }
    // When a worker last was done here; nothing while nothing is known of the database.
    let worked_at = || shared_memory::database(database, |slot| slot.worked_at);
    let before = worked_at();
    let called = shared_memory::database(database, |slot| slot.dirty) == Some(true);
    let started = worker::visit(database, tend_runs);
    note_start(started);
    let failed = !started || (before.is_some() && worked_at() == before);
    let pending = shared_memory::change_database(database, |slot| {
        if failed && started {
            slot.trouble.set("the worker ended before it was done");
        }
        // Not before its time comes again.
        slot.dirty &= !failed;
        slot.pending |= failed;
        if slot.pending && slot.next_run == 0 {
            // Trouble with anchors keeps nothing from being run: the run worker finds out itself what is due.
            slot.next_run = clock::now();
        }
        slot.pending
    });
    let before = visited.get(&database).map_or(FIRST_RETRY, |visited| visited.retry);
    let retry = match pending {
        Some(true) if !called || failed => (before * 2).min(LONGEST_SLEEP),
        // Commits brought us here, which says nothing about what is pending.
        Some(true) => before,
        _ => FIRST_RETRY,
    };
    visited.insert(database, Visited { last: Instant::now(), retry });
}

fn note_start(started: bool) {
    let trouble = if started { "" } else { NO_WORKER };
    let before = shared_memory::write(|Shared { launcher, .. }| {
        let before = launcher.trouble.get();
        launcher.trouble.set(trouble);
        before
    });
    if !started && before.is_empty() {
        Report::new(PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES, "pgseal cannot write anchors")
            .detail(format!("Reason: {NO_WORKER}."))
            .hint("Raise max_worker_processes in postgresql.conf and restart the server.")
            .log();
    }
}
