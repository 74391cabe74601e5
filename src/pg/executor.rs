//! Sees every plan before it runs, to know which statements may skip rows after their BEFORE
//! triggers fired, and how deep running statements are nested.
//!
//! The hooks serve every statement of the server. An ERROR must pass them untouched: caught and
//! raised again by pgrx's guard it would lose the names of constraint, table and column. So they
//! call the executor directly and hold nothing with a destructor while they do.

use pgrx::{PgList, pg_sys};
use std::cell::{Cell, RefCell};
use std::sync::OnceLock;

static PREVIOUS_START: OnceLock<pg_sys::ExecutorStart_hook_type> = OnceLock::new();
static PREVIOUS_RUN: OnceLock<pg_sys::ExecutorRun_hook_type> = OnceLock::new();
static ON_CONFLICT: OnceLock<fn()> = OnceLock::new();

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Depth at the start of each open savepoint: an ERROR comes back there.
    static SAVED: RefCell<Vec<(pg_sys::SubTransactionId, u32)>> = const { RefCell::new(Vec::new()) };
}

/// Calls `on_conflict` before a plan with an ON CONFLICT clause (also in a CTE) starts.
pub fn on_conflict_plans(on_conflict: fn()) {
    if ON_CONFLICT.set(on_conflict).is_ok() {
        // SAFETY: _PG_init is the place to chain the hooks; the previous ones are kept and called.
        unsafe {
            let _ = PREVIOUS_START.set(pg_sys::ExecutorStart_hook);
            pg_sys::ExecutorStart_hook = Some(executor_start);
            let _ = PREVIOUS_RUN.set(pg_sys::ExecutorRun_hook);
            pg_sys::ExecutorRun_hook = Some(executor_run);
        }
    }
}

/// How many plans are running, one inside the other; AFTER triggers run outside their statement's.
pub fn depth() -> u32 {
    DEPTH.get()
}

pub(super) fn savepoint_started(level: pg_sys::SubTransactionId) {
    SAVED.with_borrow_mut(|saved| saved.push((level, DEPTH.get())));
}

pub(super) fn savepoint_ended(level: pg_sys::SubTransactionId, rolled_back: bool) {
    SAVED.with_borrow_mut(|saved| {
        while let Some((saved_level, depth)) = saved.pop_if(|(saved_level, _)| *saved_level >= level) {
            if rolled_back && saved_level == level {
                DEPTH.set(depth);
            }
        }
    });
}

pub(super) fn transaction_ended(rolled_back: bool) {
    SAVED.with_borrow_mut(Vec::clear);
    if rolled_back {
        DEPTH.set(0);
    }
}

unsafe extern "C-unwind" fn executor_start(query: *mut pg_sys::QueryDesc, flags: i32) {
    // SAFETY: the executor passes a valid QueryDesc with its plan, and the functions called are
    // the server's own or another library's hook, with what the executor passed.
    unsafe {
        note_conflict_action((*query).plannedstmt);
        match PREVIOUS_START.get() {
            Some(Some(previous)) => previous(query, flags),
            _ => server::standard_ExecutorStart(query, flags),
        }
    }
}

unsafe fn note_conflict_action(plan: *mut pg_sys::PlannedStmt) {
    // SAFETY: the caller passes the plan of a query, or NULL.
    let conflicting = !plan.is_null() && unsafe { has_conflict_action(plan) };
    if let Some(handler) = ON_CONFLICT.get().filter(|_| conflicting) {
        handler();
    }
}

/// A ModifyTable stands at the top of the plan or, for a CTE, at the top of a subplan.
unsafe fn has_conflict_action(plan: *mut pg_sys::PlannedStmt) -> bool {
    // SAFETY: nodes of a finished plan; is_conflicting checks the tag before it casts.
    unsafe {
        if is_conflicting((*plan).planTree) {
            return true;
        }
        (*plan).hasModifyingCTE
            && PgList::<pg_sys::Plan>::from_pg((*plan).subplans).iter_ptr().any(|root| is_conflicting(root))
    }
}

unsafe fn is_conflicting(root: *mut pg_sys::Plan) -> bool {
    // SAFETY: a null subplan is allowed in the list; the tag says what the node is.
    unsafe {
        !root.is_null()
            && (*root).type_ == pg_sys::NodeTag::T_ModifyTable
            && (*root.cast::<pg_sys::ModifyTable>()).onConflictAction != pg_sys::OnConflictAction::ONCONFLICT_NONE
    }
}

#[cfg(not(feature = "pg18"))]
unsafe extern "C-unwind" fn executor_run(
    query: *mut pg_sys::QueryDesc,
    direction: pg_sys::ScanDirection::Type,
    count: u64,
    once: bool,
) {
    DEPTH.set(DEPTH.get() + 1);
    // SAFETY: passes on what the executor passed. After an ERROR the depth comes back with the
    // savepoint or the transaction that ends.
    unsafe {
        match PREVIOUS_RUN.get() {
            Some(Some(previous)) => previous(query, direction, count, once),
            _ => server::standard_ExecutorRun(query, direction, count, once),
        }
    }
    DEPTH.set(DEPTH.get().saturating_sub(1));
}

#[cfg(feature = "pg18")]
unsafe extern "C-unwind" fn executor_run(
    query: *mut pg_sys::QueryDesc,
    direction: pg_sys::ScanDirection::Type,
    count: u64,
) {
    DEPTH.set(DEPTH.get() + 1);
    // SAFETY: as for the other versions.
    unsafe {
        match PREVIOUS_RUN.get() {
            Some(Some(previous)) => previous(query, direction, count),
            _ => server::standard_ExecutorRun(query, direction, count),
        }
    }
    DEPTH.set(DEPTH.get().saturating_sub(1));
}

/// The server's functions without pgrx's guard around them.
mod server {
    use pgrx::pg_sys;

    unsafe extern "C-unwind" {
        pub fn standard_ExecutorStart(query: *mut pg_sys::QueryDesc, flags: i32);

        #[cfg(not(feature = "pg18"))]
        pub fn standard_ExecutorRun(
            query: *mut pg_sys::QueryDesc,
            direction: pg_sys::ScanDirection::Type,
            count: u64,
            once: bool,
        );

        #[cfg(feature = "pg18")]
        pub fn standard_ExecutorRun(query: *mut pg_sys::QueryDesc, direction: pg_sys::ScanDirection::Type, count: u64);
    }
}
