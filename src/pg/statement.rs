//! What a DDL command is about to do, read from its parse tree by an event trigger at its start.

use pgrx::{PgList, pg_sys};
use std::ffi::CStr;

/// Which tables' definitions a command can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touches {
    Nothing,
    /// These, and what has the row type of one of them.
    Tables(Vec<u32>),
    Anything,
}

/// A partition that a command takes out of its parent.
#[derive(Debug, Clone, Copy)]
pub struct Detached {
    pub table: u32,
    pub concurrently: bool,
}

/// A DDL command before it does anything.
#[derive(Debug, Clone)]
pub struct Statement {
    /// As `ALTER TABLE`.
    pub tag: String,
    pub touches: Touches,
    /// Commits before it ends.
    pub concurrently: bool,
    /// Enables triggers of a table, perhaps all.
    pub enables_triggers: bool,
    /// Tables that it names to be dropped.
    pub drops: Vec<u32>,
    pub detaches: Vec<Detached>,
    /// Tables that become a partition of another one.
    pub attaches: Vec<u32>,
    /// Extensions that it names to be dropped.
    pub drops_extensions: Vec<String>,
}

/// # Safety
/// Must be the context of an event trigger call, valid during the call.
pub(super) unsafe fn of_event(data: *const pg_sys::EventTriggerData) -> Statement {
    // SAFETY: the caller's promise; a node's tag says what it is.
    unsafe {
        let mut statement = Statement {
            tag: tag_of(data),
            touches: Touches::Nothing,
            concurrently: false,
            enables_triggers: false,
            drops: Vec::new(),
            detaches: Vec::new(),
            attaches: Vec::new(),
            drops_extensions: Vec::new(),
        };
        statement.read((*data).parsetree);
        statement
    }
}

/// # Safety
/// As `of_event`.
pub(super) unsafe fn tag_of(data: *const pg_sys::EventTriggerData) -> String {
    // SAFETY: the caller's promise; names of tags are static strings.
    unsafe { CStr::from_ptr(pg_sys::GetCommandTagName((*data).tag)).to_string_lossy().into_owned() }
}

impl Statement {
    unsafe fn read(&mut self, node: *mut pg_sys::Node) {
        use pg_sys::NodeTag::*;
        if node.is_null() {
            return;
        }
        // SAFETY: the tag says which struct the node is; lists hold what the grammar puts there.
        unsafe {
            match (*node).type_ {
                T_CreateStmt | T_CreateForeignTableStmt => {
                    let parents =
                        PgList::<pg_sys::RangeVar>::from_pg((*node.cast::<pg_sys::CreateStmt>()).inhRelations);
                    self.tables(parents.iter_ptr().collect());
                }
                T_CreateSchemaStmt if !(*node.cast::<pg_sys::CreateSchemaStmt>()).schemaElts.is_null() => {
                    self.touches = Touches::Anything;
                }
                T_IndexStmt => {
                    let index = &*node.cast::<pg_sys::IndexStmt>();
                    self.concurrently = index.concurrent;
                    self.tables(vec![index.relation]);
                }
                T_CreateTrigStmt => self.tables(vec![(*node.cast::<pg_sys::CreateTrigStmt>()).relation]),
                T_RuleStmt => self.tables(vec![(*node.cast::<pg_sys::RuleStmt>()).relation]),
                T_CreatePolicyStmt => self.tables(vec![(*node.cast::<pg_sys::CreatePolicyStmt>()).table]),
                T_AlterPolicyStmt => self.tables(vec![(*node.cast::<pg_sys::AlterPolicyStmt>()).table]),
                T_AlterTableStmt => self.alter_table(&*node.cast::<pg_sys::AlterTableStmt>()),
                T_DropStmt => self.drop(&*node.cast::<pg_sys::DropStmt>()),
                // Other tables' constraints, policies and rules name what got another name.
                T_RenameStmt | T_AlterObjectSchemaStmt | T_AlterEnumStmt | T_AlterDomainStmt | T_DropOwnedStmt => {
                    self.touches = Touches::Anything
                }
                _ => {}
            }
        }
    }

