//! Dates and times, as `to_jsonb` prints them: ISO 8601 with a `T`, times with zone in UTC.

use crate::error::Malformed;
use crate::scalar::write_uint;
use crate::text::{four_digits, two_digits};

const MICROS_PER_SECOND: u64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The days that the server knows: from 4714-11-24 BC to 5874897-12-31.
const DAYS: std::ops::Range<i64> = -2_451_545..2_145_031_949;
/// The times that the server knows: from 4714-11-24 BC to the end of 294276.
const MICROS: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;

/// Days from 0000-03-01 to 2000-01-01. Years that begin in March end with the leap day.
const MARCH_OF_YEAR_ZERO: i64 = 730_425;
const DAYS_IN_400_YEARS: i64 = 146_097;

/// A day of the Gregorian calendar, also before there was one.
struct Day {
    /// 0 is 1 BC.
    year: i64,
    month: u8,
    day: u8,
}

/// Appends a date as a JSON string; `days` since 2000-01-01.
///
/// # Errors
/// [`Malformed::DateTime`] for a day that the server does not know.
pub fn write_date(days: i32, out: &mut Vec<u8>) -> Result<(), Malformed> {
    match days {
        i32::MAX => out.extend_from_slice(b"\"infinity\""),
        i32::MIN => out.extend_from_slice(b"\"-infinity\""),
        _ => {
            let day = day(i64::from(days))?;
            begin(&day, out);
            end(&day, out);
        }
    }
    Ok(())
}

/// Appends a timestamp without time zone as a JSON string; `micros` since 2000-01-01.
///
/// # Errors
/// [`Malformed::DateTime`] for a time that the server does not know.
pub fn write_timestamp(micros: i64, out: &mut Vec<u8>) -> Result<(), Malformed> {
    write_time(micros, b"", out)
}

/// Appends a timestamp with time zone as a JSON string in UTC; `micros` since 2000-01-01 UTC.
///
/// # Errors
/// [`Malformed::DateTime`] for a time that the server does not know.
pub fn write_timestamptz(micros: i64, out: &mut Vec<u8>) -> Result<(), Malformed> {
    write_time(micros, b"+00:00", out)
}

fn write_time(micros: i64, zone: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    match micros {
        i64::MAX => out.extend_from_slice(b"\"infinity\""),
        i64::MIN => out.extend_from_slice(b"\"-infinity\""),
        _ if !MICROS.contains(&micros) => return Err(Malformed::DateTime),
        _ => {
            let day = day(micros.div_euclid(MICROS_PER_DAY))?;
            begin(&day, out);
            write_time_of_day(micros.rem_euclid(MICROS_PER_DAY).cast_unsigned(), out);
            out.extend_from_slice(zone);
            end(&day, out);
        }
    }
    Ok(())
}

/// The day so many days after 2000-01-01.
#[inline]
fn day(days: i64) -> Result<Day, Malformed> {
    if !DAYS.contains(&days) {
        return Err(Malformed::DateTime);
    }
    let days = days + MARCH_OF_YEAR_ZERO;
    let cycle = days.div_euclid(DAYS_IN_400_YEARS);
    let in_cycle = days.rem_euclid(DAYS_IN_400_YEARS);
    // All years are counted as 365 days once their leap days before this one are taken out.
    let leap_days = in_cycle / 1460 - in_cycle / 36_524 + in_cycle / 146_096;
    let year = (in_cycle - leap_days) / 365;
    let in_year = in_cycle - (365 * year + year / 4 - year / 100);
    // From March on, five months in turn have 153 days.
    let month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * month + 2) / 5 + 1;
    let next_year = month >= 10;
    Ok(Day {
        year: 400 * cycle + year + i64::from(next_year),
        month: (if next_year { month - 9 } else { month + 3 }) as u8,
        day: day as u8,
    })
}

/// Writes the quote and the date.
#[inline]
fn begin(day: &Day, out: &mut Vec<u8>) {
    let year = if day.year > 0 { day.year } else { 1 - day.year }.unsigned_abs();
    out.push(b'"');
    match u16::try_from(year) {
        Ok(year @ 0..10_000) => out.extend_from_slice(&four_digits(year)),
        _ => write_uint(year, out),
    }
    let ([m, mm], [d, dd]) = (two_digits(day.month), two_digits(day.day));
    out.extend_from_slice(&[b'-', m, mm, b'-', d, dd]);
}

/// Writes the era and the quote.
#[inline]
fn end(day: &Day, out: &mut Vec<u8>) {
    out.extend_from_slice(if day.year > 0 { b"\"" } else { b" BC\"" });
}

#[inline]
fn write_time_of_day(micros: u64, out: &mut Vec<u8>) {
    let (seconds, fraction) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    let part = |value: u64| two_digits((value % 60) as u8);
    let ([h, hh], [m, mm], [s, ss]) = (part(seconds / 3600), part(seconds / 60), part(seconds));
    out.extend_from_slice(&[b'T', h, hh, b':', m, mm, b':', s, ss]);
    if fraction > 0 {
        let ([a, b], [c, d, e, f]) = (two_digits((fraction / 10_000) as u8), four_digits((fraction % 10_000) as u16));
        out.extend_from_slice(&[b'.', a, b, c, d, e, f]);
        // Not zero, so a digit stops this.
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(days: i32) -> String {
        let mut out = Vec::new();
        write_date(days, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn time(micros: i64) -> String {
        let mut out = Vec::new();
        write_timestamptz(micros, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// The calendar day by day, from its rules.
    #[test]
    fn every_day_of_a_thousand_years() {
        let (mut year, mut month, mut day) = (1600, 1, 1);
        for days in -146_097..219_146 {
            assert_eq!(date(days), format!("\"{year:04}-{month:02}-{day:02}\""));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 => 28 + i32::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (year, month, day) = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                _ if day == last => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }

    #[test]
    fn fractions_end_without_zeros() {
        assert_eq!(time(0), "\"2000-01-01T00:00:00+00:00\"");
        assert_eq!(time(1), "\"2000-01-01T00:00:00.000001+00:00\"");
        assert_eq!(time(500_000), "\"2000-01-01T00:00:00.5+00:00\"");
        assert_eq!(time(-10), "\"1999-12-31T23:59:59.99999+00:00\"");
    }

    #[test]
    fn what_the_server_does_not_know_is_refused() {
        for days in [-2_451_546, 2_145_031_949] {
            assert_eq!(write_date(days, &mut Vec::new()), Err(Malformed::DateTime));
        }
        for micros in [MICROS.start - 1, MICROS.end] {
            assert_eq!(write_timestamp(micros, &mut Vec::new()), Err(Malformed::DateTime));
            assert_eq!(write_timestamptz(micros, &mut Vec::new()), Err(Malformed::DateTime));
        }
    }
}
