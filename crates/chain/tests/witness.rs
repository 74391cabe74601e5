//! Witness lines: read exactly as they are printed, and worthless when a character is changed.

use pgseal_chain::{HistoryId, HistoryKeys, RecordKey, Secret, WitnessError, WitnessLine};
use proptest::prelude::*;
use serde_json::Value;

const HISTORY: HistoryId = HistoryId([7; 16]);

fn key() -> RecordKey {
    HistoryKeys::derive(&Secret::from_bytes(vec![1; 32]).expect("secret"), HISTORY).record_key()
}

fn signed(mut line: WitnessLine) -> WitnessLine {
    line.sign(&key(), HISTORY);
    line
}

fn plain() -> WitnessLine {
    signed(WitnessLine {
        database: "shop".to_owned(),
        chain: "main.0a1b2c3d".to_owned(),
        number: 17,
        at: 848_613_600_123_456,
        full: true,
        heads: 3,
        key_id: "1".to_owned(),
        anchor_mac: [0xab; 32],
        mac: [0; 32],
    })
}

fn error(text: &str) -> String {
    WitnessLine::parse(text).expect_err(text).to_string()
}

/// Text with what could end a field or a line, and with what looks like a part of one.
fn name() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<String>(),
        "[ -~]{0,8}",
        "[ \t\r\n\u{85}\u{2028}\0%=\"']{1,3}",
        Just(" mac=".to_owned()),
        Just("pgseal-anchor 1 ".to_owned()),
        Just("%20".to_owned()),
    ];
    prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
}

prop_compose! {
    fn line()(
        (database, chain, key_id) in (name(), name(), name()),
        (number, heads) in (any::<u64>(), any::<u64>()),
        at in prop_oneof![any::<i64>(), -100_000_000_000_000_000..1_000_000_000_000_000_000_i64],
        full in any::<bool>(),
        anchor_mac in any::<[u8; 32]>(),
    ) -> WitnessLine {
        signed(WitnessLine { database, chain, number, at, full, heads, key_id, anchor_mac, mac: [0; 32] })
    }
}

#[test]
fn lines_are_the_known_ones() {
    let all: Value = serde_json::from_str(include_str!("vectors.json")).expect("vectors.json");
    for vector in all["witnesses"].as_array().expect("witnesses") {
        let bytes = |name: &str| hex::decode(vector[name].as_str().expect(name)).expect(name);
        let text = vector["line"].as_str().expect("line");
        let history = HistoryId(bytes("history").try_into().expect("16 bytes"));
        let secret = Secret::from_bytes(bytes("secret")).expect("secret");
        let key = HistoryKeys::derive(&secret, history).record_key();

        let mut line = WitnessLine::parse(text).expect(text);
        assert_eq!(line.to_string(), text);
        assert!(line.is_authentic(&key, history));
        line.mac = [0; 32];
        assert!(!line.is_authentic(&key, history));
        line.sign(&key, history);
        assert_eq!(line.to_string(), text);
        assert!(!line.is_authentic(&key, HISTORY));
    }
}

