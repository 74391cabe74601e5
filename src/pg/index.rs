//! Looks into the seal index of one leaf, without an MVCC snapshot: sealing must not take part in
//! serializable conflicts, nor miss what committed a moment ago.

use super::relation::Relation;
use super::row::Row;
use super::snapshot::Sees;
use pgrx::pg_sys;

struct Scan {
    index: pg_sys::Relation,
    scan: pg_sys::IndexScanDesc,
    slot: *mut pg_sys::TupleTableSlot,
}

impl Drop for Scan {
    fn drop(&mut self) {
        // SAFETY: the three were made together by `visit_under` and are released only here.
        unsafe {
            pg_sys::index_endscan(self.scan);
            pg_sys::ExecDropSingleTupleTableSlot(self.slot);
            pg_sys::index_close(self.index, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        }
    }
}

/// Visits the rows of `chain`, all or only those at `position`, from the highest position down,
/// until `visitor` returns `false`.
pub fn visit(
    leaf: &Relation,
    seal_index: u32,
    chain: &str,
    position: Option<i64>,
    sees: Sees,
    visitor: impl FnMut(Row<'_>) -> bool,
) {
    // SAFETY: the snapshot is static, or the active one, which stays active.
    unsafe { visit_under(sees.snapshot(), leaf, seal_index, chain, position, visitor) }
}

/// Visits the rows of `chain` at `position`, also those of transactions in progress, until
/// `visitor` returns `false`.
pub fn visit_pending(
    leaf: &Relation,
    seal_index: u32,
    chain: &str,
    position: Option<i64>,
    visitor: impl FnMut(Row<'_>) -> bool,
) {
    let mut dirty = pg_sys::SnapshotData { snapshot_type: pg_sys::SnapshotType::SNAPSHOT_DIRTY, ..Default::default() };
    // SAFETY: a dirty snapshot needs only its type set, and this one lives until the visit ends.
    unsafe { visit_under(&raw mut dirty, leaf, seal_index, chain, position, visitor) }
}

/// The snapshot must stay valid until this returns.
unsafe fn visit_under(
    snapshot: pg_sys::Snapshot,
    leaf: &Relation,
    seal_index: u32,
    chain: &str,
    position: Option<i64>,
    mut visitor: impl FnMut(Row<'_>) -> bool,
) {
    // SAFETY: the relation is open; keys and snapshot outlive the scan, which ends before they go.
    // Rows are read from the slot before the next one is fetched.
    unsafe {
        let mut keys = [pg_sys::ScanKeyData::default(); 2];
        let chain = pgrx::rust_str_to_text_p(chain);
        let equal = pg_sys::BTEqualStrategyNumber as pg_sys::StrategyNumber;
        pg_sys::ScanKeyInit(&mut keys[0], 1, equal, pg_sys::F_TEXTEQ.into(), pg_sys::Datum::from(chain.as_ptr()));
        let mut count = 1;
        if let Some(position) = position {
            pg_sys::ScanKeyInit(&mut keys[1], 2, equal, pg_sys::F_INT8EQ.into(), pg_sys::Datum::from(position));
            count = 2;
        }
        let index = pg_sys::index_open(seal_index.into(), pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        let scan = Scan {
            index,
            scan: begin(leaf, index, snapshot, count),
            slot: pg_sys::table_slot_create(leaf.raw(), std::ptr::null_mut()),
        };
        pg_sys::index_rescan(scan.scan, keys.as_mut_ptr(), count, std::ptr::null_mut(), 0);
        let backward = pg_sys::ScanDirection::BackwardScanDirection;
        while pg_sys::index_getnext_slot(scan.scan, backward, scan.slot) {
            if !visitor(Row::of_slot(scan.slot)) {
                break;
            }
            super::server::check_for_interrupts();
        }
    }
}

#[cfg(not(feature = "pg18"))]
unsafe fn begin(
    leaf: &Relation,
    index: pg_sys::Relation,
    snapshot: pg_sys::Snapshot,
    keys: i32,
) -> pg_sys::IndexScanDesc {
    // SAFETY: open relations, a snapshot that outlives the scan.
    unsafe { pg_sys::index_beginscan(leaf.raw(), index, snapshot, keys, 0) }
}

#[cfg(feature = "pg18")]
unsafe fn begin(
    leaf: &Relation,
    index: pg_sys::Relation,
    snapshot: pg_sys::Snapshot,
    keys: i32,
) -> pg_sys::IndexScanDesc {
    // SAFETY: open relations, a snapshot that outlives the scan.
    unsafe { pg_sys::index_beginscan(leaf.raw(), index, snapshot, std::ptr::null_mut(), keys, 0) }
}
