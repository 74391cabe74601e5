//! Scheduled runs of a history that were not made.

use super::plan::LATE;
use crate::pg::{clock, shared_memory};
use crate::record::journaled::Journaled;
use crate::settings;
use pgseal_schedule::{Missed, Schedule};

/// What a schedule asked for, and what it did not get.
pub struct Scheduled {
    /// The expression in force now.
    pub expression: String,
    /// Name of the time zone that it goes by.
    pub zone: &'static str,
    /// The times at which no run began within an hour.
    pub missed: Missed,
}

/// Compares the schedule in force with the scheduled runs that were recorded: begin and end of each, the oldest first.
/// Only times from `since` on and before `until` count, if these are given. All in µs since 2000-01-01 UTC.
///
/// Since when a history follows `pgseal.schedule` nobody wrote down: times count from the first scheduled run on, or
/// from the server's start where there was none. `None`: it has no schedule.
pub fn of(journaled: &Journaled, runs: &[(i64, i64)], since: Option<i64>, until: Option<i64>) -> Option<Scheduled> {
    let own = journaled.schedule.clone();
    let begun = match own {
        Some(_) => journaled.scheduled_at,
        None => {
            let first = runs.first().map(|(started, _)| started - 1);
            let launcher = shared_memory::read_launcher();
            first.unwrap_or(launcher.since).max(launcher.scheduled_since)
        }
    };
    let expression = own.or_else(settings::schedule).filter(|text| text != settings::NO_SCHEDULE)?;
    let schedule = Schedule::parse(&expression).ok()?;
    let zone = settings::schedule_zone();
    let from = begun.max(journaled.attached_at).max(since.map_or(i64::MIN, |since| since - 1));
    let to = (clock::now() - LATE).min(until.map_or(i64::MAX, |until| until - 1));
    let missed = schedule.missed(zone, from, to, LATE, runs);
    Some(Scheduled { expression, zone: zone.name(), missed })
}
