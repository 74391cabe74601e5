//! jsonb, as `jsonb::text` prints it.

use crate::container::{Child, Children, Container, open};
use crate::cursor::Cursor;
use crate::error::Malformed;
use crate::numeric::write_numeric_at;
use crate::text::write_string_at;

/// What stands between members. Written after each; the last one's is taken back.
const SEPARATOR: &[u8; 2] = b", ";

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
    // About as long as its text.
    let mut cursor = Cursor::begin(out, container.len() + container.len() / 2)?;
    match open(container)? {
        Container::Scalar(children) => write_raw_scalar(children, &mut cursor)?,
        container => write_nested(Frame::begin(container, &mut cursor)?, &mut cursor)?,
    }
    cursor.finish()
}

fn write_nested<'a>(mut frame: Frame<'a>, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
    let mut outer = Vec::new();
    loop {
        match frame.write_members(cursor)? {
            Some(inner) => {
                let inner = Frame::begin(open(inner)?, cursor)?;
                outer.try_reserve(1).map_err(|_| Malformed::TooLong)?;
                outer.push(std::mem::replace(&mut frame, inner));
            }
            None => {
                frame.end(cursor)?;
                match outer.pop() {
                    Some(parent) => frame = parent,
                    None => return Ok(()),
                }
                cursor.put(SEPARATOR)?;
            }
        }
    }
}

impl<'a> Frame<'a> {
    /// Writes the opening bracket.
    #[inline]
    fn begin(container: Container<'a>, cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let (keys, values, bracket) = match container {
            Container::Array(values) => (None, values, b"["),
            Container::Object { keys, values } => (Some(keys), values, b"{"),
            Container::Scalar(_) => return Err(Malformed::Jsonb("a bare value inside another")),
        };
        cursor.put(bracket)?;
        Ok(Self { keys, values, begun: false })
    }

    /// Writes members, each with a separator behind it, up to the next nested container, which it takes; None at the end.
    fn write_members(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<&'a [u8]>, Malformed> {
        // Copies, which can stay in registers.
        let (mut keys, mut values) = (self.keys, self.values);
        while let Some(value) = values.next_value()? {
            self.begun = true;
            if let Some(keys) = &mut keys {
                // As many keys as values: `open` has split them so.
                let Some(key) = keys.next_key()? else { return Ok(None) };
                write_string_at(key, b"\": ", cursor)?;
            }
            match value {
                Child::String(bytes) => write_string_at(bytes, b"\", ", cursor)?,
                Child::Numeric(bytes) => {
                    write_numeric_at(numeric(bytes)?, cursor)?;
                    cursor.put(SEPARATOR)?;
                }
                Child::Bool(true) => cursor.put(b"true, ")?,
                Child::Bool(false) => cursor.put(b"false, ")?,
                Child::Null => cursor.put(b"null, ")?,
                Child::Container(inner) => {
                    self.keys = keys;
                    self.values = values;
                    return Ok(Some(inner));
                }
            }
        }
        Ok(None)
    }

    /// Writes the closing bracket.
    #[inline]
    fn end(&self, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
        if self.begun {
            cursor.retreat(SEPARATOR.len());
        }
        cursor.put(if self.keys.is_some() { b"}" } else { b"]" })
    }
}

fn write_raw_scalar(mut children: Children<'_>, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
    match children.next_value()? {
        Some(Child::String(bytes)) => write_string_at(bytes, b"\"", cursor),
        Some(Child::Numeric(bytes)) => write_numeric_at(numeric(bytes)?, cursor),
        Some(Child::Bool(true)) => cursor.put(b"true"),
        Some(Child::Bool(false)) => cursor.put(b"false"),
        Some(Child::Null) => cursor.put(b"null"),
        Some(Child::Container(_)) | None => Err(Malformed::Jsonb("a bare value that is none")),
    }
}

/// The payload of a numeric that still has its length header, of four bytes or of one.
///
/// Were it NaN or infinite (jsonb has neither), it would stand bare, as the server prints it.
#[inline]
fn numeric(bytes: &[u8]) -> Result<&[u8], Malformed> {
    let (header, size) = length_header(bytes).ok_or(Malformed::Numeric("unknown length header"))?;
    bytes.get(header..size).ok_or(Malformed::Numeric("longer than its place"))
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
