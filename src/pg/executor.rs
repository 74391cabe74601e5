//! Sees every plan before it runs, to know which statements may skip rows after their BEFORE
//! triggers fired.

use pgrx::{PgList, pg_guard, pg_sys};
use std::sync::OnceLock;

static PREVIOUS: OnceLock<pg_sys::ExecutorStart_hook_type> = OnceLock::new();
static ON_CONFLICT: OnceLock<fn()> = OnceLock::new();

/// Calls `on_conflict` before a plan with an ON CONFLICT clause (also in a CTE) starts.
pub fn on_conflict_plans(on_conflict: fn()) {
    if ON_CONFLICT.set(on_conflict).is_ok() {
        // SAFETY: _PG_init is the place to chain the hook; the previous one is kept and called.
        unsafe {
            let _ = PREVIOUS.set(pg_sys::ExecutorStart_hook);
            pg_sys::ExecutorStart_hook = Some(executor_start);
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
