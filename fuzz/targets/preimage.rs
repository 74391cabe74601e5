//! Pre-images: two entries have the same only if they are the same, and one judgement whichever way it is made.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use pgseal_chain::{Claim, Entry, HistoryId, HistoryKeys, Secret, document_digest, verify_pair};

#[derive(Arbitrary, Debug, PartialEq, Clone)]
struct Row {
    history: [u8; 16],
    chain: Vec<u8>,
    position: u64,
    epoch: u32,
    anchor: u64,
    sealed_at: i64,
    tenant: Option<Vec<u8>>,
    prev: [u8; 32],
    document: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
struct Input {
    rows: [Row; 2],
    /// Which bit of the second row's mac is turned.
    turned: Option<u8>,
}

fn entry(row: &Row, salt: [u8; 16]) -> Entry<'_> {
    Entry {
        history: HistoryId(row.history),
        chain: &row.chain,
        position: row.position,
        epoch: row.epoch,
        anchor: row.anchor,
        sealed_at: row.sealed_at,
        tenant: row.tenant.as_deref(),
        prev: &row.prev,
        document_digest: document_digest(salt, &row.document),
    }
}

fuzz_target!(|input: Input| {
    let keys = HistoryKeys::derive(&Secret::from_bytes(vec![7; 32]).expect("long enough"), HistoryId([3; 16]));
    let (key, salt_key) = (keys.epoch_key(1, &[9; 32]), keys.salt_key());
    let [a, b] = &input.rows;
    assert_eq!(entry(a, [0; 16]).preimage() == entry(b, [0; 16]).preimage(), a == b);

    let mut claims = [a, b].map(|row| {
        let salt = salt_key.salt(HistoryId(row.history), &row.chain, row.position);
        let entry = entry(row, salt);
        Claim { entry, document: &row.document, mac: entry.mac(&key), key: &key, salt_key: &salt_key }
    });
    if let Some(bit) = input.turned {
        claims[1].mac[usize::from(bit / 8)] ^= 1 << (bit % 8);
    }
    let expected = [a.position > 0, b.position > 0 && input.turned.is_none()];
    assert_eq!(claims.map(|claim| claim.verify()), expected);
    assert_eq!(verify_pair(claims), expected);
});
