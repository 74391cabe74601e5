//! Aggregates whose state is a Rust value, for parallel plans too.

use super::row::Row;
use pgrx::{PgMemoryContexts, pg_sys};

/// A state that worker processes can hand to their leader.
pub trait AggregateState: Sized + 'static {
    /// Whether this process takes part in work that such states belong to; otherwise somebody
    /// calls the functions by hand, perhaps with another state than theirs.
    fn is_expected() -> bool;
    /// Made at the first row, in each process; `plan` is the constant second argument.
    fn begin(plan: &str) -> Self;
    /// The arguments after the state and the plan start at `Row` place 0.
    fn add(&mut self, row: Row<'_>);
    fn merge(&mut self, other: Self);
    fn save(&mut self) -> Vec<u8>;
    /// In the leader, from what a worker saved.
    fn load(bytes: &[u8]) -> Self;
    /// The leader's last step: leaves the result where the run finds it.
    fn finish(self);
}

/// Arguments of an aggregate's functions before the row: the state and the plan.
const BEFORE_ROW: usize = 2;

struct Call {
    fcinfo: pg_sys::FunctionCallInfo,
}

impl Call {
    /// # Safety
    /// `fcinfo` must be what the server passed.
    unsafe fn new<T: AggregateState>(fcinfo: pg_sys::FunctionCallInfo) -> Call {
        // SAFETY: the caller's promise; a context is a node.
        let in_aggregate = unsafe {
            let context = (*fcinfo).context;
            !context.is_null() && (*context).type_ == pg_sys::NodeTag::T_AggState
        };
        if !in_aggregate || !T::is_expected() {
            super::error::Report::new(
                pgrx::PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
                "a part of pgseal's verification was called on its own",
            )
            .hint("Run: SELECT * FROM seal.verify_history().")
            .raise();
        }
        Call { fcinfo }
    }

    fn cells(&self) -> &[pg_sys::NullableDatum] {
        // SAFETY: a call has nargs arguments behind the fixed part.
        unsafe { (*self.fcinfo).args.as_slice((*self.fcinfo).nargs as usize) }
    }

    /// The state cell; a null one is a state not yet made.
    fn state<T>(&self, index: usize) -> Option<*mut Option<T>> {
        let cell = self.cells().get(index)?;
        (!cell.isnull && !cell.value.is_null()).then(|| cell.value.cast_mut_ptr())
    }

    /// Puts a state into the aggregate's own memory; dropped with it.
    fn keep<T>(&self, state: T) -> pg_sys::Datum {
        let mut context = std::ptr::null_mut();
        // SAFETY: called by an aggregate, see `new`.
        unsafe { pg_sys::AggCheckCallContext(self.fcinfo, &mut context) };
        pg_sys::Datum::from(PgMemoryContexts::For(context).leak_and_drop_on_delete(Some(state)))
    }

    fn null(&self) -> pg_sys::Datum {
        // SAFETY: the call info is ours to answer through.
        unsafe { (*self.fcinfo).isnull = true };
        pg_sys::Datum::null()
    }
}

/// Transition function.
///
/// # Safety
/// As all below: `fcinfo` from the server, for an aggregate whose state type is `T`.
pub(super) unsafe fn add<T: AggregateState>(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: states are made only by `keep`, so the pointer is a live Option<T> that nobody else
    // uses during the call; the arguments live as long as the call.
    unsafe {
        let call = Call::new::<T>(fcinfo);
        let state = match call.state::<T>(0) {
            Some(state) => state,
            None => call.keep(T::begin(&plan(&call))).cast_mut_ptr(),
        };
        if let Some(inner) = &mut *state {
            inner.add(Row::new(&call.cells()[BEFORE_ROW..]));
        }
        pg_sys::Datum::from(state)
    }
}

fn plan(call: &Call) -> String {
    // SAFETY: the second argument of the transition functions is text.
    unsafe { Row::new(call.cells()) }.get(1).map(|value| value.to_text()).unwrap_or_default()
}

/// # Safety
/// See `add`.
pub(super) unsafe fn merge<T: AggregateState>(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: as in `add`; the second state is taken out of its cell, which keeps its memory.
    unsafe {
        let call = Call::new::<T>(fcinfo);
        let other = call.state::<T>(1).and_then(|cell| (*cell).take());
        match (call.state::<T>(0), other) {
            (Some(state), Some(other)) => {
                match &mut *state {
                    Some(inner) => inner.merge(other),
                    empty => *empty = Some(other),
                }
                pg_sys::Datum::from(state)
            }
            (Some(state), None) => pg_sys::Datum::from(state),
            (None, Some(other)) => call.keep(other),
            (None, None) => call.null(),
        }
    }
}

/// # Safety
/// See `add`.
pub(super) unsafe fn save<T: AggregateState>(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: as in `add`.
    unsafe {
        let call = Call::new::<T>(fcinfo);
        match call.state::<T>(0).and_then(|state| (*state).as_mut()) {
            Some(state) => pg_sys::Datum::from(pgrx::rust_byte_slice_to_bytea(&state.save()).as_ptr()),
            None => call.null(),
        }
    }
}

/// # Safety
/// See `add`.
pub(super) unsafe fn load<T: AggregateState>(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: as in `add`; the first argument is what `save` returned.
    unsafe {
        let call = Call::new::<T>(fcinfo);
        let bytes = Row::new(call.cells()).get(0).map(|value| value.to_bytes()).unwrap_or_default();
        call.keep(T::load(&bytes))
    }
}

/// Returns whether there was any row.
///
/// # Safety
/// See `add`.
pub(super) unsafe fn finish<T: AggregateState>(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: as in `add`.
    unsafe {
        let call = Call::new::<T>(fcinfo);
        let state = call.state::<T>(0).and_then(|state| (*state).take());
        let any = state.is_some();
        if let Some(state) = state {
            state.finish();
        }
        pg_sys::Datum::from(any)
    }
}
