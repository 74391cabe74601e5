//! JSON strings and digits.

use crate::buffer::{check, reserve_exact};
use crate::cursor::{Cursor, ROOM};
use crate::error::Malformed;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// `00` to `99`.
const PAIRS: [u8; 200] = {
    let mut table = [0; 200];
    let mut i = 0;
    while i < 100 {
        table[2 * i] = b'0' + (i / 10) as u8;
        table[2 * i + 1] = b'0' + (i % 10) as u8;
        i += 1;
    }
    table
};

/// Marks a byte that is written as `\u00XX`.
const UNICODE: u8 = b'u';

/// For each byte: 0 if it is written as it is, otherwise the letter after the backslash.
const ESCAPE: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = UNICODE;
        byte += 1;
    }
    table[0x08] = b'b';
    table[0x0c] = b'f';
    table[b'\n' as usize] = b'n';
    table[b'\r' as usize] = b'r';
    table[b'\t' as usize] = b't';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

/// Appends `bytes` as a JSON string, escaped as the server's `escape_json` does.
///
/// Non-ASCII bytes are copied: the server guarantees their encoding.
///
/// # Errors
/// [`Malformed::TooLong`] beyond [`crate::MAX_TEXT`].
#[inline]
pub fn write_string(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    if bytes.len() > Cursor::SHORT {
        return write_any_string(bytes, out);
    }
    let mut cursor = Cursor::begin(out, 0)?;
    write_string_at(bytes, b"\"", &mut cursor)?;
    cursor.finish()
}

/// Writes `bytes` as a JSON string; `end` is the closing quote and what follows it.
///
/// Most strings are short and plain. For them calls to copy bytes would cost more than the copying, so pieces of a
/// fixed size are moved, of which the second may overlap the first.
#[inline]
pub(crate) fn write_string_at<const E: usize>(
    bytes: &[u8],
    end: &[u8; E],
    cursor: &mut Cursor<'_>,
) -> Result<(), Malformed> {
    let size = bytes.len();
    let room = cursor.room()?;
    let plain = match size {
        0 => true,
        1..4 => {
            let piece = [bytes[0], bytes[size / 2], bytes[size - 1]];
            room[1..4].copy_from_slice(&piece);
            let [a, b, c] = piece.map(u64::from);
            special(HALF | u64::from(b' ') << 24 | c << 16 | b << 8 | a) == 0
        }
        4..8 => write_halves::<4>(bytes, room),
        8..16 => write_halves::<8>(bytes, room),
        16..32 => write_halves::<16>(bytes, room),
        32..64 => write_halves::<32>(bytes, room),
        _ => false,
    };
    if !plain {
        return cursor.append(|out| {
            write_any_string(bytes, out)?;
            out.extend_from_slice(&end[1..]);
            Ok(())
        });
    }
    room[0] = b'"';
    room[1 + size..1 + size + E].copy_from_slice(end);
    cursor.advance(1 + size + E);
    Ok(())
}

/// Writes N to 2 N bytes behind the quote; `false` if one needs an escape.
#[inline]
fn write_halves<const N: usize>(bytes: &[u8], room: &mut [u8; ROOM]) -> bool {
    let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) else { return false };
    let at = 1 + bytes.len() - N;
    room[1..1 + N].copy_from_slice(first);
    room[at..at + N].copy_from_slice(last);
    let words = |piece: &[u8; N]| {
        let (words, rest) = piece.as_chunks::<8>();
        let rest = rest.first_chunk::<4>().map_or(0, |half| special(HALF | u64::from(u32::from_le_bytes(*half))));
        words.iter().fold(rest, |all, word| all | special(u64::from_le_bytes(*word)))
    };
    words(first) | words(last) == 0
}

/// A string of any length, with whatever escapes it needs.
fn write_any_string(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    reserve_exact(out, escaped_size(bytes))?;
    out.push(b'"');
    let mut rest = bytes;
    loop {
        let run = plain_prefix(rest);
        let (plain, tail) = rest.split_at(run);
        out.extend_from_slice(plain);
        let Some((&byte, tail)) = tail.split_first() else {
            break;
        };
        write_escape(byte, out);
        rest = tail;
    }
    out.push(b'"');
    check(out)
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    match ESCAPE[usize::from(byte)] {
        UNICODE => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex_digit(byte >> 4), hex_digit(byte & 15)]),
        letter => out.extend_from_slice(&[b'\\', letter]),
    }
}

/// The size of the JSON string with its quotes.
fn escaped_size(bytes: &[u8]) -> usize {
    let extra = |&byte: &u8| match ESCAPE[usize::from(byte)] {
        0 => 0,
        UNICODE => 5,
        _ => 1,
    };
    bytes.len().saturating_add(2).saturating_add(bytes.iter().map(extra).sum())
}

