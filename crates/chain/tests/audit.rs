//! The unordered check: its bookkeeping, its encoding, and forgeries that plain sums do not see.

mod common;

use common::model::{audit, chain, locate, mac};
use common::path::{Edge, is_right};
use pgseal_chain::{Audit, GENESIS, Mac, RunSecret};
use proptest::prelude::*;
use std::collections::HashMap;

const SECRET: RunSecret = RunSecret([3; 16]);
const START: (u64, Mac) = (0, GENESIS);

fn numbered(n: u64) -> Vec<Edge> {
    chain(&(1..=n).map(mac).collect::<Vec<_>>())
}

fn is_whole(rows: &[Edge]) -> bool {
    audit(rows, &SECRET).is_whole(b"a", START)
}

#[test]
fn chains_are_counted_apart() {
    let mut audit = Audit::new(&SECRET);
    for row in numbered(5) {
        let at = i64::try_from(row.position).expect("small");
        audit.add(b"b", row.position, &row.prev, &row.mac, at);
        if row.position != 3 {
            audit.add(b"a", row.position, &row.prev, &row.mac, at);
        }
    }
    let chains: Vec<_> = audit.chains().collect();
    assert_eq!(chains.len(), 2);
    assert_eq!((chains[0].0, chains[0].1.entries), (b"a".as_slice(), 4));
    let b = chains[1].1;
    assert_eq!((b.entries, audit.entries()), (5, 9));
    assert_eq!((b.lowest_position, b.lowest_prev, b.lowest_sealed_at), (1, GENESIS, 1));
    assert_eq!((b.highest_position, b.highest_mac, b.highest_sealed_at), (5, mac(5), 5));
    assert!(!audit.is_whole(b"a", START));
    assert!(audit.is_whole(b"b", START));
    assert!(!audit.is_whole(b"c", START));
}

#[test]
fn the_cut_must_fit() {
    let rows = &numbered(5)[2..];
    let audit = audit(rows, &SECRET);
    assert!(audit.is_whole(b"a", (2, mac(2))));
    for cut in [START, (2, GENESIS), (1, mac(1)), (3, mac(3)), (2, mac(3)), (u64::MAX, mac(2))] {
        assert!(!audit.is_whole(b"a", cut));
    }
}

#[test]
fn two_rows_at_the_highest_or_lowest_position() {
    let rows = numbered(5);
    let with = |row| [rows.clone(), vec![row]].concat();
    assert!(is_whole(&rows));
    for (position, prev) in [(5, mac(4)), (5, mac(9)), (1, GENESIS), (1, mac(9)), (6, mac(4))] {
        for other in [0, 5, 9, u64::MAX] {
            let row = Edge { position, prev, mac: mac(other) };
            assert!(!is_whole(&with(row)), "{row:?}");
        }
    }
    for row in &rows {
        assert!(!is_whole(&with(*row)));
    }
}

#[test]
fn position_zero_is_refused() {
    let mut audit = Audit::new(&SECRET);
    audit.add(b"a", 0, &GENESIS, &GENESIS, 0);
    assert_eq!((audit.refused(), audit.entries()), (1, 0));
    assert!(!audit.is_whole(b"a", START));
    audit.refuse();
    let again = Audit::from_bytes(&audit.to_bytes(), &SECRET).expect("round trip");
    assert_eq!(again.refused(), 2);
    audit.merge(&again);
    assert_eq!(audit.refused(), 4);
}

#[test]
fn the_largest_position_does_no_harm() {
    let mut audit = Audit::new(&SECRET);
    audit.add(b"a", u64::MAX, &mac(1), &mac(2), i64::MIN);
    audit.add(b"a", 1, &mac(2), &mac(3), i64::MAX);
    assert!(!audit.is_whole(b"a", START));
    assert!(!audit.is_whole(b"a", (u64::MAX, mac(2))));
}

#[test]
fn another_secret_gives_other_sums() {
    let rows = &numbered(3);
    let other = audit(rows, &RunSecret([4; 16]));
    assert_ne!(other.to_bytes(), audit(rows, &SECRET).to_bytes());
    assert!(other.is_whole(b"a", START));
}

