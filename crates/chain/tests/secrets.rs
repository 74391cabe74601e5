//! Secrets: what is accepted, and that nothing prints them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use pgseal_chain::{HistoryId, HistoryKeys, KeyError, RunSecret, Secret};
use proptest::prelude::*;

fn error(text: &[u8]) -> KeyError {
    Secret::from_text(text).expect_err("must be refused")
}

fn same(a: &Secret, b: &Secret) -> bool {
    a.fingerprint() == b.fingerprint()
}

#[test]
fn lengths_are_checked() {
    assert_eq!(error(b""), KeyError::Empty);
    assert_eq!(error(b" \t\r\n"), KeyError::Empty);
    assert_eq!(error(&[b'a'; 62]), KeyError::TooShort { bytes: 31 });
    assert_eq!(error(&[b'a'; 2050]), KeyError::TooLong { bytes: 1025 });
    assert!(Secret::from_text(&[b'a'; 64]).is_ok());
    assert!(Secret::from_text(&[b'a'; 2048]).is_ok());
    assert_eq!(Secret::from_bytes(vec![]).expect_err("empty"), KeyError::Empty);
    let short = Secret::from_bytes(vec![7; 31]).expect_err("short");
    assert_eq!(short.to_string(), "the key has 31 bytes, at least 32 are needed");
    assert!(Secret::from_bytes(vec![7; 1025]).is_err());
    assert_eq!(error(b"QQ=="), KeyError::TooShort { bytes: 1 });
    assert_eq!(error(b"QQ"), KeyError::TooShort { bytes: 1 });
}

#[test]
fn hexadecimal_digits_are_never_base64() {
    // 44 digits are 22 bytes of hex, or 33 bytes of base64.
    assert_eq!(error(&[b'b'; 44]), KeyError::TooShort { bytes: 22 });
    assert_eq!(error(&[b'b'; 65]), KeyError::NotText);
}

#[test]
fn other_text_is_refused() {
    for text in [b"correct horse battery staple".as_slice(), b"*", &[0xff; 64], b"QUJD RUZH"] {
        assert_eq!(error(text), KeyError::NotText);
    }
}

#[test]
fn nothing_prints_a_key() {
    let secret = Secret::from_bytes(vec![0x5a; 32]).expect("secret");
    let keys = HistoryKeys::derive(&secret, HistoryId([1; 16]));
    let epoch = keys.epoch_key(1, &[0; 32]);
    let printed = format!(
        "{secret:?} {keys:?} {epoch:?} {:?} {:?} {:?}",
        keys.salt_key(),
        keys.record_key(),
        RunSecret([0x5a; 16])
    );
    assert_eq!(printed, "Secret HistoryKeys EpochKey SaltKey RecordKey RunSecret");
}

proptest! {
    #[test]
    fn hex_and_base64_are_the_same_key(bytes in prop::collection::vec(any::<u8>(), 32..200)) {
        let secret = Secret::from_bytes(bytes.clone()).expect("secret");
        let texts = [
            hex::encode(&bytes),
            hex::encode_upper(&bytes),
            format!(" {}\n", STANDARD.encode(&bytes)),
            STANDARD_NO_PAD.encode(&bytes),
        ];
        for text in texts {
            prop_assume!(text.len() == bytes.len() * 2 || !text.trim().bytes().all(|b| b.is_ascii_hexdigit()));
            prop_assert!(same(&secret, &Secret::from_text(text.as_bytes()).expect("text")));
        }
    }

    #[test]
    fn no_text_panics(text in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Secret::from_text(&text);
    }
}
