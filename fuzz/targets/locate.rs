//! The ordered pass over rows that claim anything: it ends, and each finding names places that there are.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use pgseal_chain::{Authenticity, Cut, Head, Known, Locator, Observed};

#[derive(Arbitrary, Debug)]
struct Row {
    chain: Option<u8>,
    position: Option<i64>,
    near: bool,
    epoch: Option<u8>,
    sealed_at: Option<i64>,
    prev: Option<u8>,
    mac: Option<u8>,
    authenticity: u8,
    of_tenant: bool,
}

#[derive(Arbitrary, Debug)]
struct Input {
    rows: Vec<Row>,
    heads: Vec<(u8, u64, Option<u8>)>,
    cuts: Vec<(u8, u64, u8)>,
    window_start: Option<i64>,
    tenant_only: bool,
}

fn chain(number: u8) -> Vec<u8> {
    format!("main.0000000{}", number % 3).into_bytes()
}

fn observed((key, row): (usize, Row)) -> Observed<usize> {
    let mac = |byte: u8| if byte == 0 { vec![1; 5] } else { vec![byte; 32] };
    Observed {
        chain: row.chain.map(chain),
        position: row.position.map(|position| if row.near { position.rem_euclid(20) } else { position }),
        epoch: row.epoch.map(i32::from),
        sealed_at: row.sealed_at,
        prev: row.prev.map(mac),
        mac: row.mac.map(mac),
        authenticity: match row.authenticity % 8 {
            0 => Authenticity::Invalid,
            1 => Authenticity::ValidUnderEpoch(2),
            2 => Authenticity::UnknownKey,
            3 => Authenticity::MissingColumn("payload".into()),
            4 => Authenticity::UnknownEpoch,
            _ => Authenticity::Valid,
        },
        of_tenant: row.of_tenant,
        key: Some(key),
        foreign_content: (row.authenticity == 200).then(|| "extra".to_owned()),
    }
}

/// As the server sorts them: NULLS LAST.
fn order(row: &Observed<usize>) -> (bool, Option<Vec<u8>>, bool, Option<i64>) {
    (row.chain.is_none(), row.chain.clone(), row.position.is_none(), row.position)
}

fuzz_target!(|input: Input| {
    let heads = input.heads.into_iter().map(|(number, position, mac)| Head {
        chain: chain(number),
        position,
        mac: mac.map(|byte| [byte; 32]),
    });
    let cuts =
        input.cuts.into_iter().map(|(number, position, mac)| Cut { chain: chain(number), position, mac: [mac; 32] });
    let mut locator = Locator::new(Known {
        heads: heads.collect(),
        cuts: cuts.collect(),
        window_start: input.window_start,
        tenant_only: input.tenant_only,
    });
    let mut rows: Vec<_> = input.rows.into_iter().enumerate().map(observed).collect();
    rows.sort_by_key(order);
    let count = rows.len();
    for row in rows {
        locator.observe(row);
    }
    let findings = locator.finish();
    for finding in &findings.list {
        assert!(finding.key.is_none_or(|key| key < count));
        assert!(finding.last_position.is_none_or(|last| finding.position <= Some(last)), "{finding:?}");
    }
});
