//! How a jsonb container lies in memory (PostgreSQL: `utils/jsonb.h`).
//!
//! A container is a header word (count and kind), one entry word per child (an object has two children per member:
//! first all keys, then all values), then the children's data. An entry word says the child's type and either its
//! length or, in every 32nd, the offset of its end. Numerics and containers start at the next multiple of four.

use crate::error::Malformed;

const COUNT_MASK: u32 = 0x0FFF_FFFF;
const KIND_MASK: u32 = !COUNT_MASK;
const SCALAR: u32 = 0x1000_0000;
const OBJECT: u32 = 0x2000_0000;
const ARRAY: u32 = 0x4000_0000;
const SCALAR_ARRAY: u32 = SCALAR | ARRAY;

const OFFSET_OR_LENGTH_MASK: u32 = 0x0FFF_FFFF;
const HAS_OFFSET: u32 = 0x8000_0000;
const TYPE_MASK: u32 = 0x7000_0000;
const STRING: u32 = 0x0000_0000;
const NUMERIC: u32 = 0x1000_0000;
const FALSE: u32 = 0x2000_0000;
const TRUE: u32 = 0x3000_0000;
const NULL: u32 = 0x4000_0000;
const CONTAINER: u32 = 0x5000_0000;

const TOO_SHORT: Malformed = Malformed::Jsonb("shorter than it says");

/// A container, opened.
pub(crate) enum Container<'a> {
    /// A bare value, which jsonb keeps as an array of one element.
    Scalar(Children<'a>),
    Array(Children<'a>),
    Object {
        keys: Children<'a>,
        values: Children<'a>,
    },
}

/// The value of a child.
pub(crate) enum Child<'a> {
    String(&'a [u8]),
    /// With the numeric's own length header.
    Numeric(&'a [u8]),
    Bool(bool),
    Null,
    Container(&'a [u8]),
}

/// The children of a container that have not been read yet.
///
/// A child starts where the one before it ended and never earlier, so that no byte is read twice at one level and the
/// work stays linear whatever the offsets say.
#[derive(Clone, Copy)]
pub(crate) struct Children<'a> {
    words: &'a [[u8; 4]],
    /// The data of all children of the container.
    data: &'a [u8],
    /// Where in `data` the next child starts.
    offset: usize,
}

/// A child as its entry word describes it.
struct Raw<'a> {
    kind: u32,
    /// Its offset in the container's data.
    start: usize,
    bytes: &'a [u8],
}

/// Reads the header of a container.
#[inline]
pub(crate) fn open(container: &[u8]) -> Result<Container<'_>, Malformed> {
    let (header, rest) = container.split_first_chunk::<4>().ok_or(TOO_SHORT)?;
    let header = u32::from_ne_bytes(*header);
    let count = (header & COUNT_MASK) as usize;
    match header & KIND_MASK {
        ARRAY => Ok(Container::Array(Children::new(rest, count)?)),
        OBJECT => {
            let both = Children::new(rest, 2 * count)?;
            let (keys, values) = both.words.split_at(count);
            let offset = end_of(keys)?;
            Ok(Container::Object {
                keys: Children { words: keys, ..both },
                values: Children { words: values, offset, ..both },
            })
        }
        SCALAR_ARRAY if count == 1 => Ok(Container::Scalar(Children::new(rest, 1)?)),
        _ => Err(Malformed::Jsonb("unknown kind of container")),
    }
}

/// The offset at which the children of `words` end: the last stored offset and the lengths after it.
#[inline]
fn end_of(words: &[[u8; 4]]) -> Result<usize, Malformed> {
    let mut end = 0usize;
    for word in words.iter().rev() {
        let word = u32::from_ne_bytes(*word);
        end = end.checked_add((word & OFFSET_OR_LENGTH_MASK) as usize).ok_or(TOO_SHORT)?;
        if word & HAS_OFFSET != 0 {
            break;
        }
    }
    Ok(end)
}

impl<'a> Children<'a> {
    fn new(rest: &'a [u8], count: usize) -> Result<Self, Malformed> {
        let (words, data) = count.checked_mul(4).and_then(|size| rest.split_at_checked(size)).ok_or(TOO_SHORT)?;
        Ok(Self { words: words.as_chunks::<4>().0, data, offset: 0 })
    }

    /// Takes the next child, which must be a string.
    #[inline]
    pub(crate) fn next_key(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.next_raw()? {
            None => Ok(None),
            Some(Raw { kind: STRING, bytes, .. }) => Ok(Some(bytes)),
            Some(_) => Err(Malformed::Jsonb("a key is not a string")),
        }
    }

    /// Takes the next child.
    #[inline]
    pub(crate) fn next_value(&mut self) -> Result<Option<Child<'a>>, Malformed> {
        let Some(Raw { kind, start, bytes }) = self.next_raw()? else {
            return Ok(None);
        };
        Ok(Some(match kind {
            STRING => Child::String(bytes),
            NUMERIC => Child::Numeric(aligned(start, bytes)?),
            FALSE => Child::Bool(false),
            TRUE => Child::Bool(true),
            NULL => Child::Null,
            CONTAINER => Child::Container(aligned(start, bytes)?),
            _ => return Err(Malformed::Jsonb("unknown type of value")),
        }))
    }

    #[inline]
    fn next_raw(&mut self) -> Result<Option<Raw<'a>>, Malformed> {
        let Some((word, words)) = self.words.split_first() else {
            return Ok(None);
        };
        let word = u32::from_ne_bytes(*word);
        let start = self.offset;
        let end = (word & OFFSET_OR_LENGTH_MASK) as usize + if word & HAS_OFFSET == 0 { start } else { 0 };
        let bytes = self.data.get(start..end).ok_or(TOO_SHORT)?;
        self.words = words;
        self.offset = end;
        Ok(Some(Raw { kind: word & TYPE_MASK, start, bytes }))
    }
}

/// Drops the padding before a child that starts at the next multiple of four.
///
/// Offsets count from the container's data area, which is itself aligned in a value that the server built.
#[inline]
fn aligned(start: usize, bytes: &[u8]) -> Result<&[u8], Malformed> {
    bytes.get(start.wrapping_neg() & 3..).ok_or(TOO_SHORT)
}
