//! The census: in any order, by any number of workers, and what it must not take for the same.

use pgseal_chain::{Census, CensusKey, Commitment, HistoryId, HistoryKeys, MAX_NAMES, MAX_TALLIES, Mac, Secret};
use proptest::prelude::*;

type Row = (u8, Option<u8>, u64, u8);

fn key(nonce: u8) -> CensusKey {
    let history = HistoryId([7; 16]);
    let secret = Secret::from_bytes(vec![1; 32]).expect("long enough");
    CensusKey::derive(&HistoryKeys::derive(&secret, history), history, &[nonce; 16])
}

fn mac(byte: u8) -> Mac {
    [byte; 32]
}

fn add(census: &mut Census, (chain, tenant, position, content): Row) {
    let tenant = tenant.map(|tenant| vec![tenant]);
    census.add(&[chain], tenant.as_deref(), position, &mac(content));
}

fn of(rows: &[Row]) -> Census {
    let mut census = Census::new(key(0));
    rows.iter().for_each(|row| add(&mut census, *row));
    census
}

fn all(census: &Census) -> Vec<Vec<Commitment>> {
    (0..=3).map(|chain| census.commitments(&[chain])).collect()
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((0..3u8, prop::option::of(0..4u8), 1..20u64, any::<u8>()), 0..30)
}

proptest! {
    #[test]
    fn order_and_workers_do_not_show(rows in rows(), cut in 0..30usize) {
        let whole = of(&rows);
        let mut turned = rows.clone();
        turned.reverse();
        prop_assert_eq!(all(&whole), all(&of(&turned)));
        let (first, second) = rows.split_at(cut.min(rows.len()));
        let mut merged = of(first);
        let sent = Census::from_bytes(&of(second).to_bytes(), key(0)).expect("it was just written");
        merged.merge(&sent);
        prop_assert_eq!(all(&whole), all(&merged));
    }

    #[test]
    fn what_is_taken_out_was_never_there(rows in rows(), cut in 0..30usize) {
        let (gone, kept) = rows.split_at(cut.min(rows.len()));
        let mut census = of(&rows);
        for (chain, tenant, position, content) in gone {
            let tenant = tenant.map(|tenant| vec![tenant]);
            prop_assert!(census.remove(&[*chain], tenant.as_deref(), *position, &mac(*content)));
        }
        prop_assert_eq!(all(&census), all(&of(kept)));
        let mut at_once = of(&rows);
        prop_assert!(at_once.subtract(&of(gone)));
        prop_assert_eq!(all(&at_once), all(&of(kept)));
    }

    #[test]
    fn another_row_is_another_commitment(rows in rows(), row in (0..3u8, prop::option::of(0..4u8), 1..20u64, any::<u8>()), other in (1..20u64, any::<u8>())) {
        prop_assume!((row.2, row.3) != other);
        let mut with = rows.clone();
        with.push(row);
        let mut instead = rows;
        instead.push((row.0, row.1, other.0, other.1));
        let (with, instead) = (of(&with), of(&instead));
        let tenant = row.1.map(|tenant| vec![tenant]);
        let commitments = with.commitments(&[row.0]);
        let commitment = commitments.iter().find(|of| of.tenant == tenant);
        prop_assert!(with.fits(&[row.0], tenant.as_deref(), commitment));
        prop_assert!(!instead.fits(&[row.0], tenant.as_deref(), commitment));
    }

    #[test]
    fn nothing_but_an_encoding_is_read(rows in rows(), bytes in prop::collection::vec(any::<u8>(), 0..60), end in 0..200usize) {
        let _ = Census::from_bytes(&bytes, key(0));
        let encoded = of(&rows).to_bytes();
        let _ = Census::from_bytes(&encoded[..end.min(encoded.len())], key(0));
    }
}

