//! SQL from inside the server, with results as text.

use super::error::Report;
use super::row::{Cells, Row};
use super::snapshot::Sees;
use pgrx::{PgSqlErrorCode, pg_sys};
use std::ffi::{CStr, CString};

/// One result row; NULL is `None`.
pub type TextRow = Vec<Option<String>>;

/// The first column of the first row; `None` without a row or for NULL.
pub fn value(rows: Vec<TextRow>) -> Option<String> {
    column(rows.into_iter().take(1)).pop()
}

/// The first column of all rows, without NULLs.
pub fn column(rows: impl IntoIterator<Item = TextRow>) -> Vec<String> {
    rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect()
}

struct Connection;

impl Connection {
    fn open() -> Connection {
        // SAFETY: inside a transaction; matched by SPI_finish on drop.
        unsafe { pg_sys::SPI_connect() };
        Connection
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: opened by `open`.
        unsafe { pg_sys::SPI_finish() };
    }
}

/// Runs a statement that may write, with a new snapshot.
pub fn execute(sql: &str) -> Vec<TextRow> {
    run(sql, false)
}

/// Runs a query under the active snapshot. The row limit is 0, without which the server would
/// plan parallel workers and never launch them.
pub fn read(sql: &str) -> Vec<TextRow> {
    run(sql, true)
}

/// Runs a statement that may write and shows every row that it returns.
pub fn visit(sql: &str, mut visitor: impl FnMut(Row<'_>)) {
    with_result(sql, false, |tuple, descriptor| {
        // SAFETY: the tuple belongs to the result, which is kept while the visitor looks at it.
        let cells = unsafe { Cells::of_tuple(tuple, descriptor) };
        visitor(cells.row());
    });
}

/// Runs a query that sees so much.
pub fn query(sql: &str, sees: Sees) -> Vec<TextRow> {
    match sees {
        Sees::Stored => execute(sql),
        Sees::Snapshot => read(sql),
    }
}

fn run(sql: &str, read_only: bool) -> Vec<TextRow> {
    let mut rows = Vec::new();
    with_result(sql, read_only, |tuple, descriptor| {
        // SAFETY: the tuple matches the descriptor; the text of each value is copied at once.
        let row = unsafe {
            (1..=(*descriptor).natts)
                .map(|column| {
                    let text = pg_sys::SPI_getvalue(tuple, descriptor, column);
                    (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
                })
                .collect()
        };
        rows.push(row);
    });
    rows
}

fn with_result(sql: &str, read_only: bool, mut each: impl FnMut(pg_sys::HeapTuple, pg_sys::TupleDesc)) {
    let Ok(sql) = CString::new(sql) else {
        Report::new(PgSqlErrorCode::ERRCODE_INVALID_TEXT_REPRESENTATION, "a name contains a zero byte").raise()
    };
    let _connection = Connection::open();
    // SAFETY: connected; on success SPI_tuptable is NULL or valid until SPI_finish, which comes after
    // the last row was handed over. What is called for a row may itself connect and finish.
    unsafe {
        let code = pg_sys::SPI_execute(sql.as_ptr(), read_only, 0);
        if code < 0 {
            Report::new(
                PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
                format!("an internal query failed with SPI code {code}"),
            )
            .raise();
        }
        let table = pg_sys::SPI_tuptable;
        if !table.is_null() {
            for i in 0..(*table).numvals as usize {
                each(*(*table).vals.add(i), (*table).tupdesc);
            }
        }
    }
}

/// A string constant for SQL text.
pub fn literal(text: &str) -> String {
    pgrx::spi::quote_literal(text)
}

/// A name for SQL text.
pub fn identifier(name: &str) -> String {
    pgrx::spi::quote_identifier(name)
}

/// A bytea constant for SQL text.
pub fn bytea_literal(bytes: &[u8]) -> String {
    format!("'\\x{}'::pg_catalog.bytea", hex::encode(bytes))
}

/// A uuid constant for SQL text.
pub fn uuid_literal(id: &[u8; 16]) -> String {
    format!("'{}'::pg_catalog.uuid", hex::encode(id))
}

/// A value as its constant, or NULL.
pub fn or_null<T>(value: Option<T>, literal: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "NULL".to_owned(), literal)
}

/// A time in µs since 2000-01-01 UTC for SQL text.
pub fn time_literal(micros: i64) -> String {
    format!("('2000-01-01 00:00:00+00'::pg_catalog.timestamptz + {micros} * '1 microsecond'::pg_catalog.interval)")
}

/// The text that the server makes of this JSON as jsonb: what is digested and signed.
pub fn jsonb_text(json: &serde_json::Value) -> String {
    value(execute(&format!("SELECT {}::pg_catalog.jsonb::pg_catalog.text", literal(&json.to_string()))))
        .unwrap_or_default()
}
