//! How many entries each tenant has in each chain, and by a keyed sum which ones.
//!
//! Each entry's position and mac are hashed under a key that is derived for one census; the hashes
//! are added up by chain and tenant, so that entries can be counted in any order, by any number of
//! workers, and taken out again. The sums themselves are never stored: what a [`Commitment`] holds is
//! a count and a mac over count and sum.

mod encoding;

use std::collections::HashMap;
use std::fmt;

use siphasher::sip128::SipHasher24;
use subtle::ConstantTimeEq;

use crate::by_name::ByName;
use crate::entry::Mac;
use crate::keys::{HistoryId, HistoryKeys, RecordKey};

/// The most tallies, one for each tenant in each chain, that a census holds.
pub const MAX_TALLIES: usize = 100_000;

/// The most bytes that the names of the tenants in these tallies have together.
pub const MAX_NAMES: usize = 16 << 20;

/// The key of one census, derived from the history's keys and a number that is drawn for it.
#[derive(Clone)]
pub struct CensusKey {
    history: HistoryId,
    terms: SipHasher24,
    tallies: RecordKey,
}

impl CensusKey {
    /// `nonce` is random, and stored with the census.
    #[must_use]
    pub fn derive(keys: &HistoryKeys, history: HistoryId, nonce: &[u8; 16]) -> Self {
        let terms = keys.census_terms_key(nonce);
        Self { history, terms: SipHasher24::new_with_key(&terms), tallies: keys.census_tallies_key(nonce) }
    }

    fn term(&self, position: u64, mac: &Mac) -> u128 {
        let mut entry = [0; 40];
        entry[..8].copy_from_slice(&position.to_be_bytes());
        entry[8..].copy_from_slice(mac);
        self.terms.hash(&entry).as_u128()
    }

    fn commit(&self, chain: &[u8], tenant: Option<&[u8]>, tally: Tally) -> Mac {
        self.tallies.mac(
            "census",
            self.history,
            chain,
            &[tenant, Some(&tally.entries.to_be_bytes()), Some(&tally.sum.to_be_bytes())],
        )
    }
}

impl fmt::Debug for CensusKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CensusKey")
    }
}

/// What is kept of one tenant's entries in one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitment {
    /// `None`: the entries without a tenant.
    pub tenant: Option<Vec<u8>>,
    /// How many there are.
    pub entries: u64,
    /// Over the count and the sum of exactly these entries.
    pub mac: Mac,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    entries: u64,
    sum: u128,
}

impl Tally {
    fn add(&mut self, more: Self) {
        self.entries = self.entries.saturating_add(more.entries);
        self.sum = self.sum.wrapping_add(more.sum);
    }
}

#[derive(Clone, Default)]
struct Tallies {
    none: Tally,
    by_tenant: HashMap<Vec<u8>, Tally>,
}

impl Tallies {
    fn of(&mut self, tenant: Option<&[u8]>) -> Option<&mut Tally> {
        match tenant {
            None => Some(&mut self.none),
            Some(tenant) => self.by_tenant.get_mut(tenant),
        }
    }

    fn all(&self) -> impl Iterator<Item = (Option<&[u8]>, Tally)> {
        let named = self.by_tenant.iter().map(|(tenant, tally)| (Some(tenant.as_slice()), *tally));
        std::iter::once((None, self.none)).chain(named).filter(|(_, tally)| tally.entries > 0)
    }
}

/// The tallies of some entries.
#[derive(Clone)]
pub struct Census {
    key: CensusKey,
    chains: ByName<Tallies>,
    tallies: usize,
    named: usize,
    overflown: bool,
}

impl Census {
    /// A census of nobody.
    #[must_use]
    pub fn new(key: CensusKey) -> Self {
        Self { key, chains: ByName::new(), tallies: 0, named: 0, overflown: false }
    }

    /// Counts an entry whose mac was found valid.
    pub fn add(&mut self, chain: &[u8], tenant: Option<&[u8]>, position: u64, mac: &Mac) {
        let tally = Tally { entries: 1, sum: self.key.term(position, mac) };
        self.add_tally(chain, tenant, tally);
    }

