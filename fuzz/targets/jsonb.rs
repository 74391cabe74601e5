//! The walk over a jsonb: any bytes are refused or become JSON, the same text wherever they lie in memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgseal_document::write_jsonb;
use serde::de::IgnoredAny;

const BEFORE: &[u8] = b"what was there before";

fuzz_target!(|bytes: &[u8]| {
    let mut out = BEFORE.to_vec();
    let written = write_jsonb(bytes, &mut out);
    let shifted = [b"\0", bytes].concat();
    let mut again = Vec::new();
    assert_eq!(write_jsonb(&shifted[1..], &mut again), written);
    if written.is_err() {
        return;
    }
    let text = out.strip_prefix(BEFORE).expect("only appends");
    assert_eq!(text, again);
    if let Ok(text) = std::str::from_utf8(text) {
        // A numeric that no server puts into jsonb (NaN, zeros in front) stands as the server would print it.
        if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
            let is_number = ["invalid number", "expected value"].iter().any(|said| error.to_string().starts_with(said));
            assert!(is_number, "{error}: {text}");
        }
    }
});
