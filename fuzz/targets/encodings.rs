//! What a parallel worker hands to its leader: other bytes are refused, and what is read is written the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgseal_chain::{Audit, Census, CensusKey, HistoryId, HistoryKeys, NamedAnchors, RunSecret, Secret};

const HISTORY: HistoryId = HistoryId([3; 16]);

fn census_key() -> CensusKey {
    let secret = Secret::from_bytes(vec![7; 32]).expect("long enough");
    CensusKey::derive(&HistoryKeys::derive(&secret, HISTORY), HISTORY, &[1; 16])
}

fuzz_target!(|bytes: &[u8]| {
    let secret = RunSecret([5; 16]);
    if let Some(audit) = Audit::from_bytes(bytes, &secret) {
        let written = audit.to_bytes();
        let mut again = Audit::from_bytes(&written, &secret).expect("what was written");
        assert_eq!(again.to_bytes(), written);
        again.merge(&audit);
    }
    if let Some(census) = Census::from_bytes(bytes, census_key()) {
        let written = census.to_bytes();
        let mut again = Census::from_bytes(&written, census_key()).expect("what was written");
        // A chain of which nobody was counted is not kept, and tenants come in any order.
        let third = Census::from_bytes(&again.to_bytes(), census_key()).expect("what was written");
        assert_eq!(third.to_bytes().len(), again.to_bytes().len());
        again.merge(&census);
        assert!(again.subtract(&census) || !again.is_complete());
    }
    if let Some(named) = NamedAnchors::from_bytes(bytes) {
        let written = named.to_bytes();
        let mut again = NamedAnchors::from_bytes(&written).expect("what was written");
        assert_eq!(again.to_bytes(), written);
        again.merge(named);
    }
});
