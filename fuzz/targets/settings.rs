//! What a DBA writes: mail servers, mail addresses, places in commands. And complaints, in which no secret may show.
//! The sources are those of the extension, which cannot be linked without a server.
#![no_main]
#![allow(dead_code)] // the extension uses what is not used here

use libfuzzer_sys::fuzz_target;

#[path = "../../src/alert/address.rs"]
mod address;
#[path = "../../src/key"]
mod key {
    pub mod template;

    pub mod source {
        #[derive(Clone, Copy)]
        pub struct Purpose;

        impl Purpose {
            pub fn as_str(self) -> &'static str {
                "sign"
            }
        }
    }
}
#[path = "../../src/command/mask.rs"]
mod mask;

/// The number after «At byte», or none where the refusal names no place.
fn place(refusal: &str) -> Option<usize> {
    let digits: String = refusal.strip_prefix("At byte ")?.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn assert_is_in(text: &str, refusal: &str) {
    assert!(place(refusal).is_none_or(|place| (1..=text.len() + 1).contains(&place)), "{refusal}");
    assert!(refusal.ends_with('.') && !refusal.contains('\n'), "{refusal}");
}

fuzz_target!(|text: &str| {
    match address::Server::parse(text) {
        Ok(server) => assert!(!server.host.is_empty() && server.port > 0),
        Err(refusal) => assert_is_in(text, &refusal),
    }
    match address::parse_list(text) {
        Ok(addresses) => assert!(addresses.iter().all(|one| one.email.to_string().is_ascii())),
        Err(refusal) => assert_is_in(text, &refusal),
    }
    if let Err(refusal) = address::parse_one(text) {
        assert_is_in(text, &refusal);
    }

    let filled = key::template::fill(text, "17", key::source::Purpose);
    if !text.contains('%') {
        assert_eq!(filled, text);
    }
    if key::template::names(text, 'k') {
        assert!(filled.contains("17"));
    }

    let secret = "0123456789abcdef0123456789abcdef";
    let shown = mask::without_secrets(format!("{text}{secret}").as_bytes(), secret.as_bytes());
    assert!(!shown.contains(secret) && !shown.contains(char::is_control), "{shown}");
});
