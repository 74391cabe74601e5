//! Background workers: the static launcher, and its dynamic workers: one at a time that anchors, one for a database
//! that runs what is scheduled, and those of the witness.

use super::error::message_of;
use super::lock;
use super::relation::Relation;
use super::scan;
use super::shared_memory;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use pgrx::bgworkers::{
    BackgroundWorker, BackgroundWorkerBuilder, BackgroundWorkerStatus, BgWorkerStartTime, SignalWakeFlags,
};
use pgrx::prelude::*;
use pgrx::{IntoDatum, PgTryBuilder, pg_sys};
use std::ffi::{CString, c_int};
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::time::Duration;

/// What the kinds of workers do.
pub struct Work {
    /// The launcher's whole life.
    pub launch: fn(),
    /// One visit to the database that the worker is connected to.
    pub visit: fn(),
    /// Hands the line of this database to the witness; in no database itself.
    pub witness: fn(u32),
    /// Runs what is due in the database that the worker is connected to.
    pub run: fn(),
}

unsafe extern "C-unwind" {
    /// The server's own SIGTERM handler: the process ends at the next check for interrupts.
    fn die(signal: c_int);
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

/// # Safety
/// Once in the main function of a worker that asked for a database connection.
unsafe fn connect(database: pg_sys::Oid) {
    // SAFETY: the caller's promise.
    unsafe {
        pg_sys::BackgroundWorkerInitializeConnectionByOid(
            database,
            pg_sys::InvalidOid,
            pg_sys::BGWORKER_BYPASS_ALLOWCONN,
        );
    }
}

/// Main function of a worker; the argument is the database's oid.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn pgseal_anchor_worker(argument: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    let database = pg_sys::Oid::from(argument.value() as u32);
    // SAFETY: the main function of a worker that asked for a database connection, called once.
    unsafe { connect(database) }
    if let Some(work) = WORK.get() {
        (work.visit)();
    }
}

/// Main function of a worker that runs what is scheduled; the argument is the database's oid.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn pgseal_run_worker(argument: pg_sys::Datum) {
    // SAFETY: the main function of a worker, signals are still blocked: `die` is what sessions of clients have.
    unsafe { end_at_once_on_sigterm() }
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP);
    let database = pg_sys::Oid::from(argument.value() as u32);
    shared_memory::become_run_worker(database.to_u32());
    // SAFETY: the main function of a worker that asked for a database connection, called once.
    unsafe { connect(database) }
    if let Some(work) = WORK.get() {
        (work.run)();
    }
}

#[cfg(not(feature = "pg18"))]
unsafe fn end_at_once_on_sigterm() {
    // SAFETY: a signal handler of the server.
    unsafe {
        pg_sys::pqsignal(pg_sys::SIGTERM as c_int, Some(die));
    }
}

#[cfg(feature = "pg18")]
unsafe fn end_at_once_on_sigterm() {
    // SAFETY: a signal handler of the server.
    unsafe { pg_sys::pqsignal_be(pg_sys::SIGTERM as c_int, Some(die)) }
}

/// Starts a worker that runs what is due in this database; `false` if none could be started. Nobody waits for it.
pub fn start_run(database: u32) -> bool {
    BackgroundWorkerBuilder::new("pgseal run worker")
        .set_type("pgseal run worker")
        .set_library("pgseal")
        .set_function("pgseal_run_worker")
        .enable_spi_access()
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(None)
        .set_argument(pg_sys::Oid::from(database).into_datum())
        .load_dynamic()
        .is_ok()
}

/// Asks a worker of this server to end.
pub fn end(pid: i32) {
    // One that ended meanwhile needs nothing.
    let _ = signal::kill(Pid::from_raw(pid), Signal::SIGTERM);
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
pub fn reload_configuration() -> bool {
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

/// Starts a worker for this database and waits until it has ended; `false` if none could be started. Meanwhile
/// calls `beside` now and then, which says how soon to call it again.
pub fn visit(database: u32, mut beside: impl FnMut() -> Duration) -> bool {
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
    let Ok(worker) = started else { return false };
    loop {
        if let Err(BackgroundWorkerStatus::Stopped) = worker.pid() {
            return true;
        }
        let goes_on = BackgroundWorker::wait_latch(Some(beside()));
        // Asked to end, it waits for its worker, which was asked too; without the server there is none.
        if !goes_on && !is_to_end() {
            return false;
        }
    }
}

/// Runs `work` in a transaction and commits it; an ERROR is rolled back and handed back as its message, and the
/// process goes on.
pub fn attempt<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    PgTryBuilder::new(AssertUnwindSafe(|| Ok(BackgroundWorker::transaction(AssertUnwindSafe(work)))))
        .catch_others(|error| {
            // SAFETY: outside of whatever failed, as the server's own loops do after an ERROR, which was copied.
            unsafe { pg_sys::AbortOutOfAnyTransaction() }
            Err(message_of(&error).to_owned())
        })
        .execute()
}

/// Shows in `pg_stat_activity` what this worker does.
pub fn announce(what: &str) {
    if let Ok(what) = CString::new(what) {
        // SAFETY: copies the text into this process's entry.
        unsafe { pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, what.as_ptr()) }
    }
}

/// Whether somebody wants the database for himself: to drop it, to copy it, to move it.
pub fn is_database_wanted(database: u32) -> bool {
    transaction(|| lock::is_database_wanted(database), |_| {})
}

/// Runs `work` in a transaction and commits it; an ERROR is handed to `on_error` as its message, and
/// then ends the process.
pub fn transaction<R>(work: impl FnOnce() -> R, on_error: fn(&str)) -> R {
    BackgroundWorker::transaction(AssertUnwindSafe(|| {
        PgTryBuilder::new(AssertUnwindSafe(work))
            .catch_others(|error| {
                on_error(message_of(&error));
                error.rethrow()
            })
            .execute()
    }))
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
