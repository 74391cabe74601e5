//! float4 and float8, from the server's shortest output text.

use crate::buffer::{check, reserve};
use crate::error::Malformed;

/// Larger exponents than any float8 has are refused, so that a short text cannot ask for gigabytes of zeros.
const MAX_EXPONENT: i32 = 400;

/// Appends what `to_jsonb` prints for a float whose output text (`extra_float_digits` ≥ 1) is `shortest`.
///
/// `to_jsonb` goes through numeric, which writes exponents out: `1e+20` becomes `100000000000000000000` and `1.5e-07`
/// becomes `0.00000015`. `NaN` and the infinities are JSON strings. So is a negative zero, `"-0"`: numeric has none,
/// and what is signed must tell the two zeros apart.
///
/// # Errors
/// [`Malformed::Float`] if the text is not a float's.
pub fn write_float_text(shortest: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    if matches!(shortest, b"NaN" | b"Infinity" | b"-Infinity") {
        return quoted(shortest, out);
    }
    let (negative, unsigned) = match shortest.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, shortest),
    };
    let (mantissa, exponent) = match unsigned.iter().position(|&byte| byte == b'e') {
        Some(at) => (&unsigned[..at], parse_exponent(&unsigned[at + 1..])?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = match mantissa.iter().position(|&byte| byte == b'.') {
        Some(at) => (&mantissa[..at], digits(&mantissa[at + 1..])?),
        None => (mantissa, &[][..]),
    };
    let whole = digits(whole)?;
    if negative && whole.iter().chain(fraction).all(|&byte| byte == b'0') {
        return quoted(shortest, out);
    }
    reserve(out, whole.len() + fraction.len() + exponent.unsigned_abs() as usize + 3)?;
    if negative {
        out.push(b'-');
    }
    write_plain(whole, fraction, exponent, out);
    check(out)
}

fn quoted(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    reserve(out, text.len() + 2)?;
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
    Ok(())
}

/// At least one decimal digit and nothing else.
fn digits(text: &[u8]) -> Result<&[u8], Malformed> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) { Err(Malformed::Float) } else { Ok(text) }
}

fn parse_exponent(text: &[u8]) -> Result<i32, Malformed> {
    let (sign, magnitude) = match text.split_first() {
        Some((b'-', rest)) => (-1, rest),
        Some((b'+', rest)) => (1, rest),
        _ => (1, text),
    };
    let value = digits(magnitude)?
        .iter()
        .fold(0i32, |value, digit| value.saturating_mul(10).saturating_add(i32::from(digit - b'0')));
    if value > MAX_EXPONENT { Err(Malformed::Float) } else { Ok(sign * value) }
}

/// Writes the digits with the decimal point moved by `exponent` places.
fn write_plain(whole: &[u8], fraction: &[u8], exponent: i32, out: &mut Vec<u8>) {
    let shift = exponent.unsigned_abs() as usize;
    let none: &[u8] = &[];
    // Before the point come `left`, `left_more` and `left_zeros` zeros; after it `right_zeros`, `right` and `right_more`.
    let (left, left_more, left_zeros, right_zeros, right, right_more) = if exponent >= 0 {
        let (moved, kept) = fraction.split_at(shift.min(fraction.len()));
        (whole, moved, shift - moved.len(), 0, none, kept)
    } else {
        let (kept, moved) = whole.split_at(whole.len().saturating_sub(shift));
        (kept, none, 0, shift - moved.len(), moved, fraction)
    };
    let start = out.len();
    for part in [left, left_more] {
        // No leading zeros.
        let skip = if out.len() > start { 0 } else { part.iter().take_while(|&&byte| byte == b'0').count() };
        out.extend_from_slice(&part[skip..]);
    }
    if out.len() > start {
        out.resize(out.len() + left_zeros, b'0');
    } else {
        out.push(b'0');
    }
    if right_zeros + right.len() + right_more.len() > 0 {
        out.push(b'.');
        out.resize(out.len() + right_zeros, b'0');
        out.extend_from_slice(right);
        out.extend_from_slice(right_more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(text: &str) -> Result<String, Malformed> {
        let mut out = Vec::new();
        write_float_text(text.as_bytes(), &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn plain_numbers_stay() {
        for text in ["0", "1", "-1", "0.1", "-0.1", "123456.789", "3.4028235", "1.0"] {
            assert_eq!(float(text).unwrap(), text);
        }
    }

    #[test]
    fn exponents_are_written_out() {
        assert_eq!(float("1e+300").unwrap(), format!("1{}", "0".repeat(300)));
        assert_eq!(float("1.5e-07").unwrap(), "0.00000015");
        assert_eq!(float("-1.5e+03").unwrap(), "-1500");
        assert_eq!(float("1.2345e+02").unwrap(), "123.45");
        assert_eq!(float("12.5e-01").unwrap(), "1.25");
        assert_eq!(float("12.5e-02").unwrap(), "0.125");
        assert_eq!(float("0.0015e+2").unwrap(), "0.15");
        assert_eq!(float("0e+5").unwrap(), "0");
        assert_eq!(float("5e-324").unwrap(), format!("0.{}5", "0".repeat(323)));
    }

    #[test]
    fn what_json_numbers_cannot_say_is_a_string() {
        for text in ["NaN", "Infinity", "-Infinity", "-0", "-0.0"] {
            assert_eq!(float(text).unwrap(), format!("\"{text}\""));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "-", "+1", "e5", "1e", "1e+", "1.", ".5", "1.e5", "--1", "1e999", "1e99999999999", "nan", "0x1", "1 "]
        {
            assert_eq!(float(text), Err(Malformed::Float), "{text:?}");
        }
    }
}
