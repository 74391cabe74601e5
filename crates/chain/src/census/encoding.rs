//! A census as bytes, for handing it from a worker to its leader.

use super::{Census, CensusKey, Tally};

const VERSION: u8 = 1;

impl Census {
    /// A compact encoding. The key is not in it; the sums are, so it must not leave the server process
    /// and its workers.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION, u8::from(self.overflown)];
        for (chain, tallies) in self.names.iter().zip(&self.chains) {
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
        let ([VERSION, overflown @ (0 | 1)], mut rest) = bytes.split_first_chunk()? else { return None };
        census.overflown = *overflown == 1;
        while !rest.is_empty() {
            let chain = take(&mut rest)?;
            for _ in 0..number(&mut rest)? {
                let (named, after) = rest.split_first()?;
                rest = after;
                let tenant = take(&mut rest)?;
                let tally = Tally { entries: number(&mut rest)?, sum: u128::from_be_bytes(array(&mut rest)?) };
                census.add_tally(chain, (*named == 1).then_some(tenant), tally);
            }
        }
        Some(census)
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u64).to_be_bytes());
    out.extend(bytes);
}

fn array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    array(rest).map(u64::from_be_bytes)
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(number(rest)?).ok()?;
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}
