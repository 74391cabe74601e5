//! Numerics: any bytes are refused or become a decimal number, in a document a JSON number or string.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgseal_document::{write_numeric, write_numeric_json};

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    // A numeric that no server has made may have zeros in front, which the server prints too.
    all(whole) && all(fraction)
}

fuzz_target!(|bytes: &[u8]| {
    let (mut plain, mut json) = (Vec::new(), Vec::new());
    let special = write_numeric(bytes, &mut plain);
    assert_eq!(write_numeric_json(bytes, &mut json).is_ok(), special.is_ok());
    let Ok(special) = special else { return };
    let plain = String::from_utf8(plain).expect("text");
    let json = String::from_utf8(json).expect("text");
    if special.is_finite() {
        assert!(is_decimal(&plain), "{plain}");
        assert_eq!(json, plain);
    } else {
        assert!(["NaN", "Infinity", "-Infinity"].contains(&plain.as_str()), "{plain}");
        assert_eq!(json, format!("\"{plain}\""));
    }
});
