//! Numerics, as `numeric_out` prints them.

use crate::buffer::{check, reserve};
use crate::cursor::{Cursor, ROOM};
use crate::error::Malformed;
use crate::text::four_digits;

const SIGN_MASK: u16 = 0xC000;
const NEGATIVE: u16 = 0x4000;
const SHORT: u16 = 0x8000;
const SPECIAL: u16 = 0xC000;

const NAN: u16 = 0xC000;
const PLUS_INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;

const SHORT_SIGN: u16 = 0x2000;
const SHORT_DSCALE_MASK: u16 = 0x1F80;
const SHORT_DSCALE_SHIFT: u32 = 7;
const SHORT_WEIGHT_MASK: u16 = 0x007F;
const LONG_DSCALE_MASK: u16 = 0x3FFF;

/// Decimal digits in one stored digit: the base is 10,000.
const DEC_DIGITS: usize = 4;

/// What kind of number was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// A finite number: also a JSON number.
    Finite,
    /// `NaN`, `Infinity` or `-Infinity`: `to_jsonb` prints these as JSON strings.
    NotANumber,
}

impl Special {
    /// Whether the text is also a JSON number.
    #[must_use]
    pub fn is_finite(self) -> bool {
        self == Self::Finite
    }
}

/// A numeric taken apart.
struct Parts<'a> {
    negative: bool,
    /// Decimal digits after the point.
    dscale: usize,
    /// The power of 10,000 of the first digit.
    weight: i32,
    /// The digits, two bytes each, most significant first.
    digits: &'a [[u8; 2]],
}

/// Appends the output text of a numeric, without quotes, and says whether it is a finite number.
///
/// `payload` is the detoasted value without its length header. Non-zero digits beyond the scale, which the server never
/// stores and would not print, are an error.
///
/// # Errors
/// [`Malformed`] if the bytes are not a numeric, or beyond [`crate::MAX_TEXT`].
pub fn write_numeric(payload: &[u8], out: &mut Vec<u8>) -> Result<Special, Malformed> {
    let Some((header, rest)) = payload.split_first_chunk::<2>() else {
        return Err(Malformed::Numeric("too short"));
    };
    let header = u16::from_ne_bytes(*header);
    if header & SIGN_MASK == SPECIAL {
        let text: &[u8] = match header {
            NAN => b"NaN",
            PLUS_INFINITY => b"Infinity",
            MINUS_INFINITY => b"-Infinity",
            _ => return Err(Malformed::Numeric("unknown special value")),
        };
        reserve(out, text.len())?;
        out.extend_from_slice(text);
        return Ok(Special::NotANumber);
    }
    write_finite(&parts(header, rest)?, out)?;
    check(out)?;
    Ok(Special::Finite)
}

/// As [`write_numeric`] where a cursor is; most numbers are short and have a way of their own.
#[inline]
pub(crate) fn write_numeric_at(payload: &[u8], cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
    let header = payload.split_first_chunk::<2>().map(|(header, rest)| (u16::from_ne_bytes(*header), rest));
    if let Some((header, rest)) = header
        && header & SIGN_MASK == SHORT
        && let Some(size) = write_short(&parts(header, rest)?, cursor.room()?)
    {
        cursor.advance(size);
        return Ok(());
    }
    cursor.append(|out| write_numeric(payload, out).map(drop))
}

/// Writes a number of at most 16 digits before the point and 12 behind it, and says how long it is; `None` for any
/// other, and for one that is not well-formed.
#[inline]
fn write_short(number: &Parts<'_>, room: &mut [u8; ROOM]) -> Option<usize> {
    let before = usize::try_from(number.weight + 1).ok().filter(|before| *before <= 4)?;
    if number.dscale > 12 || number.digits.len() > before + number.dscale.div_ceil(DEC_DIGITS) {
        return None;
    }
    // Digits beyond the stored ones are zeros.
    let four = |place: usize| match number.digits.get(place) {
        Some(stored) => digit(stored).ok(),
        None => Some(0),
    };
    let mut at = 0;
    if number.negative {
        room[0] = b'-';
        at = 1;
    }
    if before == 0 {
        room[at] = b'0';
        at += 1;
    } else {
        let first = four(0)?;
        let zeros = usize::from(first < 10) + usize::from(first < 100) + usize::from(first < 1000);
        let text = u32::from_be_bytes(four_digits(first)) << (8 * zeros);
        room[at..at + DEC_DIGITS].copy_from_slice(&text.to_be_bytes());
        at += DEC_DIGITS - zeros;
    }
    for place in 1..before {
        room[at..at + DEC_DIGITS].copy_from_slice(&four_digits(four(place)?));
        at += DEC_DIGITS;
    }
    if number.dscale == 0 {
        return Some(at);
    }
    room[at] = b'.';
    at += 1;
    let end = at + number.dscale;
    for place in before.. {
        room[at..at + DEC_DIGITS].copy_from_slice(&four_digits(four(place)?));
        at += DEC_DIGITS;
        if at >= end {
            break;
        }
    }
    room[end..at].iter().all(|digit| *digit == b'0').then_some(end)
}

