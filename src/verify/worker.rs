//! How the worker is doing that writes anchors.

use crate::pg::{clock, server, shared_memory};
use crate::seal::newest_anchor;
use crate::settings;

/// The worker's state for this database.
pub struct WorkerState {
    pub sentence: String,
    /// What to do about it; `None` where all is well.
    pub fix: Option<String>,
}

/// How long a mark may wait beyond the interval before that is a trouble, µs.
const PATIENCE: i64 = 60_000_000;

pub fn state() -> WorkerState {
    let fine = |sentence: String| WorkerState { sentence, fix: None };
    let trouble = |sentence: String, fix: &str| WorkerState { sentence, fix: Some(fix.to_owned()) };
    if server::in_recovery() {
        return fine("this server only replays: the primary writes anchors".into());
    }
    let launcher = shared_memory::read_launcher();
    if launcher.pid == 0 {
        return trouble(
            "the launcher is not running".into(),
            "see the server's log, raise max_worker_processes and restart the server",
        );
    }
    if !launcher.trouble.get().is_empty() {
        return trouble(launcher.trouble.get(), "raise max_worker_processes in postgresql.conf and restart the server");
    }
    let Some(slot) = newest_anchor::slot() else { return fine("running, nothing to anchor yet".into()) };
    if !slot.trouble.get().is_empty() {
        return trouble(format!("the last anchor failed: {}", slot.trouble.get()), "see the server's log");
    }
    if !slot.witness_trouble.get().is_empty() {
        return trouble(
            slot.witness_trouble.get(),
            "run the command by hand as the server's user, with a line on standard input",
        );
    }
    if !slot.run_trouble.get().is_empty() {
        return trouble(slot.run_trouble.get(), "see the server's log, and docs/schedule.md");
    }
    let interval = settings::anchor_interval().as_micros() as i64;
    let late = slot.dirty && clock::now() - slot.dirty_since > PATIENCE + interval;
    match () {
        () if late => trouble(
            format!("what was sealed since {} is not anchored", clock::text(slot.dirty_since)),
            "see the server's log",
        ),
        () if slot.pending => fine("running; some chains belong to open or prepared transactions and wait".into()),
        () => fine("running".into()),
    }
}
