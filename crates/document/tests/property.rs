//! Generated values: well-formed ones have the expected text, arbitrary bytes never panic.

mod common;

use common::{Json, Number};
use pgseal_document::{
    Malformed, write_date, write_float_text, write_jsonb, write_numeric, write_numeric_json, write_string,
    write_timestamp, write_timestamptz,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn number() -> impl Strategy<Value = Number> {
    let whole = prop_oneof![Just("0".to_owned()), "[1-9][0-9]{0,18}", "[1-9][0-9]{0,3}0{0,300}"];
    let fraction = prop_oneof![Just(String::new()), "[0-9]{1,12}", "0{0,300}[0-9]{1,5}"];
    (any::<bool>(), whole, fraction, any::<bool>()).prop_map(|(negative, whole, fraction, packed)| Number {
        negative,
        whole,
        fraction,
        packed,
    })
}

fn string() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_]{0,12}", "[\u{1}-\u{22}\\\\xé€😀]{0,40}", any::<String>()]
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        number().prop_map(Json::Number),
        string().prop_map(Json::String),
    ];
    leaf.prop_recursive(6, 200, 70, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..70).prop_map(Json::Array),
            vec((string(), inner), 0..40).prop_map(Json::object)
        ]
    })
}

proptest! {
    #[test]
    fn jsonb_has_the_expected_text(value in json()) {
        let mut out = Vec::new();
        write_jsonb(&value.payload(), &mut out).unwrap();
        prop_assert_eq!(String::from_utf8(out).unwrap(), value.text());
    }

    #[test]
    fn numeric_has_the_expected_text(number in number()) {
        let mut out = Vec::new();
        prop_assert!(write_numeric(&number.payload(), &mut out).unwrap().is_finite());
        prop_assert_eq!(String::from_utf8(out).unwrap(), number.text());
    }

    #[test]
    fn a_float_with_an_exponent_keeps_its_value(value in any::<f64>().prop_filter("finite, not zero", |v| v.is_finite() && *v != 0.0)) {
        let mut out = Vec::new();
        write_float_text(format!("{value:e}").as_bytes(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        prop_assert!(text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-'), "{}", text);
        prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
    }

    #[test]
    fn different_times_have_different_texts(days in any::<[i32; 2]>(), micros in any::<[i64; 2]>(), near in -2i64..=2) {
        let written = |write: &dyn Fn(&mut Vec<u8>) -> Result<(), Malformed>| {
            let mut out = Vec::new();
            write(&mut out).ok().map(|()| out)
        };
        let is_told_apart = |a: Option<Vec<u8>>, b: Option<Vec<u8>>, same| a.is_none() || b.is_none() || (a == b) == same;
        let [a, b] = days;
        prop_assert!(is_told_apart(written(&|out| write_date(a, out)), written(&|out| write_date(b, out)), a == b));
        for (a, b) in [(micros[0], micros[1]), (micros[0], micros[0].saturating_add(near))] {
            let zoned = (written(&|out| write_timestamptz(a, out)), written(&|out| write_timestamptz(b, out)));
            prop_assert!(is_told_apart(zoned.0, zoned.1, a == b));
            let plain = (written(&|out| write_timestamp(a, out)), written(&|out| write_timestamp(b, out)));
            prop_assert!(is_told_apart(plain.0, plain.1, a == b));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let mut out = Vec::new();
        let _ = write_jsonb(&bytes, &mut out);
        let _ = write_numeric_json(&bytes, &mut out);
        let _ = write_float_text(&bytes, &mut out);
        let _ = write_string(&bytes, &mut out);
    }

    #[test]
    fn arbitrary_words_after_a_likely_header_never_panic(
        kind in prop::sample::select(vec![0x2000_0000u32, 0x4000_0000, 0x5000_0000]),
        count in 0u32..8,
        words in vec((prop::sample::select(vec![0u32, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 15]), 0u32..40), 0..40),
    ) {
        let mut bytes = (kind | count).to_ne_bytes().to_vec();
        // Type, length or offset.
        bytes.extend(words.iter().flat_map(|(top, low)| (top << 28 | low).to_ne_bytes()));
        let _ = write_jsonb(&bytes, &mut Vec::new());
    }

    #[test]
    fn arbitrary_floats_never_panic(text in "-?[0-9]{0,5}\\.?[0-9]{0,5}(e[-+]?[0-9]{0,12})?") {
        let _ = write_float_text(text.as_bytes(), &mut Vec::new());
    }

    #[test]
    fn a_changed_value_never_panics(value in json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut payload = value.payload();
        let at = at.index(payload.len());
        payload[at] = byte;
        let _ = write_jsonb(&payload, &mut Vec::new());
    }
}
