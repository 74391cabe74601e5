//! Values with a short text of known size: integers, booleans, uuids.

use crate::text::write_hex_unchecked;

/// Appends an integer in decimal.
#[inline]
pub fn write_int(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends an unsigned integer in decimal.
#[inline]
pub fn write_uint(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends `true` or `false`.
#[inline]
pub fn write_bool(value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Appends a uuid as a JSON string, lower case: `"8-4-4-4-12"`.
pub fn write_uuid(uuid: &[u8; 16], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest: &[u8] = uuid;
    for (i, size) in [4, 2, 2, 2, 6].into_iter().enumerate() {
        if i > 0 {
            out.push(b'-');
        }
        let (group, tail) = rest.split_at(size);
        write_hex_unchecked(group, out);
        rest = tail;
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers() {
        for value in [0, 1, -1, 9, 10, -32768, 2_147_483_647, i64::MIN, i64::MAX] {
            assert_eq!(text(|out| write_int(value, out)), value.to_string());
        }
        assert_eq!(text(|out| write_uint(u64::MAX, out)), u64::MAX.to_string());
    }

    #[test]
    fn booleans() {
        assert_eq!(text(|out| write_bool(true, out)), "true");
        assert_eq!(text(|out| write_bool(false, out)), "false");
    }

    #[test]
    fn uuids_are_lower_case_with_hyphens() {
        let uuid = [0xA0, 0xEE, 0xBC, 0x99, 0x9C, 0x0B, 0x4E, 0xF8, 0xBB, 0x6D, 0x6B, 0xB9, 0xBD, 0x38, 0x0A, 0x01];
        assert_eq!(text(|out| write_uuid(&uuid, out)), "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a01\"");
    }
}
