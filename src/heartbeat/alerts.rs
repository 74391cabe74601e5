//! What became of the alarms that were to leave the server, from the outbox `seal.alert`.

use super::tables;
use crate::pg::spi;

/// How many are still to be delivered, and how many were given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alerts {
    pub waiting: i64,
    pub failed: i64,
}

/// The columns that are read here.
const COLUMNS: [(&str, &str); 3] =
    [("kind", "text"), ("next_attempt", "timestamp with time zone"), ("given_up_at", "timestamp with time zone")];

/// `None` where there is no outbox. Reads it with the rights of whoever is the user.
pub fn undelivered() -> Option<Alerts> {
    if !tables::has(c"alert", &COLUMNS) {
        return None;
    }
    // A test that failed told whoever asked for it.
    let rows = spi::execute(
        "SELECT pg_catalog.count(*) FILTER (WHERE next_attempt IS NOT NULL),
                pg_catalog.count(*) FILTER (WHERE given_up_at IS NOT NULL AND kind <> 'test')
           FROM seal.alert WHERE next_attempt IS NOT NULL OR given_up_at IS NOT NULL",
    );
    let number = |place: usize| rows.first()?.get(place)?.as_ref()?.parse().ok();
    Some(Alerts { waiting: number(0)?, failed: number(1)? })
}
