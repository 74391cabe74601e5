//! Two entries verified at once: the same answers as one by one, whatever their sizes.

use pgseal_chain::{
    Claim, Entry, EpochKey, HistoryId, HistoryKeys, Mac, SaltKey, Secret, document_digest, verify_pair,
};
use proptest::collection::vec;
use proptest::prelude::*;

const HISTORY: HistoryId = HistoryId([3; 16]);

fn keys() -> (SaltKey, [EpochKey; 2]) {
    let keys = HistoryKeys::derive(&Secret::from_bytes(vec![5; 40]).expect("long enough"), HISTORY);
    (keys.salt_key(), [keys.epoch_key(1, &[1; 32]), keys.epoch_key(2, &[2; 32])])
}

/// What an entry consists of, and what of it is changed after it was signed.
#[derive(Clone, Debug)]
struct Row {
    chain: Vec<u8>,
    position: u64,
    tenant: Option<Vec<u8>>,
    prev: Mac,
    document: Vec<u8>,
    key: usize,
    change: Change,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Nothing,
    Mac(usize),
    Document(usize),
    Position,
    Prev,
    Key,
}

fn row() -> impl Strategy<Value = Row> {
    let sizes = prop_oneof![
        0usize..300,
        Just(47),
        Just(48),
        Just(102),
        Just(103),
        Just(104),
        Just(111),
        Just(112),
        0usize..3000
    ];
    let document = sizes.prop_flat_map(|size| vec(any::<u8>(), size));
    let chain = prop_oneof![vec(any::<u8>(), 10..30), vec(any::<u8>(), 0..400)];
    let tenant = prop::option::of(prop_oneof![vec(any::<u8>(), 0..20), vec(any::<u8>(), 0..400)]);
    let change = prop_oneof![
        3 => Just(Change::Nothing),
        1 => (0usize..256).prop_map(Change::Mac),
        1 => any::<usize>().prop_map(Change::Document),
        1 => prop::sample::select(vec![Change::Position, Change::Prev, Change::Key]),
    ];
    (chain, 0u64..4, tenant, any::<Mac>(), document, 0usize..2, change).prop_map(
        |(chain, position, tenant, prev, document, key, change)| Row {
            chain,
            position,
            tenant,
            prev,
            document,
            key,
            change,
        },
    )
}

fn entry(row: &Row) -> Entry<'_> {
    Entry {
        history: HISTORY,
        chain: &row.chain,
        position: row.position,
        epoch: 7,
        anchor: 8,
        sealed_at: -9,
        tenant: row.tenant.as_deref(),
        prev: &row.prev,
        document_digest: [0; 32],
    }
}

/// Its signature, by way of the functions that seal.
fn sign(row: &Row, salt_key: &SaltKey, keys: &[EpochKey; 2]) -> Mac {
    let entry = entry(row);
    let salt = salt_key.salt(HISTORY, &row.chain, row.position);
    Entry { document_digest: document_digest(salt, &row.document), ..entry }.mac(&keys[row.key])
}

/// The row after the change, its mac, and whether it is still authentic.
fn tampered(mut row: Row, salt_key: &SaltKey, keys: &[EpochKey; 2]) -> (Row, Mac, bool) {
    let mut mac = sign(&row, salt_key, keys);
    match row.change {
        Change::Nothing => {}
        Change::Mac(bit) => mac[bit / 8] ^= 1 << (bit % 8),
        Change::Document(at) if row.document.is_empty() => row.document.push(at as u8),
        Change::Document(at) => {
            let at = at % row.document.len();
            row.document[at] ^= 1;
        }
        Change::Position => row.position += 1,
        Change::Prev => row.prev[31] ^= 1,
        Change::Key => row.key = 1 - row.key,
    }
    let authentic = row.change == Change::Nothing && row.position > 0;
    (row, mac, authentic)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_pair_is_judged_as_each_alone(a in row(), b in row()) {
        let (salt_key, keys) = keys();
        let rows = [a, b].map(|row| tampered(row, &salt_key, &keys));
        let claims = [0, 1].map(|i| {
            let (row, mac, _) = &rows[i];
            Claim { entry: entry(row), document: &row.document, mac: *mac, key: &keys[row.key], salt_key: &salt_key }
        });
        let expected = [rows[0].2, rows[1].2];
        prop_assert_eq!(claims.map(|claim| claim.verify()), expected);
        prop_assert_eq!(verify_pair(claims), expected);
    }
}

#[test]
fn every_size_around_the_blocks() {
    let (salt_key, keys) = keys();
    for size in 0..400 {
        let row = |size: usize| Row {
            chain: vec![b'c'; size % 90],
            position: 1,
            tenant: Some(vec![b't'; size % 130]),
            prev: [1; 32],
            document: vec![b'd'; size],
            key: 0,
            change: Change::Nothing,
        };
        let rows = [row(size), row(400 - size)];
        let claims = [0, 1].map(|i: usize| Claim {
            entry: entry(&rows[i]),
            document: &rows[i].document,
            mac: sign(&rows[i], &salt_key, &keys),
            key: &keys[0],
            salt_key: &salt_key,
        });
        assert_eq!(verify_pair(claims), [true, true], "{size}");
        let mut changed = claims;
        changed[size % 2].mac[size % 32] ^= 0x80;
        let expected = [size % 2 != 0, size % 2 == 0];
        assert_eq!(verify_pair(changed), expected, "{size}");
    }
}
