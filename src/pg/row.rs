//! One row's cells, wherever they come from.

use super::value::Value;
use pgrx::pg_sys;
use smallvec::SmallVec;
use std::marker::PhantomData;
use std::slice;

/// Borrowed cells of a row or of an aggregate's arguments.
#[derive(Clone, Copy)]
pub struct Row<'a>(Place<'a>);

#[derive(Clone, Copy)]
enum Place<'a> {
    Cells(&'a [pg_sys::NullableDatum]),
    /// As a slot has them: two arrays of the same length.
    Columns(&'a [pg_sys::Datum], &'a [bool]),
}

impl<'a> Row<'a> {
    /// A row without columns.
    pub(super) const EMPTY: Row<'static> = Row(Place::Cells(&[]));

    /// # Safety
    /// The values behind pass-by-reference datums must live as long as `'a`.
    pub(super) unsafe fn new(cells: &'a [pg_sys::NullableDatum]) -> Row<'a> {
        Row(Place::Cells(cells))
    }

    /// The value at this place; `None` for NULL or a place outside the row.
    pub fn get(&self, index: usize) -> Option<Value<'a>> {
        let (value, is_null) = match self.0 {
            Place::Cells(cells) => cells.get(index).map(|cell| (cell.value, cell.isnull))?,
            Place::Columns(values, nulls) => (*values.get(index)?, *nulls.get(index)?),
        };
        (!is_null).then_some(Value(value, PhantomData))
    }

    /// The values, meaningless where the second array says that they are NULL.
    pub(super) fn arrays(&self) -> (Columns<pg_sys::Datum>, Columns<bool>) {
        match self.0 {
            Place::Cells(cells) => cells.iter().map(|cell| (cell.value, cell.isnull)).unzip(),
            Place::Columns(values, nulls) => (Columns::from_slice(values), Columns::from_slice(nulls)),
        }
    }

    /// The row in a slot.
    ///
    /// # Safety
    /// The slot must hold a tuple, which must stay there as long as `'a`.
    pub(super) unsafe fn of_slot(slot: *mut pg_sys::TupleTableSlot) -> Row<'a> {
        // SAFETY: with all attributes taken out of the tuple, the two arrays have natts valid elements.
        unsafe {
            let natts = (*(*slot).tts_tupleDescriptor).natts;
            if i32::from((*slot).tts_nvalid) < natts {
                pg_sys::slot_getsomeattrs_int(slot, natts);
            }
            Row(Place::Columns(
                slice::from_raw_parts((*slot).tts_values, natts as usize),
                slice::from_raw_parts((*slot).tts_isnull, natts as usize),
            ))
        }
    }
}

/// One thing for each column; on the stack for a table of ordinary width.
pub(super) type Columns<T> = SmallVec<[T; 32]>;

/// Cells copied out of a tuple; the values themselves still live there.
pub(super) struct Cells(Vec<pg_sys::NullableDatum>);

impl Cells {
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
}
