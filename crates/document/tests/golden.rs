//! What the server stores and what it prints: see `golden/make.sh`.

use pgseal_document::{
    member_order, write_date, write_float_text, write_jsonb, write_numeric, write_numeric_json, write_string,
    write_timestamp, write_timestamptz,
};
use std::cmp::Ordering;

/// The pairs of one golden file.
fn pairs(file: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    file.lines().map(|line| line.split_once('\t').expect("a tab in each line"))
}

fn text(out: &[u8]) -> &str {
    std::str::from_utf8(out).expect("UTF-8")
}

/// Undoes the `0{n}` at the end of very long numbers.
fn with_zeros(expected: &str) -> String {
    match expected.strip_suffix('}').and_then(|rest| rest.rsplit_once("0{")) {
        Some((start, zeros)) => format!("{start}{}", "0".repeat(zeros.parse().expect("a count"))),
        None => expected.to_owned(),
    }
}

const JSONB: &str = include_str!("golden/jsonb.txt");
const NUMERIC: &str = include_str!("golden/numeric.txt");

#[test]
fn jsonb() {
    let (mut out, mut count) = (Vec::new(), 0);
    for (payload, expected) in pairs(JSONB) {
        out.clear();
        let payload = hex::decode(payload).unwrap();
        assert_eq!(write_jsonb(&payload, &mut out), Ok(()), "{expected}");
        assert_eq!(text(&out), expected);
        count += 1;
    }
    assert!(count > 350, "{count}");
}

#[test]
fn jsonb_is_read_at_any_alignment() {
    for (payload, expected) in pairs(JSONB).take(100) {
        for shift in 0..4 {
            let mut bytes = vec![0xff; shift];
            bytes.extend(hex::decode(payload).unwrap());
            let mut out = Vec::new();
            write_jsonb(&bytes[shift..], &mut out).unwrap();
            assert_eq!(text(&out), expected);
        }
    }
}

#[test]
fn jsonb_appends() {
    let mut out = b"before ".to_vec();
    let (payload, expected) = pairs(JSONB).next().unwrap();
    write_jsonb(&hex::decode(payload).unwrap(), &mut out).unwrap();
    assert_eq!(text(&out), format!("before {expected}"));
}

#[test]
fn truncated_jsonb_is_refused() {
    let mut out = Vec::new();
    for (payload, expected) in pairs(JSONB) {
        let payload = hex::decode(payload).unwrap();
        for size in 0..payload.len() {
            out.clear();
            // Every byte counts, so a shorter value is never a value.
            assert!(write_jsonb(&payload[..size], &mut out).is_err(), "{size} bytes of {expected}");
        }
    }
}

#[test]
fn flipped_jsonb_never_panics() {
    let mut out = Vec::new();
    for (payload, _) in pairs(JSONB).filter(|(payload, _)| payload.len() < 500) {
        let mut payload = hex::decode(payload).unwrap();
        for at in 0..payload.len() {
            for mask in [0x01, 0x10, 0xc0] {
                payload[at] ^= mask;
                out.clear();
                let _ = write_jsonb(&payload, &mut out);
                payload[at] ^= mask;
            }
        }
    }
}

#[test]
fn numeric() {
    let (mut out, mut count) = (Vec::new(), 0);
    for (payload, expected) in pairs(NUMERIC) {
        let payload = hex::decode(payload).unwrap();
        let expected = with_zeros(expected);
        let bare = expected.contains(|c: char| c.is_ascii_digit());
        out.clear();
        assert_eq!(write_numeric(&payload, &mut out).unwrap().is_finite(), bare, "{expected}");
        assert_eq!(text(&out), expected);
        out.clear();
        write_numeric_json(&payload, &mut out).unwrap();
        assert_eq!(text(&out), if bare { expected } else { format!("\"{expected}\"") });
        count += 1;
    }
    assert!(count > 600, "{count}");
}

#[test]
fn truncated_numeric_never_panics() {
    for (payload, _) in pairs(NUMERIC) {
        let payload = hex::decode(payload).unwrap();
        for size in 0..payload.len() {
            let result = write_numeric(&payload[..size], &mut Vec::new());
            assert!(result.is_err() || size % 2 == 0, "half a digit");
        }
    }
}

#[test]
fn float() {
    let mut count = 0;
    for (shortest, expected) in pairs(include_str!("golden/float.txt")) {
        let mut out = Vec::new();
        write_float_text(shortest.as_bytes(), &mut out).unwrap();
        assert_eq!(text(&out), expected, "{shortest}");
        count += 1;
    }
    assert!(count > 300, "{count}");
}

#[test]
fn datetime() {
    let mut counts = [0; 3];
    for (stored, expected) in pairs(include_str!("golden/datetime.txt")) {
        let (kind, number) = stored.split_once(' ').expect("type and number");
        let number: i64 = number.parse().expect("a number");
        let mut out = Vec::new();
        let at = match kind {
            "date" => write_date(number.try_into().expect("days"), &mut out).map(|()| 0),
            "timestamp" => write_timestamp(number, &mut out).map(|()| 1),
            _ => write_timestamptz(number, &mut out).map(|()| 2),
        };
        counts[at.expect("in range")] += 1;
        assert_eq!(text(&out), expected, "{stored}");
    }
    assert!(counts.iter().all(|count| *count > 320), "{counts:?}");
}

#[test]
fn string() {
    let mut count = 0;
    for (bytes, expected) in pairs(include_str!("golden/string.txt")) {
        let mut out = Vec::new();
        write_string(&hex::decode(bytes).unwrap(), &mut out).unwrap();
        assert_eq!(text(&out), expected);
        count += 1;
    }
    assert!(count > 190, "{count}");
}

#[test]
fn order_is_that_of_the_server() {
    // Flat objects with plain keys, as the server sorted them.
    let mut seen = 0;
    for (_, expected) in pairs(JSONB) {
        let Some(members) = expected.strip_prefix("{\"k").and_then(|rest| rest.strip_suffix('}')) else {
            continue;
        };
        let keys: Vec<&str> =
            members.split(", \"k").filter_map(|member| member.split_once("\":")).map(|(key, _)| key).collect();
        if keys.iter().any(|key| key.contains('\\')) {
            continue;
        }
        for pair in keys.windows(2) {
            assert_eq!(member_order(pair[0].as_bytes(), pair[1].as_bytes()), Ordering::Less, "{pair:?}");
            seen += 1;
        }
    }
    assert!(seen > 300, "{seen}");
}
