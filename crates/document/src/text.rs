//! JSON strings and hexadecimal digits.

use crate::buffer::{check, reserve, reserve_exact};
use crate::error::Malformed;

const HEX: &[u8; 16] = b"0123456789abcdef";

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

/// Strings up to this size get room for the worst case (six bytes for one); longer ones are measured first.
const SHORT: usize = 4096;

/// Appends `bytes` as a JSON string, escaped as the server's `escape_json` does.
///
/// Non-ASCII bytes are copied: the server guarantees their encoding.
///
/// # Errors
/// [`Malformed::TooLong`] beyond [`crate::MAX_TEXT`].
#[inline]
pub fn write_string(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    if bytes.len() <= SHORT {
        reserve(out, bytes.len() * 6 + 2)?;
    } else {
        reserve_exact(out, escaped_size(bytes))?;
    }
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
        if needs_escape(u64::from_le_bytes(*word)) {
            break;
        }
        at += 8;
        rest = tail;
    }
    at + rest.iter().position(|&byte| ESCAPE[usize::from(byte)] != 0).unwrap_or(rest.len())
}

/// Whether any of eight bytes is a control character, a quote or a backslash.
#[inline]
fn needs_escape(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = ONES << 7;
    // A borrow can only reach a byte past one that is itself below the limit, so «any» is exact.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & TOPS;
    let quote = below(word ^ (ONES * u64::from(b'"')), 1);
    let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
    (below(word, 0x20) | quote | backslash) != 0
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
        let bytes: Vec<u8> = (0..=255).cycle().take(3 * SHORT + 5).collect();
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
