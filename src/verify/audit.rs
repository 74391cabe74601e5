//! The unordered pass: every row judged alone, the chains by keyed sums.

use super::entry::Judgement;
use super::pass::{self, Pass, Since};
use crate::pg::aggregate::AggregateState;
use crate::pg::row::Row;
use pgseal_chain::{Audit, Census, CensusKey, NamedAnchors};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;

/// Rows of one chain that stand for the tenant asked for.
#[derive(Debug, Clone, Default)]
pub struct ChainCount {
    pub chain: Vec<u8>,
    pub entries: u64,
    /// µs since 2000-01-01 UTC.
    pub first: i64,
    /// µs since 2000-01-01 UTC.
    pub last: i64,
}

/// What the pass came to.
#[derive(Clone)]
pub struct Audited {
    pub sums: Audit,
    pub counts: Vec<ChainCount>,
    pub named: NamedAnchors,
    /// Rows that only the ordered pass can name: altered, unsealed, not judged.
    pub suspicious: u64,
    /// Rows for the tenant without a chain.
    pub unsealed: u64,
    /// By tenant: every entry, or those that were verified before; if it is asked for.
    pub census: Option<Census>,
}

pub struct AuditState {
    /// Absent in the leader for what a worker sent.
    pass: Option<Pass>,
    audited: Audited,
    last_count: usize,
    before: Option<Before>,
}

/// What was verified before of each chain: what follows the first position, up to the second.
struct Before {
    chains: HashMap<Vec<u8>, (u64, u64)>,
    /// The chain asked about last.
    last: (Vec<u8>, (u64, u64)),
}

impl Before {
    fn of(since: &Since) -> Before {
        let chains = since.chains.iter().map(|(chain, of)| (chain.clone().into_bytes(), *of));
        Before { chains: chains.collect(), last: (Vec::new(), (0, 0)) }
    }

    fn has(&mut self, chain: &[u8], position: u64) -> bool {
        if self.last.0 != chain {
            self.last = (chain.to_vec(), self.chains.get(chain).copied().unwrap_or_default());
        }
        let (cut, reached) = self.last.1;
        cut < position && position <= reached
    }
}

thread_local! {
    static RESULT: RefCell<Option<Audited>> = const { RefCell::new(None) };
    static CENSUS_KEY: RefCell<Option<CensusKey>> = const { RefCell::new(None) };
}

/// Under which key the workers of the next pass will have counted.
pub fn prepare(census: Option<CensusKey>) {
    CENSUS_KEY.replace(census);
}

/// Takes what the last pass of this process left; `None` if there was no row.
pub fn take_result() -> Option<Audited> {
    RESULT.take()
}

impl AggregateState for AuditState {
    fn is_expected() -> bool {
        pass::is_running()
    }

    fn begin(plan: &str) -> AuditState {
        let pass = Pass::begin(plan);
        AuditState {
            audited: Audited { census: pass.new_census(), ..Audited::nothing() },
            last_count: 0,
            before: pass.plan.since.as_ref().map(Before::of),
            pass: Some(pass),
        }
    }

    fn add(&mut self, row: Row<'_>) {
        let Some(pass) = &mut self.pass else { return };
        let of_tenant = pass.is_of_tenant(row);
        let Some(seal) = pass.checker.seal(row, &mut pass.scratch) else {
            self.audited.suspicious += 1;
            self.audited.unsealed += u64::from(of_tenant);
            return;
        };
        let was_verified = self.before.as_mut().is_some_and(|before| before.has(&pass.scratch.chain, seal.position));
        if was_verified && !of_tenant {
            return;
        }
        if pass.checker.judge(row, &seal, &mut pass.scratch) == Judgement::Authentic {
            if !was_verified {
                self.audited.sums.add(&pass.scratch.chain, seal.position, &seal.prev, &seal.mac, seal.sealed_at);
                self.audited.named.add(&pass.scratch.chain, seal.anchor, seal.sealed_at);
            }
            if let Some(census) = self.audited.census.as_mut().filter(|_| was_verified || self.before.is_none()) {
                let tenant = pass.find_tenant(row).then_some(pass.scratch.tenant.as_slice());
                census.add(&pass.scratch.chain, tenant, seal.position, &seal.mac);
            }
        } else {
            self.audited.suspicious += 1;
        }
        if of_tenant {
            self.last_count =
                self.audited.count(&pass.scratch.chain, self.last_count, 1, seal.sealed_at, seal.sealed_at);
        }
    }

