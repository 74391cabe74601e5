//! Times as text: exact to the microsecond, UTC, for every `i64`.

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// Days from 0000-03-01, where a cycle of leap years begins, to 2000-01-01.
const DAYS_TO_2000: i64 = 730_425;
/// Days of 400 years, 100 years, 4 years, one year; each but the last before what it lacks of the longer.
const CYCLE: i64 = 146_097;
const YEAR: i64 = 365;

/// `2026-11-21T22:00:00.123456Z`: the Gregorian calendar, also before it was made, where the year
/// before 1 is 0; a year has at least four digits.
pub fn text(at: i64) -> String {
    let (days, rest) = (at.div_euclid(DAY), at.rem_euclid(DAY));
    let (year, month, day) = date(days + DAYS_TO_2000);
    let (seconds, micros) = (rest / SECOND, rest % SECOND);
    let sign = if year < 0 { "-" } else { "" };
    let (year, hour, minute, second) = (year.abs(), seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{sign}{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// The time of which this is the [`text`]; `None` if there is none.
pub fn parse(given: &str) -> Option<i64> {
    let (sign, digits) = given.strip_prefix('-').map_or((1, given), |rest| (-1, rest));
    let numbers: Vec<i64> = digits
        .strip_suffix('Z')?
        .split(['-', 'T', ':', '.'])
        .map(|digits| digits.parse().ok().filter(|n| (0..SECOND).contains(n)))
        .collect::<Option<_>>()?;
    let [year, month, day, hour, minute, second, micros] = numbers[..] else { return None };
    let days = days(sign * year, month, day) - DAYS_TO_2000;
    let rest = ((hour * 60 + minute) * 60 + second) * SECOND + micros;
    // In 128 bits: the midnight before the smallest time is out of range.
    let at = i64::try_from(i128::from(days) * i128::from(DAY) + i128::from(rest)).ok()?;
    // What is not as it would be printed (a 31st of June, a blank, too few digits) is no time.
    (text(at) == given).then_some(at)
}

/// Year, month and day of a number of days since 0000-03-01. Years that begin in March end with the leap day.
fn date(days: i64) -> (i64, i64, i64) {
    let (cycle, day) = (days.div_euclid(CYCLE), days.rem_euclid(CYCLE));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / YEAR;
    let day = day - (YEAR * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let january = month >= 10;
    (400 * cycle + year + i64::from(january), if january { month - 9 } else { month + 3 }, day)
}

/// The inverse of [`date`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
    CYCLE * cycle + YEAR * year + year / 4 - year / 100 + (153 * month + 2) / 5 + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [(i64, &str); 22] = [
        (0, "2000-01-01T00:00:00.000000Z"),
        (-1, "1999-12-31T23:59:59.999999Z"),
        (848_613_600_123_456, "2026-11-21T22:00:00.123456Z"),
        (5_140_800_000_000, "2000-02-29T12:00:00.000000Z"),
        (5_184_000_000_000, "2000-03-01T00:00:00.000000Z"),
        (-3_150_576_000_000_001, "1900-02-28T23:59:59.999999Z"),
        (-3_150_576_000_000_000, "1900-03-01T00:00:00.000000Z"),
        (3_160_771_200_000_000, "2100-02-28T00:00:00.000000Z"),
        (3_160_857_600_000_000, "2100-03-01T00:00:00.000000Z"),
        (762_566_399_000_001, "2024-02-29T23:59:59.000001Z"),
        (12_627_878_400_000_000, "2400-02-29T00:00:00.000000Z"),
        (-946_684_800_000_000, "1970-01-01T00:00:00.000000Z"),
        (-13_166_928_000_000_000, "1582-10-04T00:00:00.000000Z"),
        (-63_082_281_600_000_000, "0001-01-01T00:00:00.000000Z"),
        (-63_082_281_600_000_001, "0000-12-31T23:59:59.999999Z"),
        (-63_113_904_000_000_001, "-0001-12-31T23:59:59.999999Z"),
        (252_455_615_999_999_999, "9999-12-31T23:59:59.999999Z"),
        (252_455_616_000_000_000, "10000-01-01T00:00:00.000000Z"),
        (-211_813_488_000_000_000, "-4713-11-24T00:00:00.000000Z"),
        (9_223_371_331_199_999_999, "294276-12-31T23:59:59.999999Z"),
        (i64::MAX, "294277-01-09T04:00:54.775807Z"),
        (i64::MIN, "-290278-12-22T19:59:05.224192Z"),
    ];

    #[test]
    fn known_times() {
        for (at, known) in KNOWN {
            assert_eq!(text(at), known);
            assert_eq!(parse(known), Some(at), "{known}");
        }
    }

    #[test]
    fn every_day_of_800_years_follows_the_one_before() {
        let months = |year: i64| {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        };
        let mut number = days(-400, 1, 1);
        for year in -400..400 {
            for (month, length) in (1..).zip(months(year)) {
                for day in 1..=length {
                    assert_eq!(date(number), (year, month, day));
                    assert_eq!(days(year, month, day), number);
                    number += 1;
                }
            }
        }
    }

    #[test]
    fn anything_else_is_no_time() {
        for given in [
            "",
            "Z",
            "2026-11-21",
            "2026-11-21T22:00:00Z",
            "2026-11-21T22:00:00.123Z",
            "2026-11-21T22:00:00.123456",
            "2026-11-21T22:00:00.123456+00",
            "2026-11-21T22:00:00.123456z",
            "2026-11-21 22:00:00.123456Z",
            "2026-11-21T22:00:00.1234567Z",
            "2026-11-21T22:00:00,123456Z",
            "2026-11-21T24:00:00.000000Z",
            "2026-11-21T22:60:00.000000Z",
            "2026-11-21T22:00:60.000000Z",
            "2026-11-31T22:00:00.000000Z",
            "2026-02-29T22:00:00.000000Z",
            "2026-00-21T22:00:00.000000Z",
            "2026-13-21T22:00:00.000000Z",
            "2026-11-00T22:00:00.000000Z",
            "2026-1-21T22:00:00.000000Z",
            "+2026-11-21T22:00:00.000000Z",
            "02026-11-21T22:00:00.000000Z",
            "-0000-11-21T22:00:00.000000Z",
            "--001-11-21T22:00:00.000000Z",
            "2026-+1-21T22:00:00.000000Z",
            "2026-11-21T22:00:00.000000Z ",
            "294277-01-09T04:00:54.775808Z",
            "999999-12-31T23:59:59.999999Z",
            "9223372036854775807-01-01T00:00:00.000000Z",
        ] {
            assert_eq!(parse(given), None, "{given}");
        }
    }
}
