//! Values that the server would not build, or could not print.

mod common;

use common::{Json, Number};
use pgseal_document::{MAX_TEXT, Malformed, write_bytea, write_jsonb, write_numeric, write_string};

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn refusal(payload: &[u8]) -> Malformed {
    write_jsonb(payload, &mut Vec::new()).expect_err("malformed")
}

/// `depth` arrays in one another, built from the inside without recursion.
fn nested(depth: u32) -> Vec<u8> {
    (0..depth).map(|level| (level, (depth - 1 - level) * 8)).fold(Vec::new(), |mut bytes, (level, below)| {
        let last = level == depth - 1;
        bytes.extend(words(if last { &[0x4000_0000] } else { &[] }));
        if !last {
            // The inner array has eight bytes for each level but the innermost, which has four.
            bytes.extend(words(&[0x4000_0001, 0x8000_0000 | 0x5000_0000 | (below - 4)]));
        }
        bytes
    })
}

#[test]
fn nesting_does_not_use_the_stack() {
    for depth in [1, 2, 5_000, 1_000_000] {
        let mut out = Vec::new();
        write_jsonb(&nested(depth), &mut out).unwrap();
        let (open, close) = out.split_at(depth as usize);
        assert!(open.iter().all(|&byte| byte == b'[') && close.iter().all(|&byte| byte == b']'));
        assert_eq!(open.len(), close.len());
    }
}

