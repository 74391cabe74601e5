//! Values of rows, and how each type becomes text.

use super::output::OutputFunction;
use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid;
use pgseal_document::{self as document, Malformed};
use std::marker::PhantomData;

/// Oids of types that verification names.
pub struct TypeOid;

impl TypeOid {
    /// A row's place in its table.
    pub const TID: u32 = 27;
    pub const INT2: u32 = 21;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const UUID: u32 = 2950;
    pub const BYTEA: u32 = 17;
    pub const INT8: u32 = 20;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const JSONB: u32 = 3802;
}

/// One value that is not NULL, alive as long as its row.
#[derive(Clone, Copy)]
pub struct Value<'row>(pub(super) pg_sys::Datum, pub(super) PhantomData<&'row ()>);

/// How a type's values are written, both as JSON and as plain text.
enum Writer {
    Bool,
    Int2,
    Int4,
    Int8,
    Numeric,
    Float(OutputFunction),
    Text,
    Uuid,
    Date,
    Timestamp,
    TimestampTz,
    Jsonb,
    /// The type's output text as a JSON string.
    Output(OutputFunction),
}

/// A column's type, ready to print its values.
pub struct ColumnType {
    writer: Writer,
    output: OutputFunction,
}

impl ColumnType {
    /// For a domain the type it is over decides, as in `to_jsonb`.
    pub fn new(type_oid: u32) -> ColumnType {
        // SAFETY: a catalog lookup; raises for an unknown type.
        let base = unsafe { pg_sys::getBaseType(type_oid.into()) };
        let output = || OutputFunction::of_type(base.to_u32());
        let writer = match BuiltinOid::try_from(base) {
            Ok(BuiltinOid::BOOLOID) => Writer::Bool,
            Ok(BuiltinOid::INT2OID) => Writer::Int2,
            Ok(BuiltinOid::INT4OID) => Writer::Int4,
            Ok(BuiltinOid::INT8OID) => Writer::Int8,
            Ok(BuiltinOid::NUMERICOID) => Writer::Numeric,
            Ok(BuiltinOid::FLOAT4OID | BuiltinOid::FLOAT8OID) => Writer::Float(output()),
            Ok(BuiltinOid::TEXTOID | BuiltinOid::VARCHAROID | BuiltinOid::BPCHAROID) => Writer::Text,
            Ok(BuiltinOid::UUIDOID) => Writer::Uuid,
            Ok(BuiltinOid::DATEOID) => Writer::Date,
            Ok(BuiltinOid::TIMESTAMPOID) => Writer::Timestamp,
            Ok(BuiltinOid::TIMESTAMPTZOID) => Writer::TimestampTz,
            Ok(BuiltinOid::JSONBOID) => Writer::Jsonb,
            _ => Writer::Output(output()),
        };
        ColumnType { writer, output: output() }
    }

    /// Appends the value as it stands in a document. An error says that the stored bytes are not
    /// what PostgreSQL writes, or that the text would be longer than a value can be.
    pub fn write_json(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let datum = value.0;
        match &self.writer {
            Writer::Bool => document::write_bool(datum.value() as u8 != 0, out),
            Writer::Int2 => document::write_int(i64::from(datum.value() as i16), out),
            Writer::Int4 => document::write_int(i64::from(datum.value() as i32), out),
            Writer::Int8 => document::write_int(datum.value() as i64, out),
            Writer::Numeric => {
                return with_detoasted(datum, |bytes| document::write_numeric_json(bytes, out));
            }
            Writer::Float(output) => {
                let mut text = Vec::with_capacity(32);
                output.write(datum, &mut text);
                return document::write_float_text(&text, out);
            }
            Writer::Text => return with_detoasted(datum, |bytes| document::write_string(bytes, out)),
            Writer::Uuid => {
                // SAFETY: a uuid datum points to 16 bytes inside the row.
                let bytes = unsafe { &*datum.cast_mut_ptr::<[u8; 16]>() };
                document::write_uuid(bytes, out);
            }
            Writer::Date => return document::write_date(datum.value() as i32, out),
            Writer::Timestamp => return document::write_timestamp(datum.value() as i64, out),
            Writer::TimestampTz => return document::write_timestamptz(datum.value() as i64, out),
            Writer::Jsonb => return with_detoasted(datum, |bytes| document::write_jsonb(bytes, out)),
            Writer::Output(output) => {
                let mut text = Vec::with_capacity(64);
                output.write(datum, &mut text);
                return document::write_string(&text, out);
            }
        }
        Ok(())
    }