    /// Takes out an entry that was counted; `false` if there is none left that it could be.
    #[must_use]
    pub fn remove(&mut self, chain: &[u8], tenant: Option<&[u8]>, position: u64, mac: &Mac) -> bool {
        let tally = Tally { entries: 1, sum: self.key.term(position, mac) };
        self.remove_tally(chain, tenant, tally)
    }

    /// Takes out all that another census under the same key has counted; `false` if not all of it was
    /// there.
    #[must_use]
    pub fn subtract(&mut self, other: &Self) -> bool {
        let mut all = other.is_complete();
        for (chain, tallies) in other.chains.iter() {
            for (tenant, tally) in tallies.all() {
                all &= self.remove_tally(chain, tenant, tally);
            }
        }
        all
    }

    /// Takes over what another worker has counted under the same key.
    pub fn merge(&mut self, other: &Self) {
        self.overflown |= other.overflown;
        for (chain, tallies) in other.chains.iter() {
            for (tenant, tally) in tallies.all() {
                self.add_tally(chain, tenant, tally);
            }
        }
    }

    /// Whether all that was added is in it: not if there were more than [`MAX_TALLIES`], or [`MAX_NAMES`].
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.overflown
    }

    /// How many entries of a chain it counts.
    #[must_use]
    pub fn entries(&self, chain: &[u8]) -> u64 {
        self.chains.get(chain).map_or(0, |tallies| tallies.all().map(|(_, tally)| tally.entries).sum())
    }

    /// What is to be kept of a chain's tenants, in their order.
    #[must_use]
    pub fn commitments(&self, chain: &[u8]) -> Vec<Commitment> {
        let all = self.chains.get(chain).into_iter().flat_map(Tallies::all);
        let commit = |(tenant, tally): (Option<&[u8]>, Tally)| Commitment {
            tenant: tenant.map(<[u8]>::to_vec),
            entries: tally.entries,
            mac: self.key.commit(chain, tenant, tally),
        };
        let mut commitments: Vec<Commitment> = all.map(commit).collect();
        commitments.sort_unstable_by(|a, b| a.tenant.cmp(&b.tenant));
        commitments
    }

    /// Whether the entries of this tenant in this chain are exactly those of the commitment; without
    /// one, whether there are none.
    #[must_use]
    pub fn fits(&self, chain: &[u8], tenant: Option<&[u8]>, commitment: Option<&Commitment>) -> bool {
        let mut of_tenant = self.chains.get(chain).into_iter().flat_map(Tallies::all).filter(|(of, _)| *of == tenant);
        match (of_tenant.next(), commitment) {
            (None, None) => true,
            (Some((_, tally)), Some(commitment)) => {
                tally.entries == commitment.entries
                    && self.key.commit(chain, tenant, tally).ct_eq(&commitment.mac).into()
            }
            _ => false,
        }
    }

    fn add_tally(&mut self, chain: &[u8], tenant: Option<&[u8]>, more: Tally) {
        if self.overflown {
            return;
        }
        let tallies = self.chains.or_insert_with(chain, Tallies::default);
        if let Some(tally) = tallies.of(tenant) {
            tally.add(more);
        } else if let Some(tenant) = tenant {
            self.tallies += 1;
            self.named += tenant.len();
            if self.tallies > MAX_TALLIES || self.named > MAX_NAMES {
                return self.overflow();
            }
            tallies.by_tenant.insert(tenant.to_vec(), more);
        }
    }

    fn remove_tally(&mut self, chain: &[u8], tenant: Option<&[u8]>, less: Tally) -> bool {
        let tallies = self.chains.get_mut(chain);
        match tallies.and_then(|tallies| tallies.of(tenant)).filter(|tally| tally.entries >= less.entries) {
            Some(tally) => {
                tally.entries -= less.entries;
                tally.sum = tally.sum.wrapping_sub(less.sum);
                true
            }
            None => false,
        }
    }

    fn overflow(&mut self) {
        self.overflown = true;
        self.chains = ByName::new();
    }
}

impl fmt::Debug for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Census")
            .field("chains", &self.chains.len())
            .field("tallies", &self.tallies)
            .field("overflown", &self.overflown)
            .finish_non_exhaustive()
    }
}
