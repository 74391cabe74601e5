//! Sees every object before it is dropped, also by CASCADE, DROP OWNED and DROP EXTENSION, which
//! event triggers tell of too late or not at all; and what REASSIGN OWNED and ALTER ROLE change,
//! for which there are no event triggers.
//!
//! The hook runs for every object of every DDL command, and for much that the server does by
//! itself, so what cannot matter is let through first. As in `executor`, an ERROR of another library's hook
//! must pass untouched: it is called outside the guard that turns our panics into ERRORs.

use super::server;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::pgrx_extern_c_guard;
use std::ffi::{c_int, c_void};
use std::sync::OnceLock;

/// What is about to be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// A table of any kind but a temporary one.
    Table(u32),
    /// A column, by its table and number.
    Column(u32, i32),
    /// An index, while others go on writing: the command commits before it ends.
    IndexConcurrently(u32),
    Extension(u32),
}

/// What a command has changed, but cannot see yet: the catalogs show the state before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Altered {
    /// A table of any kind but a temporary one.
    Table(u32),
    Role,
}

static PREVIOUS: OnceLock<pg_sys::object_access_hook_type> = OnceLock::new();
type OnDropped = fn(Dropped);
type OnAltered = fn(Altered);

static HANDLERS: OnceLock<(OnDropped, OnAltered)> = OnceLock::new();

/// Calls `dropped` before an object is dropped and `altered` when one was changed; they may end the
/// command with an ERROR. Not for what the server does by itself, and not in a replica's session.
pub fn listen(dropped: OnDropped, altered: OnAltered) {
    if HANDLERS.set((dropped, altered)).is_ok() {
        // SAFETY: _PG_init is the place to chain the hook; the previous one is kept and called.
        unsafe {
            let _ = PREVIOUS.set(pg_sys::object_access_hook);
            pg_sys::object_access_hook = Some(object_access);
        }
    }
}

unsafe extern "C-unwind" fn object_access(
    access: pg_sys::ObjectAccessType::Type,
    class: pg_sys::Oid,
    object: pg_sys::Oid,
    column: c_int,
    argument: *mut c_void,
) {
    // SAFETY: passes on what the server passed. For OAT_DROP the argument is an ObjectAccessDrop.
    // Nothing with a destructor is alive while the previous hook runs.
    unsafe {
        if let Some(Some(previous)) = PREVIOUS.get() {
            previous(access, class, object, column, argument);
        }
        match access {
            _ if server::is_replica_session() => {}
            pg_sys::ObjectAccessType::OAT_DROP => {
                let flags = (*argument.cast::<pg_sys::ObjectAccessDrop>()).dropflags as u32;
                if flags & pg_sys::PERFORM_DELETION_INTERNAL == 0 {
                    let concurrently = flags & pg_sys::PERFORM_DELETION_CONCURRENTLY != 0;
                    pgrx_extern_c_guard(move || tell_dropped(class, object, column, concurrently));
                }
            }
            pg_sys::ObjectAccessType::OAT_POST_ALTER if column == 0 => {
                pgrx_extern_c_guard(move || tell_altered(class, object));
            }
            _ => {}
        }
    }
}

fn tell_dropped(class: pg_sys::Oid, object: pg_sys::Oid, column: c_int, concurrently: bool) {
    let dropped = match class {
        pg_sys::RelationRelationId => match (kind(object), column) {
            (Some(Kind::Table), 0) => Dropped::Table(object.to_u32()),
            (Some(Kind::Table), number) => Dropped::Column(object.to_u32(), number),
            (Some(Kind::Index), _) if concurrently => Dropped::IndexConcurrently(object.to_u32()),
            _ => return,
        },
        pg_sys::ExtensionRelationId => Dropped::Extension(object.to_u32()),
        _ => return,
    };
    if let Some((handler, _)) = HANDLERS.get() {
        handler(dropped);
    }
}

fn tell_altered(class: pg_sys::Oid, object: pg_sys::Oid) {
    let altered = match class {
        pg_sys::RelationRelationId if matches!(kind(object), Some(Kind::Table)) => Altered::Table(object.to_u32()),
        pg_sys::AuthIdRelationId => Altered::Role,
        _ => return,
    };
    if let Some((_, handler)) = HANDLERS.get() {
        handler(altered);
    }
}

enum Kind {
    Table,
    Index,
}

fn kind(relation: pg_sys::Oid) -> Option<Kind> {
    // SAFETY: catalog lookups, which give NUL for what is not there.
    let (kind, persistence) =
        unsafe { (pg_sys::get_rel_relkind(relation) as u8, pg_sys::get_rel_persistence(relation) as u8) };
    match kind {
        _ if persistence == pg_sys::RELPERSISTENCE_TEMP => None,
        pg_sys::RELKIND_RELATION | pg_sys::RELKIND_PARTITIONED_TABLE => Some(Kind::Table),
        pg_sys::RELKIND_INDEX | pg_sys::RELKIND_PARTITIONED_INDEX => Some(Kind::Index),
        _ => None,
    }
}

/// The name of an extension.
pub fn extension_name(extension: u32) -> Option<String> {
    // SAFETY: a catalog lookup; the name is a palloc'd string or NULL.
    unsafe {
        let name = pg_sys::get_extension_name(extension.into());
        (!name.is_null()).then(|| std::ffi::CStr::from_ptr(name).to_string_lossy().into_owned())
    }
}
