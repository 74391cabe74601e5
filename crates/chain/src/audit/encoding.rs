//! An audit as bytes, for handing it from a worker to its leader.

use super::{Audit, Row, RunSecret, Sum};

const VERSION: u8 = 1;

impl Audit {
    /// A compact encoding. The run's secret is not in it; the sums are, so it must not leave the
    /// server process and its workers.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend(self.refused.to_be_bytes());
        out.extend((self.names.len() as u64).to_be_bytes());
        for (name, sum) in self.names.iter().zip(&self.sums) {
            out.extend((name.len() as u64).to_be_bytes());
            out.extend(name);
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
            let length = usize::try_from(input.u64()?).ok()?;
            let name = input.take(length)?;
            let sum = Sum {
                entries: input.u64()?,
                difference: u128::from_be_bytes(input.array()?),
                lowest: input.row()?,
                highest: input.row()?,
                open: None,
            };
            let possible = sum.entries > 0
                && sum.lowest.position > 0
                && sum.lowest.position <= sum.highest.position
                && audit.find(name).is_none();
            if !possible {
                return None;
            }
            audit.insert(name.to_vec(), sum);
        }
        input.0.is_empty().then_some(audit)
    }
}

fn put_row(out: &mut Vec<u8>, row: &Row) {
    out.extend(row.position.to_be_bytes());
    out.extend(row.prev);
    out.extend(row.mac);
    out.extend(row.sealed_at.to_be_bytes());
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn row(&mut self) -> Option<Row> {
        Some(Row {
            position: self.u64()?,
            prev: self.array()?,
            mac: self.array()?,
            sealed_at: i64::from_be_bytes(self.array()?),
        })
    }
}