#[test]
fn damaged_bytes_are_refused() {
    let mut audit = audit(&numbered(3), &SECRET);
    audit.add(b"", 4, &mac(1), &mac(2), 7);
    let bytes = audit.to_bytes();
    let again = Audit::from_bytes(&bytes, &SECRET).expect("round trip");
    assert_eq!(again.to_bytes(), bytes);
    for length in 0..bytes.len() {
        assert!(Audit::from_bytes(&bytes[..length], &SECRET).is_none());
    }
    assert!(Audit::from_bytes(&[bytes.as_slice(), &[0]].concat(), &SECRET).is_none());
    assert!(Audit::from_bytes(&[&[9], &bytes[1..]].concat(), &SECRET).is_none());
    let length_of_everything = [&bytes[..9], &[0xff; 16]].concat();
    assert!(Audit::from_bytes(&length_of_everything, &SECRET).is_none());
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Audit::from_bytes(&bytes, &SECRET);
    }
}

/// What a check without a secret would add up: count, positions, macs.
fn plain_sums_are_right(rows: &[Edge], head: (u64, Mac)) -> bool {
    let number = |mac: &Mac| {
        let half = |i: usize| u128::from_be_bytes(mac[i..i + 16].try_into().expect("16 bytes"));
        assert_eq!(half(0), 0, "these tests use small macs");
        half(16)
    };
    let n = u128::try_from(rows.len()).expect("fits");
    let sum = |term: &dyn Fn(&Edge) -> u128| rows.iter().map(term).fold(0, u128::wrapping_add);
    let lowest = rows.iter().min_by_key(|row| row.position).expect("rows");
    let highest = rows.iter().max_by_key(|row| row.position).expect("rows");
    let macs = sum(&|row| number(&row.prev).wrapping_sub(number(&row.mac)));
    (lowest.position, lowest.prev) == (1, GENESIS)
        && (highest.position, highest.mac) == head
        && n == u128::from(highest.position)
        && sum(&|row| u128::from(row.position)) == n * (n + 1) / 2
        && macs == number(&lowest.prev).wrapping_sub(number(&highest.mac))
}

fn assert_only_plain_sums_are_fooled(forged: &[Edge], head: (u64, Mac)) {
    assert!(plain_sums_are_right(forged, head));
    assert!(!is_right(forged, START, Some(head)));
    for secret in 0..16 {
        let secret = RunSecret([secret; 16]);
        assert!(!audit(forged, &secret).is_whole(b"a", START));
    }
    assert!(!locate(forged, START, Some(head)).is_empty());
}

#[test]
fn copies_that_make_up_for_deleted_rows_by_hand() {
    // Macs in arithmetic progression: entries 4 and 6 replaced by two copies of 5.
    let mut rows = numbered(9);
    let head = (9, mac(9));
    assert!(plain_sums_are_right(&rows, head) && is_whole(&rows));
    let copy = rows[4];
    rows[3] = copy;
    rows[5] = copy;
    assert_only_plain_sums_are_fooled(&rows, head);
}

#[test]
fn copies_that_make_up_for_deleted_rows_by_search() {
    // The lattice attack in small: macs of 16 bits, so that a search takes its place. Two entries go,
    // copies of two others come, and count, positions and macs add up as before.
    let mut state = 7_u64;
    let macs: Vec<Mac> = (0..300)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            mac(state >> 48)
        })
        .collect();
    let rows = chain(&macs);
    let head = (300, macs[299]);
    let number = |mac: &Mac| i64::from_be_bytes(mac[24..].try_into().expect("8 bytes"));
    let difference = |i: usize| number(&rows[i].prev) - number(&rows[i].mac);
    let mut seen = HashMap::<(usize, i64), (usize, usize)>::new();
    let mut forgeries = 0;
    for a in 1..299 {
        for b in a + 1..299 {
            let sums = (a + b, difference(a) + difference(b));
            let Some((c, d)) = seen.insert(sums, (a, b)) else {
                continue;
            };
            let mut forged = rows.clone();
            forged[a] = rows[c];
            forged[b] = rows[d];
            assert_only_plain_sums_are_fooled(&forged, head);
            forgeries += 1;
        }
    }
    assert!(forgeries > 3, "{forgeries}");
}
