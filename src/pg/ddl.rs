//! What a DDL command did to a table, as the server collected it for event triggers.

use pgrx::{PgList, pg_sys};
use std::ffi::CStr;

/// One line for each part of an ALTER TABLE that histories care about: `attach`, `drop COLUMN`,
/// `retype COLUMN`, `constraint`, `other`. `None` for any other command.
///
/// # Safety
/// The command must come from `pg_event_trigger_ddl_commands` of the event trigger that runs.
pub(super) unsafe fn table_changes(command: *mut pg_sys::CollectedCommand) -> Option<String> {
    // SAFETY: the caller's promise; the command's type says which member of the union is set, and
    // a node's tag what it is.
    unsafe {
        if (*command).type_ != pg_sys::CollectedCommandType::SCT_AlterTable {
            return None;
        }
        let parts = PgList::<pg_sys::CollectedATSubcmd>::from_pg((*command).d.alterTable.subcmds);
        let lines: Vec<String> = parts.iter_ptr().filter_map(|part| line((*part).parsetree)).collect();
        Some(lines.join("\n"))
    }
}

unsafe fn line(node: *mut pg_sys::Node) -> Option<String> {
    // SAFETY: as in `table_changes`; name is NULL or a string of the parse tree.
    unsafe {
        if node.is_null() || (*node).type_ != pg_sys::NodeTag::T_AlterTableCmd {
            return None;
        }
        let part = &*node.cast::<pg_sys::AlterTableCmd>();
        let column = || (!part.name.is_null()).then(|| CStr::from_ptr(part.name).to_string_lossy());
        use pg_sys::AlterTableType as Part;
        if part.subtype == Part::AT_AttachPartition {
            Some("attach".to_owned())
        } else if drops_column(part.subtype) {
            Some(format!("drop {}", column()?))
        } else if part.subtype == Part::AT_AlterColumnType {
            Some(format!("retype {}", column()?))
        } else if part.subtype == Part::AT_AddConstraint {
            Some("constraint".to_owned())
        } else {
            let matters = [Part::AT_AddColumn, Part::AT_DetachPartition, Part::AT_AddInherit, Part::AT_SetUnLogged];
            (matters.contains(&part.subtype) || adds_column(part.subtype)).then(|| "other".to_owned())
        }
    }
}

#[cfg(feature = "pg15")]
fn adds_column(part: pg_sys::AlterTableType::Type) -> bool {
    part == pg_sys::AlterTableType::AT_AddColumnRecurse
}

#[cfg(not(feature = "pg15"))]
fn adds_column(_part: pg_sys::AlterTableType::Type) -> bool {
    false
}

#[cfg(feature = "pg15")]
fn drops_column(part: pg_sys::AlterTableType::Type) -> bool {
    part == pg_sys::AlterTableType::AT_DropColumn || part == pg_sys::AlterTableType::AT_DropColumnRecurse
}

#[cfg(not(feature = "pg15"))]
fn drops_column(part: pg_sys::AlterTableType::Type) -> bool {
    part == pg_sys::AlterTableType::AT_DropColumn
}