    fn merge(&mut self, other: AuditState) {
        self.audited.sums.merge(&other.audited.sums);
        for count in &other.audited.counts {
            self.audited.count(&count.chain, 0, count.entries, count.first, count.last);
        }
        self.audited.named.merge(other.audited.named);
        self.audited.suspicious += other.audited.suspicious;
        self.audited.unsealed += other.audited.unsealed;
        match (&mut self.audited.census, other.audited.census) {
            (Some(census), Some(other)) => census.merge(&other),
            (census, other) => *census = census.take().or(other),
        }
    }

    fn save(&self) -> Vec<u8> {
        let counts: Vec<Value> = self
            .audited
            .counts
            .iter()
            .map(|count| json!([hex::encode(&count.chain), count.entries, count.first, count.last]))
            .collect();
        let rest = json!([self.audited.suspicious, self.audited.unsealed, counts]).to_string();
        let mut bytes = Vec::new();
        let census = self.audited.census.as_ref().map(Census::to_bytes).unwrap_or_default();
        for part in [rest.as_bytes(), &self.audited.named.to_bytes(), &census] {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part);
        }
        bytes.extend_from_slice(&self.audited.sums.to_bytes());
        bytes
    }

    fn load(bytes: &[u8]) -> AuditState {
        let mut audited = Audited::load(bytes).unwrap_or_else(Audited::unreadable);
        audited.counts.sort_by(|a, b| a.chain.cmp(&b.chain));
        AuditState { pass: None, audited, last_count: 0, before: None }
    }

    fn finish(self) {
        RESULT.replace(Some(self.audited));
    }
}

impl Audited {
    /// Adds to a chain's count; returns its place, to be tried first next time.
    fn count(&mut self, chain: &[u8], guess: usize, entries: u64, first: i64, last: i64) -> usize {
        let place = match self.counts.get(guess) {
            Some(count) if count.chain == chain => guess,
            _ => self.counts.iter().position(|count| count.chain == chain).unwrap_or_else(|| {
                self.counts.push(ChainCount { chain: chain.to_vec(), entries: 0, first, last });
                self.counts.len() - 1
            }),
        };
        let count = &mut self.counts[place];
        count.entries += entries;
        count.first = count.first.min(first);
        count.last = count.last.max(last);
        place
    }

    fn load(bytes: &[u8]) -> Option<Audited> {
        let (text, rest) = part(bytes)?;
        let (named, rest) = part(rest)?;
        let (census, sums) = part(rest)?;
        let key = CENSUS_KEY.with_borrow(Clone::clone).filter(|_| !census.is_empty());
        let value: Value = serde_json::from_slice(text).ok()?;
        let mut counts = Vec::new();
        for count in value.get(2)?.as_array()? {
            counts.push(ChainCount {
                chain: hex::decode(count.get(0)?.as_str()?).ok()?,
                entries: count.get(1)?.as_u64()?,
                first: count.get(2)?.as_i64()?,
                last: count.get(3)?.as_i64()?,
            });
        }
        Some(Audited {
            sums: Audit::from_bytes(sums, &pass::run_secret())?,
            counts,
            named: NamedAnchors::from_bytes(named)?,
            suspicious: value.get(0)?.as_u64()?,
            unsealed: value.get(1)?.as_u64()?,
            census: match key {
                Some(key) => Some(Census::from_bytes(census, key)?),
                None => None,
            },
        })
    }

    /// A pass over no row.
    pub fn nothing() -> Audited {
        Audited {
            sums: Audit::new(&pass::run_secret()),
            counts: Vec::new(),
            named: NamedAnchors::default(),
            suspicious: 0,
            unsealed: 0,
            census: None,
        }
    }

    /// A worker's answer that cannot be read: the ordered pass decides.
    fn unreadable() -> Audited {
        Audited { suspicious: 1, ..Audited::nothing() }
    }
}

/// A part that begins with its length, and what follows it.
fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)
}
