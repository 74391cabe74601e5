//! One expression in two spellings.
//!
//! The server prints a stored expression so that it can be read again, and then stores another tree for it: where a
//! `varchar` is compared with a list, `IN ('a', 'b')`, it first casts the array, and after a dump and restore (or
//! pg_upgrade) each of its elements. Nobody has changed anything then.

const ARRAY: &str = "(ARRAY[";
const END: &str = "])::text[]";

/// Whether two texts of a definition differ at most in that spelling.
pub fn is_same(one: &str, other: &str) -> bool {
    one == other || (has_cast(one) != has_cast(other) && settled(one) == settled(other))
}

fn has_cast(text: &str) -> bool {
    text.contains(END)
}

/// The spelling that the server keeps from then on: `ARRAY[('a'::character varying)::text, …]`.
fn settled(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((elements, length)) = rest.strip_prefix(ARRAY).and_then(elements)
            && let Some(after) = rest[ARRAY.len() + length..].strip_prefix(END)
        {
            let cast: Vec<String> = elements.iter().map(|element| format!("({element})::text")).collect();
            written.push_str("ARRAY[");
            written.push_str(&cast.join(", "));
            written.push(']');
            rest = after;
        } else {
            // What stands between quotes is nobody's spelling.
            let length = if first == '\'' || first == '"' { quoted(rest, first) } else { first.len_utf8() };
            written.push_str(&rest[..length]);
            rest = &rest[length..];
        }
    }
    written
}

/// How many bytes the quoted text takes that a text begins with. A doubled quote ends one and begins the next.
fn quoted(text: &str, quote: char) -> usize {
    text[1..].find(quote).map_or(text.len(), |end| end + 2)
}

/// The elements up to the bracket that closes the array, and how many bytes they take.
fn elements(text: &str) -> Option<(Vec<&str>, usize)> {
    let mut found = Vec::new();
    let (mut start, mut depth, mut quote) = (0, 0_u32, None);
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            // A doubled quote ends the string and begins the next.
            b'\'' | b'"' => match quote {
                None => quote = Some(byte),
                Some(open) if open == byte => quote = None,
                Some(_) => {}
            },
            _ if quote.is_some() => {}
            b'(' | b'[' => depth += 1,
            b']' if depth == 0 => {
                found.push(text[start..place].trim_start());
                return Some((found, place));
            }
            b')' | b']' => depth = depth.checked_sub(1)?,
            b',' if depth == 0 => {
                found.push(text[start..place].trim_start());
                start = place + 1;
            }
            _ => {}
        }
    }
    None
}
