//! Background workers: the static launcher, and one dynamic worker at a time for a database.

use super::relation::Relation;
use super::scan;
use super::shared_memory;
use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, BgWorkerStartTime, SignalWakeFlags};
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use pgrx::{IntoDatum, PgTryBuilder, pg_sys};
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::time::Duration;

/// What the two kinds of workers do.
pub struct Work {
    /// The launcher's whole life.
    pub launch: fn(),
    /// One visit to the database that the worker is connected to.
    pub visit: fn(),
    /// Hands the line of this database to the witness; in no database itself.
    pub witness: fn(u32),
}

static WORK: OnceLock<Work> = OnceLock::new();

/// How soon a launcher that broke down is started again.
const RESTART_AFTER: Duration = Duration::from_secs(5);

/// Registers the launcher; call in `_PG_init`.
pub fn register(work: Work) {
    if WORK.set(work).is_ok() {
        BackgroundWorkerBuilder::new("pgseal launcher")
            .set_type("pgseal launcher")
            .set_library("pgseal")
            .set_function("pgseal_launcher")
            .enable_spi_access()
            .set_start_time(BgWorkerStartTime::RecoveryFinished)
            .set_restart_time(Some(RESTART_AFTER))
            .load();
    }
}

/// Main function of the launcher.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn pgseal_launcher(_argument: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    BackgroundWorker::connect_worker_to_spi(None, None);
    // SAFETY: this process's id, fixed since its start.
    shared_memory::become_launcher(unsafe { pg_sys::MyProcPid });
    if let Some(work) = WORK.get() {
        (work.launch)();
    }
    // With exit status 0 the server would never start it again, whoever ended it.
    // SAFETY: the last thing that this process does.
    unsafe { pg_sys::proc_exit(1) }
}

/// Main function of a worker; the argument is the database's oid.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn pgseal_anchor_worker(argument: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    let database = pg_sys::Oid::from(argument.value() as u32);
    // SAFETY: the main function of a worker that asked for a database connection, called once.
    unsafe {
        pg_sys::BackgroundWorkerInitializeConnectionByOid(
            database,
            pg_sys::InvalidOid,
            pg_sys::BGWORKER_BYPASS_ALLOWCONN,
        );
    }
    if let Some(work) = WORK.get() {
        (work.visit)();
    }
}

/// Main function of a worker that runs the witness command; the argument is the database's oid.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn pgseal_witness_worker(argument: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    if let Some(work) = WORK.get() {
        (work.witness)(argument.value() as u32);
    }
}

/// Starts a worker that hands the line of this database to the witness; `false` if none could be
/// started. Nobody waits for it.
pub fn start_witness(database: u32) -> bool {
    BackgroundWorkerBuilder::new("pgseal witness worker")
        .set_type("pgseal witness worker")
        .set_library("pgseal")
        .set_function("pgseal_witness_worker")
        .enable_shmem_access(None)
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(None)
        .set_argument(pg_sys::Oid::from(database).into_datum())
        .load_dynamic()
        .is_ok()
}

/// Waits until the latch is set or the time is over; `false`: the process is to end. Reads the
/// configuration again after a SIGHUP.
pub fn wait(limit: Duration) -> bool {
    // Either signal may have come while something else waited on the latch.
    if is_to_end() {
        return false;
    }
    if reload_configuration() {
        return true;
    }
    let go_on = BackgroundWorker::wait_latch(Some(limit));
    reload_configuration();
    go_on
}

/// Reads the configuration again if the server asked for it.
fn reload_configuration() -> bool {
    let asked = BackgroundWorker::sighup_received();
    if asked {
        // SAFETY: the main loop of a worker, outside any transaction.
        unsafe { pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP) }
    }
    asked
}

/// Whether the server asked this worker to end.
pub fn is_to_end() -> bool {
    // SAFETY: a flag of this process that its signal handler sets.
    unsafe { (&raw const pg_sys::ShutdownRequestPending).read_volatile() != 0 }
}

/// Starts a worker for this database and waits until it has ended; `false` if none could be started.
pub fn run_in(database: u32) -> bool {
    let started = BackgroundWorkerBuilder::new("pgseal anchor worker")
        .set_type("pgseal anchor worker")
        .set_library("pgseal")
        .set_function("pgseal_anchor_worker")
        .enable_spi_access()
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(None)
        .set_argument(pg_sys::Oid::from(database).into_datum())
        // SAFETY: this process's id, fixed since its start.
        .set_notify_pid(unsafe { pg_sys::MyProcPid })
        .load_dynamic();
    match started {
        Ok(worker) => worker.wait_for_shutdown().is_ok(),
        Err(_) => false,
    }
}

/// Runs `work` in a transaction and commits it; an ERROR is handed to `on_error` as its message, and
/// then ends the process.
pub fn transaction<R>(work: impl FnOnce() -> R, on_error: fn(&str)) -> R {
    BackgroundWorker::transaction(AssertUnwindSafe(|| {
        PgTryBuilder::new(AssertUnwindSafe(work))
            .catch_others(|error| {
                on_error(&message(&error));
                error.rethrow()
            })
            .execute()
    }))
}

fn message(error: &CaughtError) -> String {
    match error {
        CaughtError::PostgresError(report)
        | CaughtError::ErrorReport(report)
        | CaughtError::RustPanic { ereport: report, .. } => report.message().to_owned(),
    }
}

/// Oids of all databases, also of those that accept no connections at the moment; but for the
/// pristine template.
pub fn databases() -> Vec<u32> {
    let mut found = Vec::new();
    transaction(
        || {
            let table = Relation::databases();
            let place = |name: &str| {
                table.attributes().into_iter().find(|column| column.name == name).map(|column| column.index)
            };
            let (Some(oid), Some(open), Some(template)) = (place("oid"), place("datallowconn"), place("datistemplate"))
            else {
                return;
            };
            scan::visit(&table, |row| {
                let is = |place| row.get(place).is_some_and(|value| value.as_bool());
                if is(open) || !is(template) {
                    found.extend(row.get(oid).map(|value| value.as_i32() as u32));
                }
            });
        },
        |_| {},
    );
    found
}
