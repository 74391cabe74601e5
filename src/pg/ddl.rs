//! What a DDL command did to a table, as the server collected it for event triggers.

use pgrx::{PgList, pg_sys};
use std::ffi::CStr;

/// One line for each part of an ALTER TABLE that histories care about: `attach`, `drop COLUMN`,
/// `retype COLUMN`, `detach`, `constraint`, `other`. `None` for any other command.
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
        match action(part.subtype)? {
            Action::Attach => Some("attach".to_owned()),
            Action::Detach => Some("detach".to_owned()),
            Action::Drop => Some(format!("drop {}", column()?)),
            Action::Retype => Some(format!("retype {}", column()?)),
            Action::Constraint => Some("constraint".to_owned()),
            Action::Other => Some("other".to_owned()),
        }
    }
}

enum Action {
    Attach,
    Detach,
    Drop,
    Retype,
    Constraint,
    Other,
}

fn action(part: pg_sys::AlterTableType::Type) -> Option<Action> {
    use pg_sys::AlterTableType as Part;
    let actions = [
        (Part::AT_AttachPartition, Action::Attach),
        (Part::AT_DropColumn, Action::Drop),
        #[cfg(feature = "pg15")]
        (Part::AT_DropColumnRecurse, Action::Drop),
        (Part::AT_AlterColumnType, Action::Retype),
        (Part::AT_AddConstraint, Action::Constraint),
        #[cfg(feature = "pg15")]
        (Part::AT_AddConstraintRecurse, Action::Constraint),
        (Part::AT_AddColumn, Action::Other),
        #[cfg(feature = "pg15")]
        (Part::AT_AddColumnRecurse, Action::Other),
        (Part::AT_DropExpression, Action::Other),
        (Part::AT_DetachPartition, Action::Detach),
        (Part::AT_DetachPartitionFinalize, Action::Detach),
        (Part::AT_AddInherit, Action::Other),
        (Part::AT_SetUnLogged, Action::Other),
    ];
    actions.into_iter().find(|(known, _)| *known == part).map(|(_, action)| action)
}
