//! The order of a document's members.

use std::cmp::Ordering;

/// jsonb's own order of object keys: the shorter first, keys of equal length by their bytes.
#[must_use]
pub fn member_order(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_comes_before_bytes() {
        let mut keys: Vec<&[u8]> = vec![b"aa", b"b", b"", "é".as_bytes(), b"ab", b"B"];
        keys.sort_by(|a, b| member_order(a, b));
        assert_eq!(keys, vec![&b""[..], b"B", b"b", b"aa", b"ab", "é".as_bytes()]);
    }
}
