//! Pre-images and names of chains: what differs is written differently, whatever stands beside it.

use pgseal_chain::{ChainName, Entry, HistoryId, valid_node_name};
use proptest::collection::vec;
use proptest::prelude::*;

type Row = (Vec<u8>, u64, u32, u64, i64, Option<Vec<u8>>);

/// Few values, so that one often ends as the next begins.
fn row() -> impl Strategy<Value = Row> {
    let name = || vec(0..2u8, 0..4);
    (name(), 0..3u64, 0..2u32, 0..2u64, -1..2i64, prop::option::of(name()))
}

/// Two rows that differ in a value or two, or not at all.
fn near() -> impl Strategy<Value = [Row; 2]> {
    (row(), row(), 0..4u8).prop_map(|(a, other, what)| {
        let mut b = a.clone();
        match what {
            0 => b.5 = other.5,
            1 => b.0 = other.0,
            2 => (b.0, b.1) = (other.0, other.1),
            _ => (b.2, b.3, b.4) = (other.2, other.3, other.4),
        }
        [a, b]
    })
}

fn preimage((chain, position, epoch, anchor, sealed_at, tenant): &Row, digest: u8) -> Vec<u8> {
    let entry = Entry {
        history: HistoryId([3; 16]),
        chain,
        position: *position,
        epoch: *epoch,
        anchor: *anchor,
        sealed_at: *sealed_at,
        tenant: tenant.as_deref(),
        prev: &[0; 32],
        document_digest: [digest; 32],
    };
    entry.preimage()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn two_rows_have_two_preimages(rows in near(), digests in [0..2u8, 0..2u8]) {
        let [a, b] = &rows;
        let same = a == b && digests[0] == digests[1];
        prop_assert_eq!(preimage(a, digests[0]) == preimage(b, digests[1]), same);
    }

    /// The length of the chain's name, or of the tenant's, belongs to what is written.
    #[test]
    fn no_preimage_begins_another(rows in near()) {
        let [a, b] = rows.each_ref().map(|row| preimage(row, 0));
        prop_assert!(a == b || !a.starts_with(&b));
    }

    #[test]
    fn a_name_is_read_as_it_is_printed_and_no_other(text in "[a-zü]{0,2}[./ ]?[0-9a-f]{7,9}(/[0-9]{0,3})?|[a-z]{1,3}\\.[0-9a-f]{8}(/[1-9][0-9]{0,9})?|\\PC{0,12}") {
        match ChainName::parse(&text) {
            Some(name) => {
                prop_assert_eq!(name.to_string(), text);
                prop_assert!(valid_node_name(&name.node));
            }
            None => prop_assert!(!text.split_once('.').is_some_and(|(node, tag)| valid_node_name(node) && tag.len() == 8
                && tag.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')))),
        }
    }
}