#[test]
fn both_length_headers_of_a_numeric() {
    for packed in [false, true] {
        let number =
            |whole: &str| Json::Number(Number { negative: false, whole: whole.into(), fraction: "50".into(), packed });
        let value =
            Json::Array(vec![Json::String("x".into()), number("12345"), Json::String("yz".into()), number("7")]);
        let mut out = Vec::new();
        write_jsonb(&value.payload(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), r#"["x", 12345.50, "yz", 7.50]"#);
    }
}

#[test]
fn containers_that_are_none() {
    let null = 0xC000_0000;
    assert_eq!(refusal(b""), Malformed::Jsonb("shorter than it says"));
    assert_eq!(refusal(b"\0\0\0"), Malformed::Jsonb("shorter than it says"));
    for header in
        [0, 0x1000_0000, 0x6000_0000, 0x3000_0000, 0x7000_0000, 0xC000_0000, 0xF000_0000, 0x5000_0000, 0x5000_0002]
    {
        assert_eq!(
            refusal(&words(&[header, null, null])),
            Malformed::Jsonb("unknown kind of container"),
            "{header:#x}"
        );
    }
    assert_eq!(refusal(&words(&[0x4FFF_FFFF, null])), Malformed::Jsonb("shorter than it says"));
    assert_eq!(refusal(&words(&[0x2FFF_FFFF, null])), Malformed::Jsonb("shorter than it says"));
}

#[test]
fn children_that_are_none() {
    // Types 6 and 7 do not exist; a key that is null; a bare value inside another; a bare array.
    assert_eq!(refusal(&words(&[0x4000_0001, 0xE000_0000])), Malformed::Jsonb("unknown type of value"));
    assert_eq!(refusal(&words(&[0x4000_0001, 0xF000_0000])), Malformed::Jsonb("unknown type of value"));
    assert_eq!(refusal(&words(&[0x2000_0001, 0xC000_0000, 0xC000_0000])), Malformed::Jsonb("a key is not a string"));
    assert_eq!(
        refusal(&words(&[0x4000_0001, 0xD000_0008, 0x5000_0001, 0xC000_0000])),
        Malformed::Jsonb("a bare value inside another")
    );
    assert_eq!(
        refusal(&words(&[0x5000_0001, 0xD000_0004, 0x4000_0000])),
        Malformed::Jsonb("a bare value that is none")
    );
}

#[test]
fn offsets_only_go_forward() {
    // Two strings over the same bytes would make a short value stand for a long text.
    let backwards = [words(&[0x4000_0003, 0x8000_0004, 0x8000_0000, 0x8000_0004]), b"abcd".to_vec()].concat();
    assert_eq!(refusal(&backwards), Malformed::Jsonb("shorter than it says"));
    let beyond = [words(&[0x4000_0001, 0x8000_0005]), b"abcd".to_vec()].concat();
    assert_eq!(refusal(&beyond), Malformed::Jsonb("shorter than it says"));
}

#[test]
fn numerics_that_are_none() {
    let refused = |payload: &[u8]| write_numeric(payload, &mut Vec::new()).expect_err("malformed");
    assert_eq!(refused(b""), Malformed::Numeric("too short"));
    assert_eq!(refused(b"\x80"), Malformed::Numeric("too short"));
    assert_eq!(refused(&0x4000u16.to_ne_bytes()), Malformed::Numeric("too short"));
    assert_eq!(refused(&0xE000u16.to_ne_bytes()), Malformed::Numeric("unknown special value"));
    assert_eq!(refused(&[&0x8000u16.to_ne_bytes()[..], &[1]].concat()), Malformed::Numeric("half a digit"));
    for digit in [10_000u16, 0xffff] {
        assert_eq!(
            refused(&[0x8000u16.to_ne_bytes(), digit.to_ne_bytes()].concat()),
            Malformed::Numeric("digit out of range")
        );
    }
}

#[test]
fn digits_that_the_text_would_hide() {
    // Short form, weight 0.
    let numeric = |dscale: u16, digits: &[u16]| {
        let words: Vec<u16> = [&[0x8000 | dscale << 7], digits].concat();
        let mut out = Vec::new();
        write_numeric(&words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>(), &mut out)
            .map(|_| String::from_utf8(out).unwrap())
    };
    assert_eq!(numeric(2, &[1, 1200]).unwrap(), "1.12");
    assert_eq!(numeric(2, &[1, 1200, 0]).unwrap(), "1.12");
    assert_eq!(numeric(0, &[1, 0]).unwrap(), "1");
    let hidden = Err(Malformed::Numeric("digits beyond its scale"));
    assert_eq!(numeric(2, &[1, 1230]), hidden);
    assert_eq!(numeric(2, &[1, 1200, 1]), hidden);
    assert_eq!(numeric(4, &[1, 1200, 1]), hidden);
    assert_eq!(numeric(0, &[1, 1]), hidden);
}

#[test]
fn stored_numerics_with_a_wrong_length() {
    let stored =
        |bytes: &[u8]| refusal(&[&words(&[0x4000_0001, 0x9000_0000 | bytes.len() as u32])[..], bytes].concat());
    assert_eq!(stored(b""), Malformed::Numeric("unknown length header"));
    if cfg!(target_endian = "little") {
        // Stored elsewhere; compressed; longer than the child; shorter than its own header.
        assert_eq!(stored(&[0x01, 0x12, 0, 0]), Malformed::Numeric("unknown length header"));
        assert_eq!(stored(&[0x1a, 0, 0, 0, 0, 0x80]), Malformed::Numeric("unknown length header"));
        assert_eq!(stored(&[0x1c, 0, 0, 0, 0, 0x80]), Malformed::Numeric("longer than its place"));
        assert_eq!(stored(&[0x08, 0, 0, 0, 0, 0x80]), Malformed::Numeric("longer than its place"));
    }
}

#[test]
fn a_text_beyond_the_limit_is_an_error_not_an_abort() {
    // Zeroed pages are not touched, so this needs address space, not memory.
    let null = words(&[0x5000_0001, 0xC000_0000]);
    let object = Json::object(vec![("k".into(), Json::String("v".into()))]).payload();
    let mut fits = vec![0; MAX_TEXT - 4];
    assert_eq!(write_jsonb(&null, &mut fits), Ok(()));
    assert_eq!(fits.len(), MAX_TEXT);
    assert_eq!(write_jsonb(&null, &mut fits), Err(Malformed::TooLong));
    fits.truncate(MAX_TEXT - 5);
    assert_eq!(write_jsonb(&object, &mut fits), Err(Malformed::TooLong));
    fits.truncate(MAX_TEXT - 5);
    assert_eq!(write_string(b"\x01", &mut fits), Err(Malformed::TooLong));
    fits.truncate(MAX_TEXT - 5);
    assert_eq!(write_bytea(b"x", &mut fits), Err(Malformed::TooLong));
    fits.truncate(MAX_TEXT - 5);
    // Long form, weight 30,000: 120,001 digits from four bytes.
    let huge = [0u16.to_ne_bytes(), 30_000u16.to_ne_bytes()].concat();
    assert_eq!(write_numeric(&huge, &mut fits), Err(Malformed::TooLong));
}
