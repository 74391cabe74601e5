//! One row's cells, wherever they come from.

use super::value::Value;
use pgrx::pg_sys;
use std::marker::PhantomData;

/// Borrowed cells of a row or of an aggregate's arguments.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    cells: &'a [pg_sys::NullableDatum],
}

impl<'a> Row<'a> {
    /// # Safety
    /// The values behind pass-by-reference datums must live as long as `'a`.
    pub(super) unsafe fn new(cells: &'a [pg_sys::NullableDatum]) -> Row<'a> {
        Row { cells }
    }

    /// The value at this place; `None` for NULL or a place outside the row.
    pub fn get(&self, index: usize) -> Option<Value<'a>> {
        let cell = self.cells.get(index)?;
        (!cell.isnull).then_some(Value(cell.value, PhantomData))
    }
}

/// Cells copied out of a slot or tuple; the values themselves still live there.
#[derive(Default)]
pub(super) struct Cells(Vec<pg_sys::NullableDatum>);

impl Cells {
    /// # Safety
    /// The slot must hold a tuple, which must stay there while the cells are used.
    pub(super) unsafe fn of_slot(slot: *mut pg_sys::TupleTableSlot) -> Cells {
        // SAFETY: after slot_getallattrs the two arrays have natts valid elements.
        unsafe {
            let natts = (*(*slot).tts_tupleDescriptor).natts;
            if i32::from((*slot).tts_nvalid) < natts {
                pg_sys::slot_getsomeattrs_int(slot, natts);
            }
            Cells(
                (0..natts as usize)
                    .map(|i| pg_sys::NullableDatum {
                        value: *(*slot).tts_values.add(i),
                        isnull: *(*slot).tts_isnull.add(i),
                    })
                    .collect(),
            )
        }
    }

    /// # Safety
    /// The tuple must match the descriptor and outlive the cells.
    pub(super) unsafe fn of_tuple(tuple: pg_sys::HeapTuple, descriptor: pg_sys::TupleDesc) -> Cells {
        // SAFETY: both arrays have natts elements.
        unsafe {
            let natts = (*descriptor).natts as usize;
            let mut values = vec![pg_sys::Datum::null(); natts];
            let mut nulls = vec![true; natts];
            pg_sys::heap_deform_tuple(tuple, descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
            Cells(
                values.into_iter().zip(nulls).map(|(value, isnull)| pg_sys::NullableDatum { value, isnull }).collect(),
            )
        }
    }

    pub(super) fn row(&self) -> Row<'_> {
        // SAFETY: the constructors' callers keep the values alive while the cells are borrowed.
        unsafe { Row::new(&self.0) }
    }

    pub(super) fn split(&self) -> (Vec<pg_sys::Datum>, Vec<bool>) {
        self.0.iter().map(|cell| (cell.value, cell.isnull)).unzip()
    }
}
