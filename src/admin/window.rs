//! The window: how many months back a history is to be intact.

use super::error::AdminError;
use super::{administering, epochs, preconditions};
use crate::pg::error::{OrRaise, Report};
use crate::pg::relation;
use crate::record::journal::{self, Act, Note};
use crate::record::{definition, registry};
use crate::schedule::exclusive;
use pgrx::PgSqlErrorCode;
use serde_json::json;

/// Shortest window of verification, in months.
const MIN_MONTHS: i32 = 12;

/// A century.
const MAX_MONTHS: i32 = 1_200;

/// The months that are meant: too few are raised, with a NOTICE.
pub fn parse(months: Option<i32>) -> Result<Option<i32>, AdminError> {
    let Some(months) = months else { return Ok(None) };
    if !(1..=MAX_MONTHS).contains(&months) {
        let value = months.to_string();
        return Err(AdminError::InvalidParameter { parameter: "window_months", value, allowed: "12 to 1200, or NULL" });
    }
    if months < MIN_MONTHS {
        Report::new(
            PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
            format!("the window of {months} months was raised to {MIN_MONTHS}"),
        )
        .notice();
    }
    Ok(Some(months.max(MIN_MONTHS)))
}

/// Sets the window and says what it is.
pub fn set(relation: u32, months: Option<i32>) -> String {
    let months = parse(months).or_raise();
    let root = relation::root_of(relation);
    let table = relation::name_of(root);
    preconditions::require_ownership(root).or_raise();
    exclusive::keep_settings(root);
    let Some(mut registration) = registry::attached(root) else {
        Report::from(AdminError::NotAttached { table }).raise()
    };
    let key = &definition::key_of(&registration).or_raise();
    let before = registration.window_months;
    registration.window_months = months;
    administering(|| epochs::change_window(&mut registration, key));
    let text = |months: Option<i32>| months.map_or("none".to_owned(), |months| format!("{months} months"));
    journal::note(Note {
        act: Act::Window,
        history: Some(registration.history),
        sentence: format!("the window of {table} was set from {} to {}", text(before), text(months)),
        details: json!({"months": months, "before": before}),
        table: Some(table.clone()),
    });
    match months {
        Some(months) => format!("{table} is to be intact {months} months back; what is older may be pruned"),
        None => format!("{table} is to be intact as a whole; nothing of it is ever pruned"),
    }
}
