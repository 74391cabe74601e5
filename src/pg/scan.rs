//! Reads all rows of one of pgseal's own small tables, committed ones and this transaction's own.

use super::relation::Relation;
use super::row::Row;
use super::snapshot::Sees;
use pgrx::pg_sys;

struct Scan {
    scan: pg_sys::TableScanDesc,
    slot: *mut pg_sys::TupleTableSlot,
}

impl Drop for Scan {
    fn drop(&mut self) {
        // SAFETY: made together by `visit` and released only here.
        unsafe {
            pg_sys::table_endscan(self.scan);
            pg_sys::ExecDropSingleTupleTableSlot(self.slot);
        }
    }
}

/// Visits every row. Not an MVCC snapshot: a writer sees the configuration as it is now,
/// whatever its own snapshot, and causes no serializable conflict.
pub fn visit(table: &Relation, visitor: impl FnMut(Row<'_>)) {
    visit_as(table, Sees::Stored, visitor);
}

/// Visits every row that `sees` shows.
pub fn visit_as(table: &Relation, sees: Sees, mut visitor: impl FnMut(Row<'_>)) {
    // SAFETY: the relation is open; the snapshot is static, or the active one, which stays active.
    // Each row is read before the next.
    unsafe {
        let scan = Scan {
            scan: pg_sys::table_beginscan(table.raw(), sees.snapshot(), 0, std::ptr::null_mut()),
            slot: pg_sys::table_slot_create(table.raw(), std::ptr::null_mut()),
        };
        let forward = pg_sys::ScanDirection::ForwardScanDirection;
        while pg_sys::table_scan_getnextslot(scan.scan, forward, scan.slot) {
            visitor(Row::of_slot(scan.slot));
        }
    }
}

/// Oid of a table of the schema `seal`; `None` if the extension is not installed here.
pub fn seal_table(name: &std::ffi::CStr) -> Option<u32> {
    // SAFETY: catalog lookups by name.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"seal".as_ptr(), true);
        if schema == pg_sys::InvalidOid {
            return None;
        }
        let oid = pg_sys::get_relname_relid(name.as_ptr(), schema);
        (oid != pg_sys::InvalidOid).then(|| oid.to_u32())
    }
}
