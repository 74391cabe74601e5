//! What is typed or fetched as a key, and names of chains.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgseal_chain::{ChainName, MAX_SECRET_BYTES, MIN_SECRET_BYTES, Secret, valid_node_name};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(secret) = Secret::from_text(bytes) {
        let hex = secret.expose(|bytes| {
            assert!((MIN_SECRET_BYTES..=MAX_SECRET_BYTES).contains(&bytes.len()));
            hex::encode(bytes)
        });
        let again = Secret::from_text(hex.as_bytes()).expect("the same in hex");
        assert_eq!(again.fingerprint(), secret.fingerprint());
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(name) = ChainName::parse(text) {
        assert!(valid_node_name(&name.node));
        assert_eq!(name.to_string(), text);
    }
});