    /// Appends the type's output text under pinned settings: how a tenant is named.
    pub fn write_text(&self, value: Value<'_>, out: &mut Vec<u8>) {
        match &self.writer {
            Writer::Text => with_detoasted(value.0, |bytes| out.extend_from_slice(bytes)),
            _ => self.output.write(value.0, out),
        }
    }
}

/// Calls `f` with the bytes of a varlena value after its header, decompressed and fetched from TOAST if needed.
fn with_detoasted<R>(datum: pg_sys::Datum, f: impl FnOnce(&[u8]) -> R) -> R {
    let value = datum.cast_mut_ptr::<pg_sys::varlena>();
    // SAFETY: the datum is a varlena of a live row, and `f` is over before the row is.
    if let Some(bytes) = unsafe { in_place(value) } {
        return f(bytes);
    }
    let copy = Detoasted::new(value);
    f(copy.bytes())
}

/// The bytes where they stand, if they are neither compressed nor stored elsewhere. Most values of a row are
/// so, and a call into the server for each would cost more than reading them.
///
/// # Safety
/// A valid varlena that lives as long as `'a`.
#[inline]
unsafe fn in_place<'a>(value: *const pg_sys::varlena) -> Option<&'a [u8]> {
    // SAFETY: the header says where the bytes are and how many; a short one needs no alignment.
    unsafe {
        let (header, size) = if pgrx::varatt_is_4b_u(value) {
            (pg_sys::VARHDRSZ, pgrx::varsize_4b(value))
        } else if pgrx::varatt_is_1b(value) && !pgrx::varatt_is_1b_e(value) {
            (pg_sys::VARHDRSZ_SHORT, pgrx::varsize_1b(value))
        } else {
            return None;
        };
        Some(std::slice::from_raw_parts(value.cast::<u8>().add(header), size.saturating_sub(header)))
    }
}

/// A copy in the current memory context, gone when dropped.
struct Detoasted(*mut pg_sys::varlena);

impl Detoasted {
    /// Of a value that does not stand in place.
    fn new(value: *mut pg_sys::varlena) -> Detoasted {
        // SAFETY: called by `with_detoasted` for a varlena of a live row that is compressed or stored
        // elsewhere, so that the result is a copy.
        Detoasted(unsafe { pg_sys::pg_detoast_datum_packed(value) })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: a detoasted varlena; its bytes live as long as self.
        unsafe { pgrx::varlena_to_byte_slice(self.0) }
    }
}

impl Drop for Detoasted {
    fn drop(&mut self) {
        // SAFETY: the copy belongs to this value alone.
        unsafe { pg_sys::pfree(self.0.cast()) }
    }
}

impl Value<'_> {
    pub fn as_i64(&self) -> i64 {
        self.0.value() as i64
    }

    pub fn as_bool(&self) -> bool {
        self.0.value() as u8 != 0
    }

    pub fn as_i32(&self) -> i32 {
        self.0.value() as i32
    }

    /// The bytes of a bytea or text value.
    pub fn with_bytes<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        with_detoasted(self.0, f)
    }

    pub fn to_bytes(self) -> Vec<u8> {
        self.with_bytes(<[u8]>::to_vec)
    }

    pub fn to_text(self) -> String {
        self.with_bytes(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The 32 bytes of a mac; `None` if it has another length.
    pub fn as_mac(&self) -> Option<[u8; 32]> {
        self.with_bytes(|bytes| bytes.try_into().ok())
    }

    /// The 16 bytes of a uuid.
    pub fn as_uuid(&self) -> [u8; 16] {
        // SAFETY: called for uuid columns of pgseal's own tables; the datum points to 16 bytes.
        unsafe { *self.0.cast_mut_ptr::<[u8; 16]>() }
    }
}
