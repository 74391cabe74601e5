//! The C functions that SQL definitions name and that take what Rust types cannot describe: rows
//! of triggers, internal states, VARIADIC "any".

use super::aggregate;
use super::attributes;
use super::ddl;
use super::error::Report;
use super::row::Cells;
use super::statement;
use super::trigger::TriggerCall;
use crate::admin::guard as ddl_guard;
use crate::record::arrivals;
use crate::seal::{guard, trigger};
use crate::verify::audit::AuditState;
use crate::verify::{document, locate::LocateState};
use pgrx::pg_sys::panic::pgrx_extern_c_guard;
use pgrx::{PgSqlErrorCode, pg_sys};

/// A function with the server's version-1 calling convention around `$body`.
macro_rules! c_function {
    ($(#[$meta:meta])* $name:ident, $info:ident, $body:expr) => {
        #[doc(hidden)]
        #[unsafe(no_mangle)]
        pub extern "C" fn $info() -> &'static pg_sys::Pg_finfo_record {
            const INFO: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
            &INFO
        }

        $(#[$meta])*
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $name(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
            // SAFETY: SQL declares each function with the arguments that its body expects, and
            // only the server calls it. The guard turns a panic into an ERROR.
            unsafe { pgrx_extern_c_guard(move || $body(fcinfo)) }
        }
    };
}

c_function!(
    /// `seal.seal_entry()`: BEFORE INSERT FOR EACH ROW.
    pgseal_seal_entry, pg_finfo_pgseal_seal_entry, seal_entry
);
c_function!(
    /// `seal.refuse_change()`: BEFORE UPDATE OR DELETE FOR EACH ROW, BEFORE TRUNCATE.
    pgseal_refuse_change, pg_finfo_pgseal_refuse_change, refuse_change
);
c_function!(
    /// `seal.take_in()`: BEFORE INSERT OR UPDATE OR DELETE FOR EACH ROW of pgseal's own tables.
    pgseal_take_in, pg_finfo_pgseal_take_in, take_in
);
c_function!(
    /// `seal.document(record)`.
    pgseal_document_of, pg_finfo_pgseal_document_of, document_of
);
c_function!(
    /// `seal.before_ddl()`: event trigger ON ddl_command_start.
    pgseal_before_ddl, pg_finfo_pgseal_before_ddl, before_ddl
);
c_function!(
    /// `seal.after_ddl()`: event trigger ON ddl_command_end.
    pgseal_after_ddl, pg_finfo_pgseal_after_ddl, after_ddl
);
c_function!(
    /// `seal.table_changes(pg_ddl_command)`.
    pgseal_table_changes, pg_finfo_pgseal_table_changes, table_changes
);
c_function!(pgseal_audit_add, pg_finfo_pgseal_audit_add, aggregate::add::<AuditState>);
c_function!(pgseal_audit_merge, pg_finfo_pgseal_audit_merge, aggregate::merge::<AuditState>);
c_function!(pgseal_audit_save, pg_finfo_pgseal_audit_save, aggregate::save::<AuditState>);
c_function!(pgseal_audit_load, pg_finfo_pgseal_audit_load, aggregate::load::<AuditState>);
c_function!(pgseal_audit_finish, pg_finfo_pgseal_audit_finish, aggregate::finish::<AuditState>);
c_function!(pgseal_locate_add, pg_finfo_pgseal_locate_add, aggregate::add::<LocateState>);
c_function!(pgseal_locate_finish, pg_finfo_pgseal_locate_finish, aggregate::finish::<LocateState>);

/// # Safety
/// As all below: called by the server, with the arguments of the SQL declaration.
unsafe fn seal_entry(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the caller's promise.
    let call = unsafe { TriggerCall::from_call(fcinfo) };
    pg_sys::Datum::from(trigger::seal(&call).0)
}

/// # Safety
/// See `seal_entry`.
unsafe fn refuse_change(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the caller's promise.
    let call = unsafe { TriggerCall::from_call(fcinfo) };
    pg_sys::Datum::from(guard::judge(&call).0)
}

/// # Safety
/// See `seal_entry`.
unsafe fn take_in(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the caller's promise.
    let call = unsafe { TriggerCall::from_call(fcinfo) };
    pg_sys::Datum::from(arrivals::judge(&call).0)
}

/// # Safety
/// See `seal_entry`.
unsafe fn before_ddl(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the caller's promise; the data is valid during the call.
    let statement = unsafe { statement::of_event(event_of(fcinfo)) };
    ddl_guard::before(&statement);
    pg_sys::Datum::null()
}

/// # Safety
/// See `seal_entry`.
unsafe fn after_ddl(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the caller's promise; the data is valid during the call.
    let tag = unsafe { statement::tag_of(event_of(fcinfo)) };
    ddl_guard::after(&tag);
    pg_sys::Datum::null()
}

/// # Safety
/// See `seal_entry`.
unsafe fn event_of(fcinfo: pg_sys::FunctionCallInfo) -> *const pg_sys::EventTriggerData {
    // SAFETY: the caller's promise; the context's tag tells whether it is an event trigger's call.
    unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_EventTriggerData {
            Report::new(
                PgSqlErrorCode::ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED,
                "an event trigger function of pgseal was called without an event",
            )
            .hint("CREATE EXTENSION makes the event triggers; the functions are not called by hand.")
            .raise();
        }
        context.cast()
    }
}

/// # Safety
/// See `seal_entry`.
unsafe fn table_changes(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: a value of the pseudo-type pg_ddl_command can only come from the server's own
    // pg_event_trigger_ddl_commands.
    unsafe {
        let command = (*fcinfo).args.as_slice(1)[0].value.cast_mut_ptr::<pg_sys::CollectedCommand>();
        match ddl::table_changes(command) {
            Some(lines) => pg_sys::Datum::from(pgrx::rust_str_to_text_p(&lines).as_ptr()),
            None => {
                (*fcinfo).isnull = true;
                pg_sys::Datum::null()
            }
        }
    }
}

/// # Safety
/// See `seal_entry`.
unsafe fn document_of(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the argument is a composite datum, which the server checked; it is taken apart by
    // heap_deform_tuple with the descriptor that it names, which stays pinned meanwhile.
    unsafe {
        let cells = (*fcinfo).args.as_slice(1);
        let header = pg_sys::pg_detoast_datum(cells[0].value.cast_mut_ptr()).cast::<pg_sys::HeapTupleHeaderData>();
        let fields = (*header).t_choice.t_datum;
        let descriptor = pg_sys::lookup_rowtype_tupdesc(fields.datum_typeid, fields.datum_typmod);
        let mut tuple = pg_sys::HeapTupleData {
            t_len: pgrx::varsize(header.cast()) as u32,
            t_self: Default::default(),
            t_tableOid: pg_sys::InvalidOid,
            t_data: header,
        };
        let columns = attributes::of_descriptor(descriptor);
        let relation = pg_sys::get_typ_typrelid(fields.datum_typeid).to_u32();
        let text = document::of_row(relation, &columns, Cells::of_tuple(&mut tuple, descriptor).row());
        if (*descriptor).tdrefcount >= 0 {
            pg_sys::DecrTupleDescRefCount(descriptor);
        }
        pg_sys::Datum::from(pgrx::rust_str_to_text_p(&text).as_ptr())
    }
}
