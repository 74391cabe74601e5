//! Witness lines: what is read is printed the same, and nothing that was not signed is authentic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgseal_chain::{ANCHORS, HistoryKeys, Secret, WitnessLine};

fuzz_target!(|text: &str| {
    match WitnessLine::parse(text) {
        Ok(line) => {
            let printed = line.to_string();
            assert!(text.trim_end().ends_with(&printed), "{printed}");
            assert_eq!(WitnessLine::parse(&printed), Ok(line.clone()));
            let key = HistoryKeys::derive(&Secret::from_bytes(vec![7; 32]).expect("long enough"), ANCHORS).record_key();
            assert!(!line.is_authentic(&key, ANCHORS));
            let mut signed = line;
            signed.sign(&key, ANCHORS);
            assert!(signed.is_authentic(&key, ANCHORS));
        }
        Err(error) => {
            let error = error.to_string();
            assert!(error.len() < 500 && !error.contains('\n'), "{error}");
        }
    }
});
