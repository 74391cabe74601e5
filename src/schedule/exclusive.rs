//! One run of a history at a time, whoever started it.

use crate::pg::error::Report;
use crate::pg::lock::{self, RunLock, Until};
use crate::pg::{relation, scan, spi, user};
use pgrx::PgSqlErrorCode;

/// While alive, nobody else runs this history.
pub struct Held(RunLock);

impl Drop for Held {
    fn drop(&mut self) {
        lock::release_run(self.0);
    }
}

fn lock_of(relation: u32) -> RunLock {
    RunLock { catalog: scan::seal_table(c"run").unwrap_or(0), relation }
}

/// For the run worker, over its transactions; `None`: somebody else runs the history whose table this is. Call in a
/// transaction.
pub fn hold(relation: u32) -> Option<Held> {
    let lock = lock_of(relation);
    lock::acquire_run(lock, Until::Released).then(|| Held(lock))
}

/// For a caller in SQL, until the end of its transaction. Raises if somebody else runs the history whose table this
/// is.
pub fn hold_until_transaction_end(relation: u32) {
    let lock = lock_of(relation);
    if !lock::acquire_run(lock, Until::TransactionEnd) {
        in_progress(lock);
    }
}

fn in_progress(lock: RunLock) -> ! {
    let table = relation::name_of(lock.relation);
    let holder = user::with_rights_of(user::extension_owner(), || {
        spi::execute(&format!(
            "SELECT l.pid, a.backend_type,
                    COALESCE(CASE a.backend_type WHEN 'client backend' THEN a.xact_start END, a.backend_start)
               FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a USING (pid)
              WHERE l.locktype = 'object' AND l.granted AND l.classid = {} AND l.objid = {} AND l.objsubid = 0
                AND l.database = (SELECT oid FROM pg_catalog.pg_database
                                   WHERE datname = pg_catalog.current_database())",
            lock.catalog, lock.relation
        ))
    });
    let report = Report::new(PgSqlErrorCode::ERRCODE_OBJECT_IN_USE, format!("a run of \"{table}\" is in progress"));
    match holder.first().map(Vec::as_slice) {
        Some([Some(pid), kind, since]) => {
            let kind = kind.as_deref().unwrap_or("a process");
            let since = since.as_deref().map(|since| format!(" since {since}")).unwrap_or_default();
            report
                .detail(format!("Process {pid} ({kind}) is at it{since}."))
                .hint(format!("Wait until it is done, or end it: SELECT pg_terminate_backend({pid})."))
                .raise()
        }
        // It is gone already, or a prepared transaction that no process has.
        _ => report.hint("Try again. If it stays so: SELECT * FROM pg_prepared_xacts.").raise(),
    }
}