    unsafe fn alter_table(&mut self, alter: &pg_sys::AlterTableStmt) {
        use pg_sys::AlterTableType::*;
        // SAFETY: as in `read`; for the two actions on partitions `def` is a PartitionCmd.
        unsafe {
            let mut tables = vec![alter.relation];
            let mut cascades = false;
            for part in PgList::<pg_sys::AlterTableCmd>::from_pg(alter.cmds).iter_ptr() {
                cascades |= (*part).behavior == pg_sys::DropBehavior::DROP_CASCADE;
                self.enables_triggers |=
                    [AT_EnableTrig, AT_EnableTrigAll, AT_EnableTrigUser].contains(&(*part).subtype);
                if (*part).subtype != AT_AttachPartition && (*part).subtype != AT_DetachPartition {
                    continue;
                }
                let partition = &*(*part).def.cast::<pg_sys::PartitionCmd>();
                let Some(table) = table_named(partition.name) else { continue };
                if (*part).subtype == AT_AttachPartition {
                    self.attaches.push(table);
                    tables.push(partition.name);
                } else {
                    self.concurrently |= partition.concurrent;
                    self.detaches.push(Detached { table, concurrently: partition.concurrent });
                }
            }
            self.tables(tables);
            if cascades {
                self.touches = Touches::Anything;
            }
        }
    }

    unsafe fn drop(&mut self, drop: &pg_sys::DropStmt) {
        use pg_sys::ObjectType::*;
        self.concurrently = drop.concurrent;
        // SAFETY: as in `read`: a relation's name is a list of strings, that of a trigger, rule or
        // policy the same with its own name behind, an extension's a string.
        unsafe {
            let objects = PgList::<pg_sys::Node>::from_pg(drop.objects);
            match drop.removeType {
                OBJECT_TABLE | OBJECT_INDEX => {
                    let names = objects.iter_ptr().map(|name| pg_sys::makeRangeVarFromNameList(name.cast())).collect();
                    self.tables(names);
                    if let (OBJECT_TABLE, Touches::Tables(tables)) = (drop.removeType, &self.touches) {
                        self.drops = tables.clone();
                    }
                }
                OBJECT_TRIGGER | OBJECT_RULE | OBJECT_POLICY => {
                    let names = objects.iter_ptr().filter_map(|name| table_of_part(name.cast())).collect();
                    self.tables(names);
                }
                OBJECT_EXTENSION => {
                    self.drops_extensions = objects
                        .iter_ptr()
                        .map(|name| {
                            CStr::from_ptr((*name.cast::<pg_sys::String>()).sval).to_string_lossy().into_owned()
                        })
                        .collect();
                }
                _ => {}
            }
            if drop.behavior == pg_sys::DropBehavior::DROP_CASCADE {
                self.touches = Touches::Anything;
            }
        }
    }

    unsafe fn tables(&mut self, names: Vec<*mut pg_sys::RangeVar>) {
        // SAFETY: the caller passes names of the parse tree.
        let found: Vec<u32> = names.into_iter().filter_map(|name| unsafe { table_named(name) }).collect();
        self.touches = if found.is_empty() { Touches::Nothing } else { Touches::Tables(found) };
    }
}

/// The table of `schema.table.trigger`.
unsafe fn table_of_part(name: *mut pg_sys::List) -> Option<*mut pg_sys::RangeVar> {
    // SAFETY: the caller passes a list of strings; a copy is cut.
    unsafe {
        let length = pg_sys::list_length(name);
        (length > 1)
            .then(|| pg_sys::makeRangeVarFromNameList(pg_sys::list_truncate(pg_sys::list_copy(name), length - 1)))
    }
}

/// The table of this name, or that of the index of this name, under the session's search path.
pub(super) unsafe fn table_named(name: *mut pg_sys::RangeVar) -> Option<u32> {
    if name.is_null() {
        return None;
    }
    // SAFETY: catalog lookups without a lock; whatever is not there gives InvalidOid.
    unsafe {
        let lock = pg_sys::NoLock as pg_sys::LOCKMODE;
        let missing_ok = pg_sys::RVROption::RVR_MISSING_OK;
        let relation = pg_sys::RangeVarGetRelidExtended(name, lock, missing_ok, None, std::ptr::null_mut());
        if relation == pg_sys::InvalidOid {
            return None;
        }
        let table = match pg_sys::get_rel_relkind(relation) as u8 {
            pg_sys::RELKIND_INDEX | pg_sys::RELKIND_PARTITIONED_INDEX => pg_sys::IndexGetRelation(relation, true),
            _ => relation,
        };
        (table != pg_sys::InvalidOid).then(|| table.to_u32())
    }
}