#[test]
fn a_line_is_found_behind_what_syslog_and_mail_put_before_it() {
    let line = plain();
    for before in [
        "",
        " \t\n",
        "Nov 21 22:00:01 db1 pgseal: ",
        "<13>1 2026-11-21T22:00:01.5+00:00 db1 pgseal - - [timeQuality tzKnown=\"1\"] ",
        "<13>1 2026-11-21T22:00:01.5+00:00 db1 pgseal-anchor - - - ",
        "2026-11-21 db1 pgseal-anchor[77]: \u{feff}",
        "To: auditor@example.org\nSubject: pgseal-anchor 17 of shop\n\n",
        "> ",
    ] {
        for after in ["", "\n", "\r\n", " \n\n"] {
            assert_eq!(WitnessLine::parse(&format!("{before}{line}{after}")), Ok(line.clone()), "{before:?}");
        }
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let text = plain().to_string();
    let changed = |from: &str, to: &str| error(&text.replacen(from, to, 1));
    let missing = "\"pgseal-anchor 1\", with which a witness line begins, is not in it";
    assert_eq!(error(""), missing);
    assert_eq!(error(&text[1..]), missing);
    assert_eq!(error(&format!("x{text}")), missing);
    assert_eq!(error("pgseal-anchor"), missing);
    assert_eq!(changed("r 1 ", "r 2 "), "the witness line has version \"2\", and only version 1 is known");
    assert_eq!(
        changed("chain=main.0a1b2c3d ", ""),
        "\"chain=\" is expected in the witness line where \"number=17 at=2026-11-21T22:00:00.123456Z…\" stands"
    );
    assert_eq!(changed(" at=", "  at="), changed(" at=", "\nat="));
    assert_eq!(
        error(&text[..text.rfind(" mac=").expect("mac")]),
        "\"mac=\" is expected in the witness line where nothing stands"
    );
    assert_eq!(
        changed("=17", "=017"),
        "\"number=017\" in the witness line is not a decimal number below 18446744073709551616"
    );
    assert_eq!(
        changed("=shop", "=\"shop\""),
        "\"database=\\\"shop\\\"\" in the witness line is not text with every character but A-Z a-z 0-9 _ . : / - as %XX"
    );
    assert!(changed("full=yes", "full=true").ends_with("is not yes or no"));
    assert!(changed("22:00:00.123456Z", "22:00Z").ends_with("is not a time as in 2026-11-21T22:00:00.123456Z"));
    for end in ["0", "\"", ",", "G"] {
        assert!(error(&format!("{text}{end}")).ends_with("is not 64 hexadecimal digits in lower case"));
    }
    assert!(error(&text[..text.len() - 1]).ends_with("is not 64 hexadecimal digits in lower case"));
    assert!(changed("anchor=ab", "anchor=AB").ends_with("is not 64 hexadecimal digits in lower case"));
    assert_eq!(error(&format!("{text}\n-- \nbye")), "\"-- \\nbye\" stands after the end of the witness line");
    let second = WitnessLine::parse(&format!("{text}\n{text}\n"));
    assert!(matches!(second, Err(WitnessError::Trailing { .. })));
}

#[test]
fn errors_are_short_and_on_one_line() {
    let far = "\n".repeat(100_000);
    for text in [format!("pgseal-anchor {}", "9".repeat(100_000)), format!("{}{far}x", plain())] {
        let error = error(&text);
        assert!(error.len() < 250 && !error.contains('\n'), "{error}");
    }
}

#[test]
fn every_changed_character_is_noticed() {
    let line = WitnessLine { database: "a b".to_owned(), key_id: String::new(), ..plain() };
    let text = signed(line).to_string();
    for place in 0..text.len() {
        for byte in 0..128 {
            let mut bytes = text.clone().into_bytes();
            if std::mem::replace(&mut bytes[place], byte) != byte {
                assert_is_worthless(&String::from_utf8(bytes).expect("ASCII"));
            }
        }
        assert_is_worthless(&format!("{}{}", &text[..place], &text[place + 1..]));
    }
}

fn assert_is_worthless(text: &str) {
    if let Ok(line) = WitnessLine::parse(text) {
        assert!(!line.is_authentic(&key(), HISTORY), "{text:?}");
    }
}

proptest! {
    #[test]
    fn a_line_is_read_as_it_is_printed(line in line()) {
        let text = line.to_string();
        prop_assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{:?}", text);
        let read = WitnessLine::parse(&text).expect("line");
        prop_assert!(read.is_authentic(&key(), HISTORY));
        prop_assert_eq!(read, line);
    }

    #[test]
    fn what_is_read_would_be_printed_so(text in "pgseal-anchor 1 database=(%[0-9A-Fa-f]{2}|[a=%é]){0,4} chain=[a%2]{0,4} \
         number=[0-9+-]{1,20} at=-?[0-9]{4,6}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\\.[0-9]{6}Z \
         full=(yes|no) heads=[0-9]{1,2} key=.{0,2} anchor=[0-9a-f]{64} mac=[0-9a-f]{64}") {
        if let Ok(line) = WitnessLine::parse(&text) {
            prop_assert_eq!(line.to_string(), text);
        }
    }

    #[test]
    fn a_line_with_other_content_is_not_authentic(line in line(), other in line()) {
        let exchanged = WitnessLine { mac: line.mac, ..other.clone() };
        prop_assert_eq!(exchanged.is_authentic(&key(), HISTORY), exchanged == line);
        for changed in [
            WitnessLine { database: other.database, ..line.clone() },
            WitnessLine { chain: other.chain, ..line.clone() },
            WitnessLine { number: other.number, ..line.clone() },
            WitnessLine { at: other.at, ..line.clone() },
            WitnessLine { full: !line.full, ..line.clone() },
            WitnessLine { heads: other.heads, ..line.clone() },
            WitnessLine { key_id: other.key_id, ..line.clone() },
            WitnessLine { anchor_mac: other.anchor_mac, ..line.clone() },
        ] {
            prop_assert_eq!(changed.is_authentic(&key(), HISTORY), changed == line);
        }
        prop_assert!(!line.is_authentic(&key(), HistoryId([8; 16])));
    }

    #[test]
    fn a_changed_byte_is_noticed(line in line(), place in any::<prop::sample::Index>(), byte in any::<char>()) {
        let text = line.to_string();
        let place = place.index(text.len());
        prop_assume!(!text[place..].starts_with(byte));
        let changed = format!("{}{byte}{}", &text[..place], &text[place + 1..]);
        assert_is_worthless(&changed);
    }

    #[test]
    fn no_text_panics(text in any::<String>(), tail in any::<String>()) {
        let _ = WitnessLine::parse(&text);
        let _ = WitnessLine::parse(&format!("pgseal-anchor 1{tail}"));
        let _ = WitnessLine::parse(&format!("pgseal-anchor 1 database={text} chain={tail} number=1 at={tail}"));
    }
}