/// How many bytes at the start need no escape.
#[inline]
fn plain_prefix(bytes: &[u8]) -> usize {
    let mut at = 0;
    let mut rest = bytes;
    while let Some((word, tail)) = rest.split_first_chunk::<8>() {
        if special(u64::from_le_bytes(*word)) != 0 {
            break;
        }
        at += 8;
        rest = tail;
    }
    at + rest.iter().position(|&byte| ESCAPE[usize::from(byte)] != 0).unwrap_or(rest.len())
}

/// Four bytes that need no escape, above four others.
const HALF: u64 = 0x2020_2020 << 32;

/// Not zero if any of eight bytes is a control character, a quote or a backslash.
#[inline]
fn special(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = ONES << 7;
    // A borrow can only reach a byte past one that is itself below the limit, so «any» is exact.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let quote = below(word ^ (ONES * u64::from(b'"')), 1);
    let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
    (below(word, 0x20) | quote | backslash) & TOPS
}

/// The two decimal digits of a number below 100.
#[inline]
pub(crate) fn two_digits(value: u8) -> [u8; 2] {
    let at = 2 * usize::from(value);
    [PAIRS[at], PAIRS[at + 1]]
}

/// The four decimal digits of a number below 10,000.
#[inline]
pub(crate) fn four_digits(value: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (two_digits((value / 100) as u8), two_digits((value % 100) as u8));
    [a, b, c, d]
}

#[inline]
fn hex_digit(nibble: u8) -> u8 {
    HEX[usize::from(nibble & 15)]
}

/// Appends two lower-case hexadecimal digits for each byte, without quotes.
///
/// # Errors
/// [`Malformed::TooLong`] beyond [`crate::MAX_TEXT`].
pub fn write_hex(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    reserve_exact(out, bytes.len().saturating_mul(2))?;
    write_hex_unchecked(bytes, out);
    Ok(())
}

/// Appends a bytea as the JSON string of its output text with `bytea_output = hex`: `"\\x68656c6c6f"`.
///
/// # Errors
/// [`Malformed::TooLong`] beyond [`crate::MAX_TEXT`].
pub fn write_bytea(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    reserve_exact(out, bytes.len().saturating_mul(2).saturating_add(5))?;
    out.extend_from_slice(b"\"\\\\x");
    write_hex_unchecked(bytes, out);
    out.push(b'"');
    Ok(())
}

/// As [`write_hex`], where the caller has seen to the room.
pub(crate) fn write_hex_unchecked(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend(bytes.iter().flat_map(|&byte| [hex_digit(byte >> 4), hex_digit(byte)]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_string(bytes, &mut out).unwrap();
        out
    }

    /// One byte at a time, from the rule itself.
    fn slow(bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![b'"'];
        for &byte in bytes {
            match byte {
                8 => out.extend(b"\\b"),
                12 => out.extend(b"\\f"),
                10 => out.extend(b"\\n"),
                13 => out.extend(b"\\r"),
                9 => out.extend(b"\\t"),
                b'"' => out.extend(b"\\\""),
                b'\\' => out.extend(b"\\\\"),
                0..0x20 => out.extend(format!("\\u{byte:04x}").bytes()),
                _ => out.push(byte),
            }
        }
        out.push(b'"');
        out
    }

    #[test]
    fn every_byte_at_every_place_of_a_word() {
        for byte in 0..=255 {
            for place in 0..20 {
                let mut bytes = [b'x'; 20];
                bytes[place] = byte;
                assert_eq!(string(&bytes), slow(&bytes), "byte {byte:#x} at {place}");
                let same = vec![byte; place];
                assert_eq!(string(&same), slow(&same), "{place} times {byte:#x}");
            }
        }
    }

    #[test]
    fn long_strings_are_measured_exactly() {
        let bytes: Vec<u8> = (0..=255).cycle().take(3 * 4096 + 5).collect();
        assert_eq!(string(&bytes), slow(&bytes));
        assert_eq!(string(&bytes).len(), escaped_size(&bytes));
    }

    #[test]
    fn hexadecimal() {
        let mut out = Vec::new();
        write_hex(b"\x00\x1f\xff", &mut out).unwrap();
        assert_eq!(out, b"001fff");
        out.clear();
        write_bytea(b"hi", &mut out).unwrap();
        assert_eq!(out, br#""\\x6869""#);
        out.clear();
        write_bytea(b"", &mut out).unwrap();
        assert_eq!(out, br#""\\x""#);
    }
}
