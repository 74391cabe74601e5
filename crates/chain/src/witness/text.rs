//! Text without blanks, quotes and control characters: everything that is not plain becomes `%XX`.

/// Whether a character stands for itself.
pub fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | ':' | '/' | '-')
}

/// Each byte of the UTF-8 of every other character becomes `%` and two digits.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte.into()) {
            escaped.push(byte.into());
        } else {
            escaped.push('%');
            escaped.push_str(&hex::encode_upper([byte]));
        }
    }
    escaped
}

/// The text of which this is what [`escape`] makes; `None` if there is none.
pub fn unescape(escaped: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut parts = escaped.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (digits, plain) = part.split_at_checked(2)?;
        bytes.extend(hex::decode(digits).ok()?);
        bytes.extend_from_slice(plain.as_bytes());
    }
    String::from_utf8(bytes).ok().filter(|text| escape(text) == escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_plain_is_escaped() {
        for (text, escaped) in [
            ("", ""),
            ("Az09_.:/-", "Az09_.:/-"),
            ("a b", "a%20b"),
            ("=%\"'", "%3D%25%22%27"),
            ("\0\n\x7f", "%00%0A%7F"),
            ("ü€𝄞", "%C3%BC%E2%82%AC%F0%9D%84%9E"),
        ] {
            assert_eq!(escape(text), escaped);
            assert_eq!(unescape(escaped).as_deref(), Some(text));
        }
    }

    #[test]
    fn there_is_one_way_to_write_a_text() {
        for escaped in
            ["%", "%2", "%zz", "%+1", "%41", "%3d", "a b", "=", "ü", "%ü", "%C3", "%C3%28", "%ED%A0%80", "a%", "%20%2"]
        {
            assert_eq!(unescape(escaped), None, "{escaped:?}");
        }
    }
}
