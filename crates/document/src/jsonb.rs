//! jsonb, as `jsonb::text` prints it.

use crate::buffer::{check, reserve};
use crate::container::{Child, Children, Container, open};
use crate::error::Malformed;
use crate::numeric::write_numeric;
use crate::scalar::write_bool;
use crate::text::write_string;

/// An array or object that is being written.
struct Frame<'a> {
    /// None for an array.
    keys: Option<Children<'a>>,
    values: Children<'a>,
    /// Whether a member has been written.
    begun: bool,
}

/// Appends the text of a jsonb, byte for byte that of `jsonb::text`.
///
/// `container` is the detoasted value without its four-byte length header; its alignment in memory does not matter.
/// Nesting costs heap, not stack: a value without nested containers needs no allocation but `out`'s, any other one more.
///
/// # Errors
/// [`Malformed`] if the bytes are not a jsonb, or beyond [`crate::MAX_TEXT`].
pub fn write_jsonb(container: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    reserve(out, container.len())?;
    let mut frame = match open(container)? {
        Container::Scalar(children) => return write_raw_scalar(children, out),
        container => Frame::begin(container, out)?,
    };
    let mut outer = Vec::new();
    loop {
        match frame.next_member(out)? {
            Some(Child::Container(inner)) => {
                let inner = Frame::begin(open(inner)?, out)?;
                outer.try_reserve(1).map_err(|_| Malformed::TooLong)?;
                outer.push(std::mem::replace(&mut frame, inner));
            }
            Some(Child::String(bytes)) => write_string(bytes, out)?,
            Some(Child::Numeric(bytes)) => write_stored_numeric(bytes, out)?,
            Some(Child::Bool(value)) => write_bool(value, out),
            Some(Child::Null) => out.extend_from_slice(b"null"),
            None => {
                frame.end(out);
                match outer.pop() {
                    Some(parent) => frame = parent,
                    None => return check(out),
                }
            }
        }
    }
}

impl<'a> Frame<'a> {
    /// Writes the opening bracket.
    #[inline]
    fn begin(container: Container<'a>, out: &mut Vec<u8>) -> Result<Self, Malformed> {
        let (keys, values, bracket) = match container {
            Container::Array(values) => (None, values, b'['),
            Container::Object { keys, values } => (Some(keys), values, b'{'),
            Container::Scalar(_) => return Err(Malformed::Jsonb("a bare value inside another")),
        };
        out.push(bracket);
        Ok(Self { keys, values, begun: false })
    }

    /// Writes what stands before the next member's value and takes the value; None at the end.
    #[inline]
    fn next_member(&mut self, out: &mut Vec<u8>) -> Result<Option<Child<'a>>, Malformed> {
        // For the separators here, a short value or a bracket.
        reserve(out, 0)?;
        check(out)?;
        let Some(value) = self.values.next_value()? else {
            return Ok(None);
        };
        if self.begun {
            out.extend_from_slice(b", ");
        }
        self.begun = true;
        if let Some(keys) = &mut self.keys {
            // As many keys as values: `open` has split them so.
            let Some(key) = keys.next_key()? else {
                return Ok(None);
            };
            write_string(key, out)?;
            out.extend_from_slice(b": ");
        }
        Ok(Some(value))
    }

    /// Writes the closing bracket.
    #[inline]
    fn end(&self, out: &mut Vec<u8>) {
        out.push(if self.keys.is_some() { b'}' } else { b']' });
    }
}

fn write_raw_scalar(mut children: Children<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    match children.next_value()? {
        Some(Child::String(bytes)) => write_string(bytes, out)?,
        Some(Child::Numeric(bytes)) => write_stored_numeric(bytes, out)?,
        Some(Child::Bool(value)) => write_bool(value, out),
        Some(Child::Null) => out.extend_from_slice(b"null"),
        Some(Child::Container(_)) | None => {
            return Err(Malformed::Jsonb("a bare value that is none"));
        }
    }
    check(out)
}

/// Appends a numeric that still has its length header, of four bytes or of one.
#[inline]
fn write_stored_numeric(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let (header, size) = length_header(bytes).ok_or(Malformed::Numeric("unknown length header"))?;
    // Were it NaN or infinite (jsonb has neither), it would stand bare, as the server prints it.
    let payload = bytes.get(header..size).ok_or(Malformed::Numeric("longer than its place"))?;
    write_numeric(payload, out).map(drop)
}

/// The sizes of the length header and of the whole value; None if it is compressed or stored elsewhere.
#[inline]
fn length_header(bytes: &[u8]) -> Option<(usize, usize)> {
    let first = *bytes.first()?;
    let word = || bytes.first_chunk::<4>().map(|word| u32::from_ne_bytes(*word) as usize);
    if cfg!(target_endian = "little") {
        match first {
            0x01 => None,
            _ if first & 0x01 == 0x01 => Some((1, usize::from(first >> 1))),
            _ if first & 0x03 == 0x00 => Some((4, word()? >> 2)),
            _ => None,
        }
    } else {
        match first {
            0x80 => None,
            _ if first & 0x80 == 0x80 => Some((1, usize::from(first & 0x7f))),
            _ if first & 0xc0 == 0x00 => Some((4, word()? & 0x3fff_ffff)),
            _ => None,
        }
    }
}
