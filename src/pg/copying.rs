//! Sees each COPY into a table before it reads anything.
//!
//! The hook serves every utility statement of the server and looks at nothing but the tag of most. As in `executor`,
//! an ERROR of the statement must pass untouched: the server is called directly, and nothing with a destructor is alive
//! meanwhile.

use super::{server, statement};
use pgrx::pg_sys;
use pgrx::pg_sys::panic::pgrx_extern_c_guard;
use std::ffi::c_char;
use std::sync::OnceLock;

static PREVIOUS: OnceLock<pg_sys::ProcessUtility_hook_type> = OnceLock::new();
static HANDLER: OnceLock<fn(u32)> = OnceLock::new();

/// Calls `handler` with the table's oid before a COPY into a table that names no columns, which it may end with an
/// ERROR. Not in a replica's session, where rows come as they are.
pub fn before_copy_without_columns(handler: fn(u32)) {
    if HANDLER.set(handler).is_ok() {
        // SAFETY: _PG_init is the place to chain the hook; the previous one is kept and called.
        unsafe {
            let _ = PREVIOUS.set(pg_sys::ProcessUtility_hook);
            pg_sys::ProcessUtility_hook = Some(process_utility);
        }
    }
}

#[allow(clippy::too_many_arguments)]
unsafe extern "C-unwind" fn process_utility(
    planned: *mut pg_sys::PlannedStmt,
    query: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    parameters: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    destination: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: the server passes a statement of which the tag says which struct it is; everything is passed on as it
    // came.
    unsafe {
        let utility = (*planned).utilityStmt;
        if (*utility).type_ == pg_sys::NodeTag::T_CopyStmt && !server::is_replica_session() {
            let copy: *const pg_sys::CopyStmt = utility.cast();
            if (*copy).is_from && !(*copy).relation.is_null() && (*copy).attlist.is_null() {
                pgrx_extern_c_guard(move || tell((*copy).relation));
            }
        }
        let next = match PREVIOUS.get() {
            Some(Some(previous)) => *previous,
            _ => standard_ProcessUtility,
        };
        next(planned, query, read_only_tree, context, parameters, environment, destination, completion);
    }
}

unsafe fn tell(name: *mut pg_sys::RangeVar) {
    // SAFETY: the caller passes a name of the parse tree.
    if let (Some(handler), Some(table)) = (HANDLER.get(), unsafe { statement::table_named(name) }) {
        handler(table);
    }
}

unsafe extern "C-unwind" {
    /// The server's function without pgrx's guard around it.
    fn standard_ProcessUtility(
        planned: *mut pg_sys::PlannedStmt,
        query: *const c_char,
        read_only_tree: bool,
        context: pg_sys::ProcessUtilityContext::Type,
        parameters: pg_sys::ParamListInfo,
        environment: *mut pg_sys::QueryEnvironment,
        destination: *mut pg_sys::DestReceiver,
        completion: *mut pg_sys::QueryCompletion,
    );
}
