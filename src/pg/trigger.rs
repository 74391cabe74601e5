//! A call of a trigger function.

use super::error::Report;
use super::row::Row;
use pgrx::{PgSqlErrorCode, pg_sys};
use std::cell::{Cell, UnsafeCell};
use std::ptr;

/// What fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fired {
    BeforeInsertRow,
    BeforeUpdateRow,
    BeforeDeleteRow,
    BeforeTruncate,
    Otherwise,
}

/// A trigger call with its row, if it fires for one.
pub struct TriggerCall<'a> {
    data: *mut pg_sys::TriggerData,
    row: Row<'a>,
}

/// A row to be stored instead of the incoming one.
pub struct NewTuple(pub(super) pg_sys::HeapTuple);

impl TriggerCall<'_> {
    /// # Safety
    /// Must be the call info that the server passed to a C function.
    pub(super) unsafe fn from_call(fcinfo: pg_sys::FunctionCallInfo) -> TriggerCall<'static> {
        // SAFETY: the caller's promise; the context's tag tells whether it is a trigger call.
        unsafe {
            let context = (*fcinfo).context;
            if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_TriggerData {
                Report::new(
                    PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
                    "a trigger function of pgseal was called without a trigger",
                )
                .hint("seal.attach creates the triggers; the functions are not called by hand.")
                .raise();
            }
            let mut call = TriggerCall { data: context.cast(), row: Row::EMPTY };
            match call.fired() {
                Fired::BeforeInsertRow => call.row = Row::of_slot((*call.data).tg_trigslot),
                Fired::BeforeUpdateRow => call.row = Row::of_slot((*call.data).tg_newslot),
                Fired::BeforeDeleteRow => call.row = Row::of_slot((*call.data).tg_trigslot),
                _ => {}
            }
            call
        }
    }

    pub fn fired(&self) -> Fired {
        // SAFETY: trigger data is valid during the call.
        let event = unsafe { (*self.data).tg_event };
        let row = event & pg_sys::TRIGGER_EVENT_ROW != 0;
        let before = event & pg_sys::TRIGGER_EVENT_TIMINGMASK == pg_sys::TRIGGER_EVENT_BEFORE;
        match (before, row, event & pg_sys::TRIGGER_EVENT_OPMASK) {
            (true, true, pg_sys::TRIGGER_EVENT_INSERT) => Fired::BeforeInsertRow,
            (true, true, pg_sys::TRIGGER_EVENT_UPDATE) => Fired::BeforeUpdateRow,
            (true, true, pg_sys::TRIGGER_EVENT_DELETE) => Fired::BeforeDeleteRow,
            (true, false, pg_sys::TRIGGER_EVENT_TRUNCATE) => Fired::BeforeTruncate,
            _ => Fired::Otherwise,
        }
    }

    /// Oid of the table whose row it is: a leaf of a partitioned history.
    pub fn relation(&self) -> u32 {
        // SAFETY: the relation is open during the call.
        unsafe { (*(*self.data).tg_relation).rd_id }.to_u32()
    }

    /// Oid of the function that the trigger calls.
    pub fn function(&self) -> u32 {
        // SAFETY: the trigger's description is valid during the call.
        unsafe { (*(*self.data).tg_trigger).tgfoid }.to_u32()
    }

    /// The row as it came: the statement goes on with it.
    pub fn unchanged(&self) -> NewTuple {
        // SAFETY: trigger data is valid during the call; for DELETE it is the row to be deleted, for UPDATE there is a
        // second one, the new row.
        NewTuple(unsafe {
            if self.fired() == Fired::BeforeUpdateRow { (*self.data).tg_newtuple } else { (*self.data).tg_trigtuple }
        })
    }

    /// No row: the statement leaves this one out.
    pub fn nothing(&self) -> NewTuple {
        NewTuple(ptr::null_mut())
    }

    /// The row as the triggers before this one left it; for DELETE the one to be deleted.
    pub fn row(&self) -> Row<'_> {
        self.row
    }

    /// The row with these cells replaced.
    pub fn with_cells(&self, cells: &[(usize, SealValue<'_>)]) -> NewTuple {
        let (mut values, mut nulls) = self.row.arrays();
        let varlenas = Varlenas::new();
        for (index, value) in cells {
            values[*index] = value.to_datum(&varlenas);
            nulls[*index] = false;
        }
        // SAFETY: indexes come from the columns of this very relation; the datums live, here or in the
        // current memory context, until heap_form_tuple has copied them.
        unsafe {
            NewTuple(pg_sys::heap_form_tuple(
                (*(*self.data).tg_relation).rd_att,
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            ))
        }
    }
}

/// What a seal column takes.
#[derive(Debug, Clone, Copy)]
pub enum SealValue<'a> {
    Text(&'a str),
    Int4(i32),
    Int8(i64),
    /// µs since 2000-01-01 UTC.
    Time(i64),
    Mac(&'a [u8; 32]),
}

impl SealValue<'_> {
    fn to_datum(self, varlenas: &Varlenas) -> pg_sys::Datum {
        match self {
            SealValue::Text(text) => varlenas.put(text.as_bytes()),
            SealValue::Int4(number) => pg_sys::Datum::from(number),
            SealValue::Int8(number) | SealValue::Time(number) => pg_sys::Datum::from(number),
            SealValue::Mac(mac) => varlenas.put(mac),
        }
    }
}

/// Room on the stack for the values of a row's seal columns that have a length, in the short form that a stored row
/// has them in, which needs no alignment.
struct Varlenas {
    bytes: UnsafeCell<[u8; Varlenas::SIZE]>,
    used: Cell<usize>,
}

impl Varlenas {
    const SIZE: usize = 256;

    fn new() -> Varlenas {
        Varlenas { bytes: UnsafeCell::new([0; Varlenas::SIZE]), used: Cell::new(0) }
    }

    /// The content as text or bytea, alive as long as this; what is too long for it goes to the current memory
    /// context.
    fn put(&self, content: &[u8]) -> pg_sys::Datum {
        let (from, length) = (self.used.get(), content.len() + 1);
        if length > pg_sys::VARATT_SHORT_MAX as usize || length > Varlenas::SIZE - from {
            return pg_sys::Datum::from(pgrx::rust_byte_slice_to_bytea(content).as_ptr());
        }
        self.used.set(from + length);
        // SAFETY: from + length is within the room, and nothing else refers to what was not yet used of it.
        unsafe {
            let room = self.bytes.get().cast::<u8>().add(from);
            pgrx::set_varsize_short(room.cast(), length as i32);
            ptr::copy_nonoverlapping(content.as_ptr(), room.add(1), content.len());
            pg_sys::Datum::from(room)
        }
    }
}
