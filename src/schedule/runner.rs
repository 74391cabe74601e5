//! The run worker's life: each history that is due is verified on record and pruned, one after the other.
//!
//! It is connected to the database and ends when it is done. An ERROR ends the run of one history; SIGTERM ends the
//! worker at once.

use super::alarm;
use super::plan::{self, Due, LONGEST_RETRY, Plan};
use super::{check, exclusive, session};
use crate::alert::{self, AlarmKind};
use crate::pg::shared_memory::{self, DatabaseSlot};
use crate::pg::{clock, server, spi, worker};
use crate::prune::{self, run::Recorded};
use pgseal_chain::HistoryId;

/// How long a lock is waited for: a table that somebody keeps locked does not keep other histories waiting for ever.
const LOCK_TIMEOUT: &str = "SELECT pg_catalog.set_config('lock_timeout', '5min', false)";

/// How long a history waits that somebody else runs, µs.
const BUSY_RETRY: i64 = 5_000_000;

/// How long a history waits whose run failed, µs: twice as long each time.
const FIRST_RETRY: i64 = 60_000_000;

/// Why a run could not be made for long.
const BUSY: &str = "somebody else is running it, and its time is more than an hour ago";

/// How a run ended.
enum Ended {
    Done,
    Busy,
    Failed(String),
    /// It was verified and recorded, but what should go could not be deleted.
    Unpruned(String),
}

/// Runs what is due.
pub fn work() {
    let prepared = session::prepare()
        .and_then(|()| worker::attempt(|| spi::execute(LOCK_TIMEOUT)))
        .and_then(|_| worker::attempt(Plan::make));
    let outcome = prepared.and_then(|plan| {
        let trouble = run_all(plan.due);
        check::work();
        worker::announce("alarms");
        alert::deliver(&server::is_interrupted);
        worker::reload_configuration();
        worker::attempt(Plan::make).map(|plan| {
            plan.publish();
            trouble
        })
    });
    let trouble = match outcome {
        Ok(trouble) => trouble,
        Err(message) => {
            not_planned(&message);
            return finish(|_| {});
        }
    };
    finish(|slot| {
        // What failed and waits for another try is still a trouble, whatever else went well.
        let waits = slot.postponed.iter().any(|postponed| postponed.failures > 0);
        if !trouble.is_empty() || !waits {
            slot.run_trouble.set(&trouble);
        }
    });
}

/// Finds out when runs are due, if that is not known. Call outside a transaction.
pub fn plan_if_unknown() {
    if shared_memory::database(server::database(), |slot| slot.next_run) != Some(0) {
        return;
    }
    // Nothing here may keep the anchors waiting.
    let planned = worker::attempt(|| {
        spi::execute("SELECT pg_catalog.set_config('lock_timeout', '300ms', true)");
        Plan::make()
    });
    match planned {
        Ok(plan) => plan.publish(),
        Err(message) => not_planned(&message),
    }
}

fn not_planned(message: &str) {
    shared_memory::change_database(server::database(), |slot| {
        slot.run_trouble.set(&format!("what is due could not be found out: {message}"));
        slot.next_run = clock::now() + FIRST_RETRY;
    });
    alarm::log(None, &format!("what is due could not be found out: {message}"));
}

fn finish(change: impl FnOnce(&mut DatabaseSlot)) {
    shared_memory::change_database(server::database(), |slot| {
        slot.running = [0; 16];
        slot.running_since = 0;
        change(slot);
    });
}

/// Says what went wrong last; empty: nothing did.
fn run_all(mut due: Vec<Due>) -> String {
    let mut trouble = String::new();
    if let Some(cut_short) = take_cut_short() {
        // Others come first, and it waits as if it had failed: perhaps it is what ends the worker.
        if let Some(place) = due.iter().position(|due| due.history == cut_short) {
            trouble = failed(&due.remove(place), "the worker was ended amid it");
        }
    }
    for due in due {
        worker::reload_configuration();
        worker::announce(&format!("scheduled run of {}", due.table));
        match run(&due) {
            Ended::Done => plan::forget(due.history),
            Ended::Busy => plan::postpone(due.history, due.failures, clock::now() + BUSY_RETRY),
            Ended::Failed(message) => trouble = failed(&due, &message),
            Ended::Unpruned(message) => {
                plan::forget(due.history);
                trouble = format!("{} was verified, but could not be pruned: {message}", due.table);
                tell(&due, &format!("{trouble}; its next run tries again"));
            }
        }
        shared_memory::change_database(server::database(), |slot| slot.running = [0; 16]);
    }
    trouble
}

/// The history in whose run the worker before this one was ended.
fn take_cut_short() -> Option<HistoryId> {
    let running = shared_memory::change_database(server::database(), |slot| std::mem::take(&mut slot.running))?;
    (running != [0; 16]).then_some(HistoryId(running))
}

fn run(due: &Due) -> Ended {
    let held = match worker::attempt(|| exclusive::hold(due.relation)) {
        Ok(Some(held)) => held,
        Ok(None) if due.overdue => return Ended::Failed(BUSY.to_owned()),
        Ok(None) => return Ended::Busy,
        Err(message) => return Ended::Failed(message),
    };
    let started = clock::now();
    shared_memory::change_database(server::database(), |slot| slot.running = due.history.0);
    let recorded = worker::attempt(|| {
        let recorded = prune::run::verify_scheduled(due.history);
        if due.missed {
            let sentence = format!(
                "the scheduled run of {} that was due at {} was missed; it was caught up at {}",
                due.table,
                clock::text(due.at),
                clock::text(started)
            );
            alarm::raise(AlarmKind::Missed, &due.table, &sentence);
        }
        recorded
    });
    let ended = match recorded {
        Err(message) => return Ended::Failed(message),
        Ok(mut recorded) => match prune_all(&mut recorded) {
            Err(message) => Ended::Unpruned(message),
            Ok(()) => Ended::Done,
        },
    };
    drop(held);
    shared_memory::change_database(server::database(), |slot| {
        slot.last_run_started = started;
        slot.last_run_finished = clock::now();
    });
    ended
}

fn prune_all(recorded: &mut Recorded) -> Result<(), String> {
    while !worker::attempt(|| prune::run::prune_some(recorded))? {
        worker::reload_configuration();
    }
    Ok(())
}

/// Puts the history off and says so; returns the sentence.
fn failed(due: &Due, message: &str) -> String {
    let wait = FIRST_RETRY.saturating_mul(1 << due.failures.min(16)).min(LONGEST_RETRY);
    let again = clock::now() + wait;
    plan::postpone(due.history, due.failures + 1, again);
    let sentence = format!("the scheduled run of {} failed: {message}", due.table);
    tell(due, &format!("{sentence}; it is tried again at {}", clock::text(again)));
    sentence
}

fn tell(due: &Due, sentence: &str) {
    if let Err(message) = worker::attempt(|| alarm::raise(AlarmKind::Failed, &due.table, sentence)) {
        alarm::log(Some(&due.table), &format!("{sentence}; nobody could be told: {message}"));
    }
}
