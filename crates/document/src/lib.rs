//! PostgreSQL's binary values as canonical text: the bytes that pgseal signs.
//!
//! Every function appends to a `Vec<u8>` that the caller owns and reuses. Input is the value as the server holds it in
//! memory (detoasted, length header removed, native byte order) and is never trusted: malformed bytes are an error,
//! never a panic, and the work is linear in the size of input and output. Nothing here knows PostgreSQL's API, so a
//! verifier outside the server can use it too.
//!
//! After an error, `out` holds an unfinished text: truncate it or throw it away.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod buffer;
mod container;
mod cursor;
pub mod datetime;
pub mod error;
pub mod float;
pub mod jsonb;
pub mod numeric;
pub mod order;
pub mod scalar;
pub mod text;

pub use buffer::MAX_TEXT;
pub use datetime::{write_date, write_timestamp, write_timestamptz};
pub use error::Malformed;
pub use float::write_float_text;
pub use jsonb::write_jsonb;
pub use numeric::{Special, write_numeric, write_numeric_json};
pub use order::member_order;
pub use scalar::{write_bool, write_int, write_uint, write_uuid};
pub use text::{write_bytea, write_hex, write_string};
