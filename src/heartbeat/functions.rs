//! The SQL functions of the heartbeat. Their definitions, comments and grants stand in
//! `sql/heartbeat.sql`.

use super::metrics::{self, ERRORS, HistoryMetrics, total};
use crate::pg::counters::Counted;
use crate::pg::server;
use pgrx::iter::TableIterator;
use pgrx::prelude::*;

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn metrics_lines() -> TableIterator<
    'static,
    (
        name!(database, String),
        name!(history, String),
        name!(key_usable, i64),
        name!(chains, i64),
        name!(entries, i64),
        name!(unanchored_chains, i64),
        name!(verified, i64),
        name!(verified_age_seconds, f64),
        name!(run_age_seconds, Option<f64>),
        name!(last_verdict, i64),
        name!(run_entries, Option<i64>),
        name!(run_findings, Option<i64>),
        name!(run_findings_new, Option<i64>),
        name!(run_findings_before_window, Option<i64>),
    ),
> {
    let database = server::database_name();
    TableIterator::new(metrics::of_histories().into_iter().map(move |line: HistoryMetrics| {
        let run = line.run.as_ref();
        (
            database.clone(),
            line.history,
            line.key_usable.into(),
            line.chains,
            line.entries,
            line.unanchored,
            line.verified.into(),
            line.verified_age,
            line.run_age,
            line.last_verdict,
            run.map(|run| run.entries),
            run.map(|run| run.findings),
            run.map(|run| run.findings_new),
            run.map(|run| run.findings_before_window),
        )
    }))
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn database_metrics_line() -> TableIterator<
    'static,
    (
        name!(database, String),
        name!(up, i64),
        name!(in_recovery, i64),
        name!(key_usable, i64),
        name!(histories, i64),
        name!(scheduler_up, i64),
        name!(next_run_seconds, Option<f64>),
        name!(running_seconds, f64),
        name!(worker_ok, i64),
        name!(anchor_age_seconds, Option<f64>),
        name!(anchor_wait_seconds, f64),
        name!(unanchored_chains, i64),
        name!(alerts_waiting, Option<i64>),
        name!(alerts_failed, Option<i64>),
        name!(remembered_chains, i64),
        name!(remembered_chains_limit, i64),
        name!(entries_sealed_total, i64),
        name!(chain_waits_total, i64),
        name!(chain_changes_total, i64),
        name!(chains_closed_total, i64),
        name!(sealing_errors_total, i64),
        name!(sealing_errors_key_total, i64),
        name!(sealing_errors_definition_total, i64),
        name!(sealing_errors_record_total, i64),
        name!(sealing_errors_capacity_total, i64),
        name!(sealing_errors_input_total, i64),
    ),
> {
    let line = metrics::of_database();
    let errors = ERRORS.map(total);
    let [key, definition, record, capacity, input] = errors;
    TableIterator::once((
        server::database_name(),
        1,
        line.in_recovery.into(),
        line.key_usable.into(),
        line.histories,
        line.scheduler_up.into(),
        line.next_run,
        line.running,
        line.worker_ok.into(),
        line.anchor_age,
        line.anchor_wait,
        line.unanchored,
        line.alerts.map(|alerts| alerts.waiting),
        line.alerts.map(|alerts| alerts.failed),
        line.remembered.0 as i64,
        line.remembered.1 as i64,
        total(Counted::EntriesSealed),
        total(Counted::ChainWaits),
        total(Counted::ChainChanges),
        total(Counted::ChainsClosed),
        errors.iter().sum(),
        key,
        definition,
        record,
        capacity,
        input,
    ))
}
