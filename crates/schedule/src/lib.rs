//! When a scheduled verification runs: a cron expression, read strictly, in a time zone.
//!
//! Times are µs since 2000-01-01 UTC, as everywhere in pgseal. A fault names the field and the character, since a
//! schedule that somebody mistyped must not end as one that silently never runs. Nothing here panics, whatever the
//! expression is: the server's first process reads it too.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod expression;
mod fault;
mod missed;
mod zone;

pub use fault::Fault;
pub use missed::{Gap, Missed};
pub use zone::Zone;

use chrono::{DateTime, NaiveDateTime};
use croner::Cron;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Between 1970-01-01 and 2000-01-01, in µs.
const EPOCH: i64 = 946_684_800_000_000;

/// A cron expression that has times to come.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    /// The hour does not matter: the schedule goes by elapsed time, whatever the clocks are set to.
    every_hour: bool,
}

impl Schedule {
    /// Reads an expression of five fields, or of six with the seconds first, or one of `@hourly`, `@daily`,
    /// `@weekly`, `@monthly`, `@yearly`.
    ///
    /// # Errors
    ///
    /// A [`Fault`] for what cannot be read, and for a date that never comes.
    pub fn parse(text: &str) -> Result<Schedule, Fault> {
        let cron = expression::read(text)?;
        let every_hour = (0..24).all(|hour| cron.pattern.hour_match(hour).unwrap_or(false));
        let schedule = Schedule { cron, every_hour };
        match schedule.next_after(Zone::UTC, 0) {
            Some(_) => Ok(schedule),
            None => Err(Fault::never(text)),
        }
    }

    /// The first time after `at`; `None`: there is none.
    ///
    /// Where the clocks are set forward, a time that they skip comes at the moment at which they go on, once
    /// however many are skipped. Where they are set back, a time that they show twice comes the first time only. A
    /// schedule for every hour takes no notice of either.
    pub fn next_after(&self, zone: Zone, at: i64) -> Option<i64> {
        let from = DateTime::from_timestamp_micros(at.checked_add(EPOCH)?)?;
        let found = match self.every_hour {
            true => self.search(|cron| cron.find_next_occurrence(&from.with_timezone(&zone.0), false).ok())?.to_utc(),
            false => {
                let mut clock = from.with_timezone(&zone.0).naive_local();
                loop {
                    clock = self.next_by_clock(clock)?;
                    let found = zone.moment(clock)?;
                    if found > from {
                        break found;
                    }
                }
            }
        };
        found.timestamp_micros().checked_sub(EPOCH)
    }

    fn next_by_clock(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        self.search(|cron| cron.find_next_occurrence(&after, false).ok())
    }

    fn search<T>(&self, find: impl FnOnce(&Cron) -> Option<T>) -> Option<T> {
        catch_unwind(AssertUnwindSafe(|| find(&self.cron))).ok().flatten()
    }
}