/// Appends a numeric as `to_jsonb` prints it: a finite number bare, `"NaN"` and the infinities as strings.
///
/// # Errors
/// As [`write_numeric`].
pub fn write_numeric_json(payload: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let start = out.len();
    if write_numeric(payload, out)? == Special::NotANumber {
        out.insert(start, b'"');
        out.push(b'"');
    }
    Ok(())
}

/// Takes a finite numeric apart; `rest` is what follows its first header word.
#[inline]
fn parts(header: u16, rest: &[u8]) -> Result<Parts<'_>, Malformed> {
    let (negative, dscale, weight, digits) = if header & SHORT != 0 {
        // A signed number of seven bits.
        let weight = (((header & SHORT_WEIGHT_MASK) << 9) as i16) >> 9;
        (header & SHORT_SIGN != 0, (header & SHORT_DSCALE_MASK) >> SHORT_DSCALE_SHIFT, weight, rest)
    } else {
        let Some((weight, digits)) = rest.split_first_chunk::<2>() else {
            return Err(Malformed::Numeric("too short"));
        };
        (header & NEGATIVE != 0, header & LONG_DSCALE_MASK, i16::from_ne_bytes(*weight), digits)
    };
    let (digits, []) = digits.as_chunks::<2>() else {
        return Err(Malformed::Numeric("half a digit"));
    };
    Ok(Parts { negative, dscale: usize::from(dscale), weight: i32::from(weight), digits })
}

fn write_finite(number: &Parts<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    // Digits beyond the stored ones are zeros, before the point as after it.
    let before = usize::try_from(number.weight + 1).unwrap_or(0);
    reserve(out, before * DEC_DIGITS + number.dscale + DEC_DIGITS + 3)?;
    if number.negative {
        out.push(b'-');
    }
    let (whole, fraction) = number.digits.split_at(before.min(number.digits.len()));
    match whole.split_first() {
        None => out.push(b'0'),
        Some((first, others)) => {
            crate::scalar::write_uint(u64::from(digit(first)?), out);
            for other in others {
                out.extend_from_slice(&four_digits(digit(other)?));
            }
        }
    }
    let zeros = before.saturating_sub(whole.len().max(1)) * DEC_DIGITS;
    if zeros > 0 {
        out.resize(out.len() + zeros, b'0');
    }
    write_fraction(number, fraction, out)
}

/// Appends the point and `dscale` digits, or nothing if there are none.
fn write_fraction(number: &Parts<'_>, fraction: &[[u8; 2]], out: &mut Vec<u8>) -> Result<(), Malformed> {
    if number.dscale > 0 {
        out.push(b'.');
    }
    let end = out.len() + number.dscale;
    let leading = usize::try_from(-1 - number.weight).unwrap_or(0) * DEC_DIGITS;
    if leading > 0 {
        out.resize(out.len() + leading.min(number.dscale), b'0');
    }
    let mut rest = fraction.iter();
    while out.len() < end {
        let Some(stored) = rest.next() else { break };
        out.extend_from_slice(&four_digits(digit(stored)?));
    }
    // The server never stores digits beyond the scale: `numeric_out` would not print them, but they would count in
    // comparisons and sums, so a value could be changed under an unchanged text.
    let cut = out.get(end..).unwrap_or_default();
    if cut.iter().any(|&digit| digit != b'0') || rest.any(|stored| *stored != [0, 0]) {
        return Err(Malformed::Numeric("digits beyond its scale"));
    }
    // Cuts the last digit to the scale, or fills up to it.
    out.resize(end, b'0');
    Ok(())
}

/// A stored digit, 0 to 9999.
#[inline]
fn digit(stored: &[u8; 2]) -> Result<u16, Malformed> {
    match u16::from_ne_bytes(*stored) {
        value @ 0..10_000 => Ok(value),
        _ => Err(Malformed::Numeric("digit out of range")),
    }
}