#[test]
fn a_tenant_is_there_or_not_and_nothing_else() {
    // Version and flag, the chain's name and how many tallies follow; then the first one's mark.
    const MARK: usize = 2 + 8 + 1 + 8;
    for tenant in [None, Some(1)] {
        let mut encoded = of(&[(0, tenant, 1, 1)]).to_bytes();
        assert!(Census::from_bytes(&encoded, key(0)).is_some());
        encoded[MARK] = 2;
        assert!(Census::from_bytes(&encoded, key(0)).is_none());
        encoded[MARK] = 0;
        assert_eq!(Census::from_bytes(&encoded, key(0)).is_some(), tenant.is_none());
    }
}

#[test]
fn a_tenant_of_whom_nothing_is_left_needs_a_commitment_to_be_missed() {
    let census = of(&[(0, Some(1), 1, 1), (0, None, 2, 2)]);
    let commitments = census.commitments(&[0]);
    let [nobody, somebody] = commitments.as_slice() else { panic!("two tallies") };
    assert_eq!((nobody.tenant.as_deref(), somebody.tenant.as_deref()), (None, Some([1].as_slice())));
    let empty = of(&[]);
    assert!(empty.fits(&[0], Some(&[1]), None));
    assert!(!empty.fits(&[0], Some(&[1]), Some(somebody)));
    assert!(!empty.fits(&[0], None, Some(nobody)));
    assert!(!census.fits(&[0], Some(&[1]), None));
    assert!(!census.fits(&[0], Some(&[1]), Some(nobody)));
}

#[test]
fn an_empty_name_is_not_no_tenant() {
    let mut census = Census::new(key(0));
    census.add(b"a", Some(b""), 1, &mac(1));
    let commitments = census.commitments(b"a");
    assert_eq!(commitments.len(), 1);
    assert!(!census.fits(b"a", None, Some(&commitments[0])));
}

#[test]
fn every_census_has_a_key_of_its_own() {
    let rows = [(0, Some(1), 1, 1)];
    let mut other = Census::new(key(1));
    add(&mut other, rows[0]);
    assert_ne!(all(&of(&rows)), all(&other));
}

#[test]
fn what_was_not_counted_cannot_be_taken_out() {
    let mut census = of(&[(0, Some(1), 1, 1)]);
    assert!(!census.remove(b"b", Some(&[1]), 1, &mac(1)));
    assert!(!census.remove(&[0], Some(&[2]), 1, &mac(1)));
    assert!(census.remove(&[0], Some(&[1]), 1, &mac(1)));
    assert!(!census.remove(&[0], Some(&[1]), 1, &mac(1)));
    assert_eq!(census.entries(&[0]), 0);
}

#[test]
fn too_many_tenants_are_no_census() {
    let mut census = Census::new(key(0));
    for tenant in 0..MAX_TALLIES as u64 {
        census.add(b"a", Some(&tenant.to_be_bytes()), tenant + 1, &mac(1));
    }
    assert!(census.is_complete());
    assert_eq!(census.entries(b"a"), MAX_TALLIES as u64);
    census.add(b"a", Some(b"one more"), 1, &mac(1));
    assert!(!census.is_complete());
    census.add(b"a", Some(b"another"), 1, &mac(1));
    assert_eq!(census.entries(b"a"), 0);
    let sent = Census::from_bytes(&census.to_bytes(), key(0)).expect("it was just written");
    assert!(!sent.is_complete());
    let mut small = of(&[]);
    small.merge(&sent);
    assert!(!small.is_complete());
}

#[test]
fn tenants_with_names_that_are_too_long_are_no_census() {
    let mut census = Census::new(key(0));
    let name = |first: u8| [vec![first], vec![b'x'; MAX_NAMES / 2 - 1]].concat();
    for _ in 0..2 {
        census.add(b"a", Some(&name(1)), 1, &mac(1));
        census.add(b"a", Some(&name(2)), 2, &mac(2));
    }
    assert!(census.is_complete());
    assert_eq!(census.entries(b"a"), 4);
    census.add(b"a", None, 3, &mac(3));
    assert!(census.is_complete());
    census.add(b"a", Some(b"x"), 4, &mac(4));
    assert!(!census.is_complete());
    assert_eq!(census.entries(b"a"), 0);
}
