//! The rows of `seal.metrics` and `seal.database_metrics`.

use super::alerts::{self, Alerts};
use super::runs::{self, Recorded, Run};
use crate::key;
use crate::pg::counters::{self, Counted};
use crate::pg::{clock, relation, server, shared_memory, user};
use crate::record::definition::Definition;
use crate::record::registry::{self, Registration};
use crate::schedule;
use crate::seal::heads::{self, Remembered};
use crate::seal::newest_anchor;
use crate::verify::worker;
use pgseal_chain::HistoryId;

/// One history.
pub struct HistoryMetrics {
    pub history: String,
    pub key_usable: bool,
    /// Chains and entries that the server remembers, and chains that the newest anchor does not
    /// have as they are.
    pub chains: i64,
    pub entries: i64,
    pub unanchored: i64,
    /// Whether any verification was successful.
    pub verified: bool,
    /// Seconds since the last successful verification ended, or since the table was attached where
    /// there was none: so a schedule that never ran shows, too.
    pub verified_age: f64,
    /// Seconds since the last run ended.
    pub run_age: Option<f64>,
    /// [`verdict_number`] of the last run.
    pub last_verdict: i64,
    pub run: Option<Run>,
}

/// This database.
pub struct DatabaseMetrics {
    pub in_recovery: bool,
    pub key_usable: bool,
    /// How many histories are attached.
    pub histories: i64,
    /// The process that starts anchor and run workers is there.
    pub scheduler_up: bool,
    /// Seconds until the next scheduled run; negative when it is overdue.
    pub next_run: Option<f64>,
    /// Seconds for which a run has been at work; 0: none is.
    pub running: f64,
    pub worker_ok: bool,
    /// Seconds since the newest anchor was written.
    pub anchor_age: Option<f64>,
    /// Seconds for which the oldest change has been waiting for an anchor; 0: none is.
    pub anchor_wait: f64,
    pub unanchored: i64,
    pub alerts: Option<Alerts>,
    /// Chains that the server remembers, of all databases, and how many it can.
    pub remembered: (usize, usize),
}

/// A verdict as a number that rises with what is to be worried about; 0: there was no run, 6: a
/// verdict that this version does not know.
fn verdict_number(verdict: Option<&str>) -> i64 {
    match verdict {
        None => 0,
        Some("intact") => 1,
        Some("intact_in_window") => 2,
        Some("nothing_sealed") => 3,
        Some("unverifiable") => 4,
        Some("tampered") => 5,
        Some(_) => 6,
    }
}

/// Seconds from one moment to another, both in µs since 2000-01-01 UTC.
fn seconds(from: i64, to: i64) -> f64 {
    (to as f64 - from as f64) / 1e6
}

fn attached() -> Vec<Registration> {
    registry::registrations().into_iter().filter(Registration::is_attached).collect()
}

fn is_unanchored(chain: &Remembered) -> bool {
    !chain.valid || chain.head.position > chain.anchored
}

/// One line for each attached history.
pub fn of_histories() -> Vec<HistoryMetrics> {
    user::with_rights_of(user::extension_owner(), || {
        let registrations = attached();
        let histories: Vec<HistoryId> = registrations.iter().map(|row| row.history).collect();
        let mut recorded = runs::of(&histories);
        let (known, now) = (heads::of_database(), clock::now());
        registrations
            .into_iter()
            .map(|row| {
                let recorded = recorded.remove(&row.history).unwrap_or_default();
                of_history(row, recorded, &known, now)
            })
            .collect()
    })
}

fn of_history(row: Registration, recorded: Recorded, known: &[Remembered], now: i64) -> HistoryMetrics {
    let chains = || known.iter().filter(|chain| chain.slot.history() == row.history);
    HistoryMetrics {
        history: relation::name_of(row.relation),
        chains: chains().filter(|chain| chain.head.position > 0).count() as i64,
        entries: chains().map(|chain| chain.head.position as i64).sum(),
        unanchored: chains().filter(|chain| is_unanchored(chain)).count() as i64,
        verified: recorded.verified_at.is_some(),
        verified_age: seconds(recorded.verified_at.unwrap_or(row.attached_at), now),
        run_age: recorded.newest.as_ref().map(|run| seconds(run.finished, now)),
        last_verdict: verdict_number(recorded.newest.as_ref().map(|run| run.verdict.as_str())),
        run: recorded.newest,
        key_usable: Definition::load(row).key_fault.is_none(),
    }
}

pub fn of_database() -> DatabaseMetrics {
    user::with_rights_of(user::extension_owner(), || {
        let (slot, plan, now) = (newest_anchor::slot(), schedule::state(), clock::now());
        DatabaseMetrics {
            in_recovery: server::in_recovery(),
            key_usable: key::current().is_ok(),
            histories: attached().len() as i64,
            scheduler_up: shared_memory::read_launcher().pid != 0,
            next_run: plan.next_run.map(|at| seconds(now, at)),
            running: plan.running_since.map_or(0.0, |since| seconds(since, now)),
            worker_ok: worker::state().fix.is_none(),
            anchor_age: slot.filter(|slot| slot.known && slot.number > 0).map(|slot| seconds(slot.at, now)),
            anchor_wait: slot.filter(|slot| slot.dirty).map_or(0.0, |slot| seconds(slot.dirty_since, now)),
            unanchored: heads::of_database().iter().filter(|chain| is_unanchored(chain)).count() as i64,
            alerts: alerts::undelivered(),
            remembered: heads::usage(),
        }
    })
}

/// Rows that were refused, by what was wrong.
pub const ERRORS: [Counted; 5] = [
    Counted::KeyErrors,
    Counted::DefinitionErrors,
    Counted::RecordErrors,
    Counted::CapacityErrors,
    Counted::InputErrors,
];

/// A count of this database since the server's start.
pub fn total(what: Counted) -> i64 {
    counters::value(what) as i64
}
