//! The places in a command or a path where the id of a key and the purpose go.

use super::source::Purpose;

/// The text with `%k` as the key's id, `%p` as the purpose and `%%` as a percent sign. Other percent signs stay: a
/// command may have a use for them.
pub fn fill(template: &str, key_id: &str, purpose: Purpose) -> String {
    let mut text = String::with_capacity(template.len());
    let mut letters = template.chars().peekable();
    while let Some(letter) = letters.next() {
        let named = if letter == '%' { letters.peek().copied() } else { None };
        match named {
            Some('k') => text.push_str(key_id),
            Some('p') => text.push_str(purpose.as_str()),
            Some('%') => text.push('%'),
            _ => {
                text.push(letter);
                continue;
            }
        }
        letters.next();
    }
    text
}

/// Whether the text has a place for this.
pub fn names(template: &str, letter: char) -> bool {
    template.replace("%%", "").contains(&format!("%{letter}"))
}
