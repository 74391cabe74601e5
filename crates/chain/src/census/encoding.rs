//! A census as bytes, for handing it from a worker to its leader.

use super::{Census, CensusKey, Tally};
use crate::encoding::{Input, put};

const VERSION: u8 = 1;

impl Census {
    /// A compact encoding. The key is not in it; the sums are, so it must not leave the server process
    /// and its workers.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION, u8::from(self.overflown)];
        for (chain, tallies) in self.chains.iter() {
            put(&mut out, chain);
            out.extend((tallies.all().count() as u64).to_be_bytes());
            for (tenant, tally) in tallies.all() {
                out.push(u8::from(tenant.is_some()));
                put(&mut out, tenant.unwrap_or_default());
                out.extend(tally.entries.to_be_bytes());
                out.extend(tally.sum.to_be_bytes());
            }
        }
        out
    }

    /// Reads what [`Census::to_bytes`] wrote; `None` if it is anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], key: CensusKey) -> Option<Self> {
        let mut census = Self::new(key);
        let mut input = Input(bytes);
        let [VERSION, overflown @ (0 | 1)] = input.array()? else { return None };
        census.overflown = overflown == 1;
        while !input.is_empty() {
            let chain = input.bytes()?;
            for _ in 0..input.u64()? {
                let tenant = match (input.array()?, input.bytes()?) {
                    ([0], []) => None,
                    ([1], tenant) => Some(tenant),
                    _ => return None,
                };
                let tally = Tally { entries: input.u64()?, sum: u128::from_be_bytes(input.array()?) };
                census.add_tally(chain, tenant, tally);
            }
        }
        Some(census)
    }
}
