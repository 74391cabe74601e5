//! What the scheduler has in mind for this database.

use crate::seal::newest_anchor;

/// When it verifies, in µs since 2000-01-01 UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Plan {
    /// `None`: nothing is scheduled, or it is not known yet.
    pub next_run: Option<i64>,
    /// `None`: no run is at work.
    pub running_since: Option<i64>,
}

/// As the scheduler has written it into the database's slot.
pub fn of_database() -> Plan {
    let Some(slot) = newest_anchor::slot() else { return Plan::default() };
    Plan {
        next_run: Some(slot.next_run).filter(|at| !matches!(*at, 0 | i64::MAX)),
        running_since: Some(slot.running_since).filter(|at| *at != 0),
    }
}
