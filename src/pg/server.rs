//! What this server, database and process are.

use pgrx::pg_sys;
use std::ffi::{CStr, c_int};

unsafe extern "C" {
    static max_prepared_xacts: c_int;
}

/// Whether this process applies what a publisher sends, or copies a table for a subscription.
pub fn is_logical_worker() -> bool {
    // SAFETY: reads a global of this process.
    unsafe { pg_sys::IsLogicalWorker() }
}

/// System identifier of the cluster, as `pg_controldata` prints it.
pub fn system_identifier() -> u64 {
    // SAFETY: reads the control file copy in shared memory, which exists in every backend.
    unsafe { pg_sys::GetSystemIdentifier() }
}

/// Timeline that new WAL is written to. Must not be called during recovery.
pub fn timeline() -> u32 {
    // SAFETY: requires that recovery has ended; sealing writes, so it has.
    unsafe { pg_sys::GetWALInsertionTimeLine() }
}

pub fn in_recovery() -> bool {
    // SAFETY: reads shared state; no precondition in a backend.
    unsafe { pg_sys::RecoveryInProgress() }
}

/// Oid of the database this session is connected to.
pub fn database() -> u32 {
    // SAFETY: a global that is set before any query runs and never changes.
    unsafe { pg_sys::MyDatabaseId }.to_u32()
}

/// Where the cluster's files are.
pub fn data_directory() -> String {
    // SAFETY: set before any library is loaded, a NUL-terminated string that nothing changes.
    unsafe { CStr::from_ptr(pg_sys::DataDir).to_string_lossy().into_owned() }
}

/// Name of that database.
pub fn database_name() -> String {
    // SAFETY: a catalog lookup inside a transaction; the name is a palloc'd string or NULL.
    unsafe {
        let name = pg_sys::get_database_name(pg_sys::MyDatabaseId);
        if name.is_null() { String::new() } else { CStr::from_ptr(name).to_string_lossy().into_owned() }
    }
}

/// What the machine calls itself; empty if it does not say.
pub fn host_name() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

pub fn database_exists(database: u32) -> bool {
    // SAFETY: a catalog lookup; the name is a palloc'd string or NULL.
    unsafe { !pg_sys::get_database_name(database.into()).is_null() }
}

/// Connections plus prepared transactions: how many transactions can be open at once.
pub fn transactions_at_most() -> u32 {
    // SAFETY: both are fixed at server start.
    unsafe { (pg_sys::MaxBackends + max_prepared_xacts).max(1) as u32 }
}

/// Number of this backend, or of the leader for a parallel worker: below `MaxBackends`.
pub fn leader_number() -> usize {
    // SAFETY: MyProc is set in every process that runs queries. lockGroupLeader of a parallel
    // worker is set before it executes anything and stays while the worker lives.
    unsafe {
        let me = pg_sys::MyProc;
        let leader = (*me).lockGroupLeader;
        let process = if leader.is_null() { me } else { leader };
        process_number(process)
    }
}

#[cfg(feature = "pg15")]
unsafe fn process_number(process: *mut pg_sys::PGPROC) -> usize {
    // SAFETY: the caller passes a live PGPROC.
    unsafe { (*process).pgprocno as usize }
}

#[cfg(not(feature = "pg15"))]
unsafe fn process_number(process: *mut pg_sys::PGPROC) -> usize {
    // SAFETY: the caller passes a live PGPROC, an element of the array allProcs.
    unsafe { process.offset_from((*pg_sys::ProcGlobal).allProcs) as usize }
}

/// Whether the transaction runs at SERIALIZABLE and is not READ ONLY DEFERRABLE.
pub fn serializable_and_not_deferrable() -> bool {
    // SAFETY: transaction state globals of this backend.
    unsafe {
        pg_sys::XactIsoLevel == pg_sys::XACT_SERIALIZABLE as i32 && !(pg_sys::XactReadOnly && pg_sys::XactDeferrable)
    }
}

/// Lets a cancel or a shutdown end a long loop.
pub fn check_for_interrupts() {
    pgrx::check_for_interrupts!();
}

/// Whether a cancel or a shutdown waits for this process; `check_for_interrupts` then ends the statement.
pub fn is_interrupted() -> bool {
    // SAFETY: flags of this process that its signal handlers set.
    unsafe {
        (&raw const pg_sys::QueryCancelPending).read_volatile() != 0
            || (&raw const pg_sys::ProcDiePending).read_volatile() != 0
    }
}

/// Whether this process has a place among those that wait for locks: the server's first process has none.
pub fn takes_part_in_locks() -> bool {
    // SAFETY: a global of this process, NULL until it has its place.
    unsafe { !pg_sys::MyProc.is_null() }
}

/// Whether this process only takes a part of another one's query.
pub fn is_parallel_worker() -> bool {
    // SAFETY: a global of this process; negative in all but parallel workers.
    unsafe { pg_sys::ParallelWorkerNumber >= 0 }
}

/// Whether `log_min_messages` lets a WARNING into the server's log.
pub fn log_takes_warnings() -> bool {
    // SAFETY: a setting's variable of this backend.
    unsafe { pg_sys::log_min_messages <= pg_sys::WARNING as c_int }
}

/// Whether the session acts as a replica (`session_replication_role`): ordinary triggers rest.
pub fn is_replica_session() -> bool {
    // SAFETY: a setting's variable of this backend.
    unsafe { pg_sys::SessionReplicationRole == pg_sys::SESSION_REPLICATION_ROLE_REPLICA as c_int }
}
