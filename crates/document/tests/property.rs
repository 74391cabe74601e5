//! Generated values: well-formed ones have the expected text, arbitrary bytes never panic.

mod common;

use common::{Json, Number};
use pgseal_document::{write_float_text, write_jsonb, write_numeric, write_numeric_json, write_string};
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
