//! The format against known answers from an independent implementation (`vectors.py`).

use pgseal_chain::{
    Entry, EvolvingSecret, HistoryId, HistoryKeys, Mac, PeriodKind, Secret, Stream, closing_digest, closing_mac,
    document_digest,
};
use serde_json::Value;

fn vectors(part: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("vectors.json")).expect("vectors.json");
    all[part].as_array().expect(part).clone()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("text")).expect("hex")
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().expect("length")
}

fn keys(vector: &Value) -> (Secret, HistoryId, HistoryKeys) {
    let secret = Secret::from_bytes(bytes(&vector["secret"])).expect("secret");
    let history = HistoryId(array(&vector["history"]));
    let keys = HistoryKeys::derive(&secret, history);
    (secret, history, keys)
}

#[test]
fn entries_have_the_known_macs() {
    for vector in vectors("entries") {
        let note = &vector["note"];
        let (secret, history, keys) = keys(&vector);
        let chain = vector["chain"].as_str().expect("chain").as_bytes();
        let position = vector["position"].as_u64().expect("position");
        let epoch = u32::try_from(vector["epoch"].as_u64().expect("epoch")).expect("epoch");
        let document = vector["document"].as_str().expect("document").as_bytes();
        let prev: Mac = array(&vector["prev"]);

        assert_eq!(secret.fingerprint(), array(&vector["fingerprint"]), "{note}");
        let salt = keys.salt_key().salt(history, chain, position);
        assert_eq!(salt, array(&vector["salt"]), "{note}");
        let digest = document_digest(salt, document);
        assert_eq!(digest, array(&vector["document_digest"]), "{note}");
        let entry = Entry {
            history,
            chain,
            position,
            epoch,
            anchor: vector["anchor"].as_u64().expect("anchor"),
            sealed_at: vector["sealed_at"].as_i64().expect("sealed_at"),
            tenant: vector["tenant"].as_str().map(str::as_bytes),
            prev: &prev,
            document_digest: digest,
        };
        assert_eq!(entry.preimage(), bytes(&vector["preimage"]), "{note}");
        let key = keys.epoch_key(epoch, &array(&vector["record_digest"]));
        let mac: Mac = array(&vector["mac"]);
        assert_eq!(entry.mac(&key), mac, "{note}");
        assert!(entry.verify(&key, &mac), "{note}");
        assert!(!entry.verify(&key, &mac[..31]), "{note}");
        let other = keys.epoch_key(epoch + 1, &array(&vector["record_digest"]));
        assert!(!entry.verify(&other, &mac), "{note}");
    }
}

#[test]
fn records_have_the_known_macs() {
    for vector in vectors("records") {
        let (_, history, keys) = keys(&vector);
        let label = vector["label"].as_str().expect("label");
        let record_id = bytes(&vector["record_id"]);
        let fields: Vec<Option<Vec<u8>>> = vector["fields"]
            .as_array()
            .expect("fields")
            .iter()
            .map(|field| (!field.is_null()).then(|| bytes(field)))
            .collect();
        let fields: Vec<Option<&[u8]>> = fields.iter().map(Option::as_deref).collect();
        let key = keys.record_key();
        let mac: Mac = array(&vector["mac"]);
        assert_eq!(key.mac(label, history, &record_id, &fields), mac);
        assert!(key.verify(label, history, &record_id, &fields, &mac));
        assert!(!key.verify("other", history, &record_id, &fields, &mac));
        assert!(!key.verify(label, history, &record_id, &fields, &[]));
    }
}

#[test]
fn closings_have_the_known_secrets_and_macs() {
    for vector in vectors("closings") {
        let root = Secret::from_bytes(bytes(&vector["root"])).expect("root");
        let number = |name: &str| u32::try_from(vector[name].as_u64().expect(name)).expect(name);
        let stream = Stream {
            id: array(&vector["stream"]),
            kind: PeriodKind::parse(vector["kind"].as_str().expect("kind")).expect("kind"),
            first: number("first"),
            key_id: "1".into(),
        };
        let secret = EvolvingSecret::at(&root, &stream, number("period")).expect("a period of it");
        assert_eq!(*secret.bytes(), array::<32>(&vector["secret"]));
        let (history, position) = (HistoryId(array(&vector["history"])), vector["number"].as_u64().expect("number"));
        let record = vector["record"].as_str().expect("record");
        let mac: Mac = array(&vector["mac"]);
        assert_eq!(closing_mac(&secret.closing_key(history), history, position, record), mac);
        assert_eq!(closing_digest(position, record, &mac), array::<32>(&vector["digest"]));
    }
}

#[test]
fn what_cannot_be_signed_is_not_verified() {
    let vector = &vectors("entries")[0];
    let (_, history, keys) = keys(vector);
    let key = keys.epoch_key(1, &[0; 32]);
    let long = vec![b'x'; usize::from(u16::MAX) + 1];
    let entry = |chain, position| Entry {
        history,
        chain,
        position,
        epoch: 1,
        anchor: 0,
        sealed_at: 0,
        tenant: None,
        prev: &[0; 32],
        document_digest: [0; 32],
    };
    for (chain, position) in [(b"x".as_slice(), 0), (&long, 1)] {
        let entry = entry(chain, position);
        let mac = entry.mac(&key);
        assert!(!entry.verify(&key, &mac));
    }
    let fine = entry(&long[1..], 1);
    assert!(fine.verify(&key, &fine.mac(&key)));
}
