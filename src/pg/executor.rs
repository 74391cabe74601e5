//! Sees every plan before it runs, to know which statements may skip rows after their BEFORE
//! triggers fired, and how deep running statements are nested.

use pgrx::{PgList, pg_guard, pg_sys};
use std::cell::Cell;
use std::sync::OnceLock;

static PREVIOUS: OnceLock<pg_sys::ExecutorStart_hook_type> = OnceLock::new();
static PREVIOUS_RUN: OnceLock<pg_sys::ExecutorRun_hook_type> = OnceLock::new();
static ON_CONFLICT: OnceLock<fn()> = OnceLock::new();

/// Calls `on_conflict` before a plan with an ON CONFLICT clause (also in a CTE) starts.
pub fn on_conflict_plans(on_conflict: fn()) {
    if ON_CONFLICT.set(on_conflict).is_ok() {
        // SAFETY: _PG_init is the place to chain the hook; the previous one is kept and called.
        unsafe {
            let _ = PREVIOUS.set(pg_sys::ExecutorStart_hook);
            pg_sys::ExecutorStart_hook = Some(executor_start);
            let _ = PREVIOUS_RUN.set(pg_sys::ExecutorRun_hook);
            pg_sys::ExecutorRun_hook = Some(executor_run);
        }
    }
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// How many plans are running, one inside the other; AFTER triggers run outside their statement's.
pub fn depth() -> u32 {
    DEPTH.get()
}

/// One level deeper while alive; comes back also when an ERROR unwinds.
struct Deeper;

impl Deeper {
    fn enter() -> Deeper {
        DEPTH.set(DEPTH.get() + 1);
        Deeper
    }
}

impl Drop for Deeper {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

#[cfg(not(feature = "pg18"))]
#[pg_guard]
unsafe extern "C-unwind" fn executor_run(
    query: *mut pg_sys::QueryDesc,
    direction: pg_sys::ScanDirection::Type,
    count: u64,
    once: bool,
) {
    let _deeper = Deeper::enter();
    // SAFETY: passes on what the executor passed.
    unsafe {
        match PREVIOUS_RUN.get() {
            Some(Some(previous)) => previous(query, direction, count, once),
            _ => pg_sys::standard_ExecutorRun(query, direction, count, once),
        }
    }
}

#[cfg(feature = "pg18")]
#[pg_guard]
unsafe extern "C-unwind" fn executor_run(
    query: *mut pg_sys::QueryDesc,
    direction: pg_sys::ScanDirection::Type,
    count: u64,
) {
    let _deeper = Deeper::enter();
    // SAFETY: passes on what the executor passed.
    unsafe {
        match PREVIOUS_RUN.get() {
            Some(Some(previous)) => previous(query, direction, count),
            _ => pg_sys::standard_ExecutorRun(query, direction, count),
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn executor_start(query: *mut pg_sys::QueryDesc, flags: i32) {
    // SAFETY: the executor passes a valid QueryDesc with its plan.
    unsafe {
        let plan = (*query).plannedstmt;
        if !plan.is_null()
            && has_conflict_action(plan)
            && let Some(handler) = ON_CONFLICT.get()
        {
            handler();
        }
        match PREVIOUS.get() {
            Some(Some(previous)) => previous(query, flags),
            _ => pg_sys::standard_ExecutorStart(query, flags),
        }
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
