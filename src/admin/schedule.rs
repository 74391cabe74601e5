//! A schedule of its own for one history.

use super::error::AdminError;
use super::preconditions;
use crate::pg::error::{OrRaise, Report};
use crate::pg::relation;
use crate::record::journal::{self, Act, Note};
use crate::record::{journaled, registry};
use crate::settings;
use pgrx::PgSqlErrorCode;
use pgseal_schedule::Schedule;

/// Sets when a history is verified by itself, and says so. `None`: when `pgseal.schedule` says; `off`: never.
pub fn set(asked: u32, schedule: Option<&str>) -> String {
    let relation = relation::root_of(asked);
    let table = relation::name_of(relation);
    preconditions::require_ownership(relation).or_raise();
    let Some(registration) = registry::attached(relation) else {
        Report::from(AdminError::NotAttached { table }).raise()
    };
    let schedule = schedule.map(str::trim);
    let sentence = match schedule {
        None => format!("{table} is verified when pgseal.schedule says so"),
        Some(settings::NO_SCHEDULE) => format!("{table} is never verified by schedule"),
        Some(text) => {
            Schedule::parse(text).map_err(settings::invalid_schedule).or_raise();
            format!("{table} is verified at '{text}' in the time zone {}", settings::schedule_zone().name())
        }
    };
    if schedule.is_none() && settings::schedule().is_none() {
        Report::new(PgSqlErrorCode::ERRCODE_WARNING, format!("{table} is not verified by schedule now"))
            .detail("pgseal.schedule is empty.")
            .hint("Set pgseal.schedule in postgresql.conf and reload, or give the history a schedule of its own.")
            .notice();
    }
    journal::note(Note {
        act: Act::Schedule,
        history: Some(registration.history),
        sentence: sentence.clone(),
        details: journaled::schedule_details(schedule),
        table: Some(table),
    });
    sentence
}
