//! Open tables: columns, leaves, triggers, the seal index.

use super::attributes::{self, Attribute};
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::{PgList, pg_sys};
use std::ffi::CStr;

unsafe extern "C-unwind" {
    fn get_partition_ancestors(relid: pg_sys::Oid) -> *mut pg_sys::List;
    fn find_all_inheritors(
        parent: pg_sys::Oid,
        lockmode: pg_sys::LOCKMODE,
        numparents: *mut *mut pg_sys::List,
    ) -> *mut pg_sys::List;
}

/// An open table, closed on drop; the lock taken to open it is released then, too.
pub struct Relation {
    raw: pg_sys::Relation,
}

/// A trigger as the relation cache has it.
pub struct TriggerFacts {
    pub name: Vec<u8>,
    pub function: u32,
    pub before_insert_row: bool,
    pub disabled: bool,
}

impl Relation {
    /// Opens with ACCESS SHARE; `None` if it is gone.
    pub fn open(oid: u32) -> Option<Relation> {
        // SAFETY: try_relation_open accepts any oid and waits for the lock.
        let raw = unsafe { pg_sys::try_relation_open(oid.into(), pg_sys::AccessShareLock as pg_sys::LOCKMODE) };
        if raw.is_null() { None } else { Some(Relation { raw }) }
    }

    /// The catalog of databases, which also a process without a database can open.
    pub fn databases() -> Relation {
        // SAFETY: a shared catalog that is nailed in the relation cache of every process.
        let raw =
            unsafe { pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as pg_sys::LOCKMODE) };
        Relation { raw }
    }

    /// Opens with ACCESS SHARE if that lock is free; `None` also if it is not.
    pub fn open_at_once(oid: u32) -> Option<Relation> {
        let mode = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        // SAFETY: any oid may be locked; the relation is opened under the lock just taken, which
        // closing it releases.
        unsafe {
            if !pg_sys::ConditionalLockRelationOid(oid.into(), mode) {
                return None;
            }
            let raw = pg_sys::try_relation_open(oid.into(), pg_sys::NoLock as pg_sys::LOCKMODE);
            if raw.is_null() {
                pg_sys::UnlockRelationOid(oid.into(), mode);
                return None;
            }
            Some(Relation { raw })
        }
    }

    pub(super) fn raw(&self) -> pg_sys::Relation {
        self.raw
    }

    pub fn oid(&self) -> u32 {
        // SAFETY: an open relation.
        unsafe { (*self.raw).rd_id }.to_u32()
    }

    /// Live columns in the order of the table.
    pub fn attributes(&self) -> Vec<Attribute> {
        // SAFETY: an open relation has a descriptor.
        unsafe { attributes::of_descriptor((*self.raw).rd_att) }
    }

    /// Whether rows are stored here, as opposed to a partitioned parent.
    pub fn has_storage(&self) -> bool {
        self.kind() == pg_sys::RELKIND_RELATION
    }

    fn kind(&self) -> u8 {
        // SAFETY: an open relation has its pg_class row.
        unsafe { (*(*self.raw).rd_rel).relkind as u8 }
    }

    /// Triggers in the order in which they fire.
    pub fn triggers(&self) -> Vec<TriggerFacts> {
        // SAFETY: trigdesc is NULL or describes numtriggers triggers while the relation is open.
        unsafe {
            let description = (*self.raw).trigdesc;
            if description.is_null() {
                return Vec::new();
            }
            (0..(*description).numtriggers as usize)
                .map(|i| &*(*description).triggers.add(i))
                .map(|trigger| TriggerFacts {
                    name: CStr::from_ptr(trigger.tgname).to_bytes().to_vec(),
                    function: trigger.tgfoid.to_u32(),
                    before_insert_row: fires_before_insert_row(trigger.tgtype),
                    disabled: trigger.tgenabled as u8 == pg_sys::TRIGGER_DISABLED,
                })
                .collect()
        }
    }

    /// The unique, valid index on (seal_chain, seal_seq) of this table.
    pub fn seal_index(&self) -> Option<u32> {
        self.seal_indexes().first().copied()
    }

    /// All of them: somebody may have made a second one.
    pub fn seal_indexes(&self) -> Vec<u32> {
        self.unique_indexes([c"seal_chain", c"seal_seq"])
    }

    /// The unique, valid index on these two columns.
    pub fn unique_index(&self, columns: [&CStr; 2]) -> Option<u32> {
        self.unique_indexes(columns).first().copied()
    }

    fn unique_indexes(&self, columns: [&CStr; 2]) -> Vec<u32> {
        let wanted = columns.map(|name| {
            // SAFETY: a catalog lookup in an open relation; InvalidAttrNumber if absent.
            unsafe { pg_sys::get_attnum((*self.raw).rd_id, name.as_ptr()) }
        });
        // SAFETY: the list and the opened indexes belong to this open relation; each is closed
        // again. rd_index has indnkeyatts key columns.
        unsafe {
            let list = PgList::<pg_sys::Oid>::from_pg(pg_sys::RelationGetIndexList(self.raw));
            list.iter_oid()
                .filter(|&oid| {
                    let index = pg_sys::index_open(oid, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
                    let form = &*(*index).rd_index;
                    let keys = form.indkey.values.as_slice(form.indnatts.max(0) as usize);
                    let no_predicate = pg_sys::RelationGetIndexPredicate(index).is_null();
                    let fits = form.indisunique
                        && form.indisvalid
                        && form.indisready
                        && form.indnkeyatts == 2
                        && no_predicate
                        && keys.get(..2) == Some(&wanted[..]);
                    pg_sys::index_close(index, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
                    fits
                })
                .map(|oid| oid.to_u32())
                .collect()
        }
    }
}

fn fires_before_insert_row(kind: i16) -> bool {
    let kind = kind as u32;
    kind & pg_sys::TRIGGER_TYPE_ROW != 0
        && kind & pg_sys::TRIGGER_TYPE_BEFORE != 0
        && kind & pg_sys::TRIGGER_TYPE_INSERT != 0
}

impl Drop for Relation {
    fn drop(&mut self) {
        // SAFETY: opened by `open` with the same lock mode and closed only here.
        unsafe { pg_sys::relation_close(self.raw, pg_sys::AccessShareLock as pg_sys::LOCKMODE) }
    }
}

/// Live columns of a table; none if it is gone.
pub fn attributes_of(relation: u32) -> Vec<Attribute> {
    Relation::open(relation).map(|open| open.attributes()).unwrap_or_default()
}

/// The topmost partitioned parent of a leaf; the table itself if it is no partition.
pub fn root_of(relation: u32) -> u32 {
    // SAFETY: catalog lookups; the list holds oids, parent first, root last.
    unsafe {
        if !pg_sys::get_rel_relispartition(relation.into()) {
            return relation;
        }
        PgList::<pg_sys::Oid>::from_pg(pg_guard_ffi_boundary(|| get_partition_ancestors(relation.into())))
            .iter_oid()
            .last()
            .map_or(relation, |oid| oid.to_u32())
    }
}

/// The table and all tables below it, without taking a lock.
pub fn with_descendants(relation: u32) -> Vec<u32> {
    // SAFETY: a catalog scan; the list holds oids.
    unsafe {
        let list = pg_guard_ffi_boundary(|| {
            find_all_inheritors(relation.into(), pg_sys::NoLock as pg_sys::LOCKMODE, std::ptr::null_mut())
        });
        PgList::<pg_sys::Oid>::from_pg(list).iter_oid().map(|oid| oid.to_u32()).collect()
    }
}

/// Schema-qualified name as SQL text, or the oid if the table is gone.
pub fn name_of(relation: u32) -> String {
    // SAFETY: catalog lookups; the names are palloc'd strings or NULL.
    unsafe {
        let name = pg_sys::get_rel_name(relation.into());
        if name.is_null() {
            return relation.to_string();
        }
        let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relation.into()));
        let schema = if schema.is_null() { c"?".as_ptr() } else { schema };
        let quoted = pg_sys::quote_qualified_identifier(schema, name);
        CStr::from_ptr(quoted).to_string_lossy().into_owned()
    }
}

