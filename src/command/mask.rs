//! What a command or a key provider complained about, without words that could be a part of a key.

use zeroize::Zeroizing;

/// Shortest run of digits that is masked: 8 bytes in hexadecimal.
const SHORTEST_SECRET: usize = 16;
const MASK: &str = "***";

/// A colon and the complaint in one line of printable text, or nothing if it says nothing. `secret` is what the one
/// who complains may have repeated.
pub fn without_secrets(complaint: &[u8], secret: &[u8]) -> String {
    // What is no UTF-8 is copied, and the copy may hold a secret as well.
    let text = Zeroizing::new(String::from_utf8_lossy(complaint).into_owned());
    let secret = Zeroizing::new(String::from_utf8_lossy(secret).into_owned());
    let words =
        text.split(|letter: char| letter.is_whitespace() || letter.is_control()).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(|word| mask(word, secret.trim())).collect();
    let nothing_to_say = words.iter().all(|word| word == MASK);
    if nothing_to_say { String::new() } else { format!(": {}", words.join(" ")) }
}

fn mask(word: &str, secret: &str) -> String {
    let digit = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/' | '=' | '-' | '_');
    let mut shown = String::new();
    let mut rest = word;
    while !rest.is_empty() {
        let run = rest.find(|letter| !digit(letter)).unwrap_or(rest.len());
        let (digits, others) = rest.split_at(run);
        let hex = longest_hex_run(digits) >= SHORTEST_SECRET;
        let base64 = digits.len() >= 2 * SHORTEST_SECRET;
        let is_part = |piece: &str| piece.len() >= SHORTEST_SECRET / 2 && secret.contains(piece);
        let repeated = is_part(digits) || digits.split(['+', '/', '=', '-', '_']).any(is_part);
        shown.push_str(if hex || base64 || repeated { MASK } else { digits });
        let next = others.find(digit).unwrap_or(others.len());
        shown.push_str(&others[..next]);
        rest = &others[next..];
    }
    shown
}

fn longest_hex_run(text: &str) -> usize {
    text.split(|letter: char| !letter.is_ascii_hexdigit()).map(str::len).max().unwrap_or(0)
}
