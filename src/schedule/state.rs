//! How scheduled runs are doing in this database.

use crate::pg::shared_memory::{self, DatabaseSlot};
use crate::pg::{clock, server};

/// What the server knows of the scheduled runs of this database; times in µs since 2000-01-01 UTC.
#[derive(Debug, Clone, Default)]
pub struct RunState {
    /// When the next run is due; `None`: never, or it is not known yet.
    pub next_run: Option<i64>,
    /// Whether that was found out.
    pub planned: bool,
    /// Since when a run worker is at work.
    pub running_since: Option<i64>,
    /// When the newest run since the server's start began and ended.
    pub last_run: Option<(i64, i64)>,
    /// What went wrong the last time.
    pub trouble: Option<String>,
}

/// As it is now; of a database in which nothing was ever attached, nothing.
pub fn state() -> RunState {
    let Some(slot) = shared_memory::database(server::database(), |slot| *slot) else { return RunState::default() };
    let time = |at: i64| (at != 0).then_some(at);
    let DatabaseSlot { next_run, running_since, last_run_started, last_run_finished, .. } = slot;
    RunState {
        next_run: time(next_run).filter(|at| *at != i64::MAX).map(|at| at.max(slot.run_not_before)),
        planned: next_run != 0,
        running_since: time(running_since),
        last_run: time(last_run_started).map(|started| (started, last_run_finished)),
        trouble: Some(slot.run_trouble.get()).filter(|trouble| !trouble.is_empty()),
    }
}

/// The same as a sentence.
pub fn state_text() -> String {
    if server::in_recovery() {
        return "this server only replays: runs begin when it is promoted".into();
    }
    let state = state();
    let last = match state.last_run {
        Some((started, finished)) => {
            format!("; the last run began at {} and ended at {}", clock::text(started), clock::text(finished))
        }
        None => String::new(),
    };
    let now = match (state.running_since, state.next_run) {
        (Some(since), _) => format!("running since {}", clock::text(since)),
        (None, Some(at)) => format!("the next run is at {}", clock::text(at)),
        (None, None) if shared_memory::read_launcher().pid == 0 => "the launcher is not running".into(),
        (None, None) if !state.planned => "when the next run is due is being found out".into(),
        (None, None) => "no history is verified by schedule".into(),
    };
    match state.trouble {
        Some(trouble) => format!("{trouble}; {now}{last}"),
        None => format!("{now}{last}"),
    }
}