pub fn exists(relation: u32) -> bool {
    // SAFETY: a catalog lookup.
    unsafe { !pg_sys::get_rel_name(relation.into()).is_null() }
}

/// Oid of the role that owns the table.
pub fn owner_of(relation: u32) -> u32 {
    let rows = super::spi::execute(&format!("SELECT relowner FROM pg_catalog.pg_class WHERE oid = {relation}"));
    super::spi::value(rows).and_then(|oid| oid.parse().ok()).unwrap_or(pg_sys::InvalidOid.to_u32())
}

/// Locks a table and all tables below it (ACCESS SHARE) until the transaction ends; `false` if it
/// is gone by then.
pub fn lock_with_descendants(relation: u32) -> bool {
    let mode = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    // SAFETY: any oid may be locked; whether it still is a table is asked with the lock held.
    unsafe {
        pg_sys::LockRelationOid(relation.into(), mode);
        if !exists(relation) {
            pg_sys::UnlockRelationOid(relation.into(), mode);
            return false;
        }
        pg_guard_ffi_boundary(|| find_all_inheritors(relation.into(), mode, std::ptr::null_mut()));
    }
    true
}

/// ACCESS SHARE locks for as long as one looks; released on drop.
pub struct Held(Vec<u32>);

impl Drop for Held {
    fn drop(&mut self) {
        for relation in &self.0 {
            // SAFETY: locked in `hold` or `try_hold` and released only here.
            unsafe { pg_sys::UnlockRelationOid((*relation).into(), pg_sys::AccessShareLock as pg_sys::LOCKMODE) }
        }
    }
}

/// Waits until nobody else is changing the table.
pub fn hold(relation: u32) -> Held {
    // SAFETY: any oid may be locked.
    unsafe { pg_sys::LockRelationOid(relation.into(), pg_sys::AccessShareLock as pg_sys::LOCKMODE) };
    Held(vec![relation])
}

/// Locks all these tables without waiting for anybody; `None` if one of them is being changed.
pub fn try_hold(relations: &[u32]) -> Option<Held> {
    let mut held = Held(Vec::with_capacity(relations.len()));
    for relation in relations {
        // SAFETY: any oid may be locked.
        let locked = unsafe {
            pg_sys::ConditionalLockRelationOid((*relation).into(), pg_sys::AccessShareLock as pg_sys::LOCKMODE)
        };
        if !locked {
            return None;
        }
        held.0.push(*relation);
    }
    Some(held)
}

/// The table that an index belongs to.
pub fn table_of_index(index: u32) -> Option<u32> {
    // SAFETY: a catalog lookup; InvalidOid if there is no such index.
    let table = unsafe { pg_sys::IndexGetRelation(index.into(), true) };
    (table != pg_sys::InvalidOid).then(|| table.to_u32())
}
