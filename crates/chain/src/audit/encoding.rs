//! An audit as bytes, for handing it from a worker to its leader.

use super::{Audit, Row, RunSecret, Sum};
use crate::encoding::{Input, put};

const VERSION: u8 = 1;

impl Audit {
    /// A compact encoding. The run's secret is not in it; the sums are, so it must not leave the
    /// server process and its workers.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend(self.refused.to_be_bytes());
        out.extend((self.chains.len() as u64).to_be_bytes());
        for (name, sum) in self.chains.iter() {
            put(&mut out, name);
            out.extend(sum.entries.to_be_bytes());
            out.extend(sum.difference(&self.terms).to_be_bytes());
            put_row(&mut out, &sum.lowest);
            put_row(&mut out, &sum.highest);
        }
        out
    }

    /// Reads what [`Audit::to_bytes`] wrote; `None` if it is anything else, shorter or longer.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], secret: &RunSecret) -> Option<Self> {
        let mut input = Input(bytes);
        let [VERSION] = input.array()? else {
            return None;
        };
        let mut audit = Self::new(secret);
        audit.refused = input.u64()?;
        for _ in 0..input.u64()? {
            let name = input.bytes()?;
            let sum = Sum {
                entries: input.u64()?,
                difference: u128::from_be_bytes(input.array()?),
                lowest: row(&mut input)?,
                highest: row(&mut input)?,
                open: None,
            };
            let possible = sum.entries > 0
                && sum.lowest.position > 0
                && sum.lowest.position <= sum.highest.position
                && audit.chains.get(name).is_none();
            if !possible {
                return None;
            }
            audit.chains.insert(name, sum);
        }
        input.is_empty().then_some(audit)
    }
}

fn put_row(out: &mut Vec<u8>, row: &Row) {
    out.extend(row.position.to_be_bytes());
    out.extend(row.prev);
    out.extend(row.mac);
    out.extend(row.sealed_at.to_be_bytes());
}

fn row(input: &mut Input<'_>) -> Option<Row> {
    Some(Row {
        position: input.u64()?,
        prev: input.array()?,
        mac: input.array()?,
        sealed_at: i64::from_be_bytes(input.array()?),
    })
}
