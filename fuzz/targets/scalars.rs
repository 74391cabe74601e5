//! Strings, floats, dates and times.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use pgseal_document::{
    write_bytea, write_date, write_float_text, write_int, write_string, write_timestamp, write_timestamptz,
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    days: i32,
    micros: i64,
    float: f64,
    bytes: &'a [u8],
}

fn text(out: Vec<u8>) -> String {
    String::from_utf8(out).expect("text")
}

fuzz_target!(|input: Input<'_>| {
    let mut string = Vec::new();
    if write_string(input.bytes, &mut string).is_ok()
        && let Ok(meant) = std::str::from_utf8(input.bytes)
    {
        assert_eq!(serde_json::from_str::<String>(&text(string)).expect("a JSON string"), meant);
    }
    let mut bytea = Vec::new();
    write_bytea(input.bytes, &mut bytea).expect("short enough");
    assert_eq!(text(bytea), format!("\"\\\\x{}\"", hex::encode(input.bytes)));

    let mut any = Vec::new();
    let _ = write_float_text(input.bytes, &mut any);
    if input.float.is_finite() && input.float != 0.0 {
        let mut float = Vec::new();
        write_float_text(format!("{:e}", input.float).as_bytes(), &mut float).expect("a float's text");
        assert_eq!(text(float).parse::<f64>().expect("a float").to_bits(), input.float.to_bits());
    }
    let mut int = Vec::new();
    write_int(input.micros, &mut int);
    assert_eq!(text(int).parse(), Ok(input.micros));

    for write in [write_timestamp, write_timestamptz] {
        let mut out = Vec::new();
        if write(input.micros, &mut out).is_ok() {
            serde_json::from_slice::<String>(&out).expect("a JSON string");
        }
    }
    let mut date = Vec::new();
    if write_date(input.days, &mut date).is_ok() {
        serde_json::from_slice::<String>(&date).expect("a JSON string");
    }
});
