//! The unordered pass: every row judged alone, the chains by keyed sums.

use super::entry::Waiting;
use super::pass::{self, Pass, Since};
use super::progress::Counter;
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
    counter: Counter,
    waiting: [Waiting; 2],
    accounts: [Account; 2],
    /// How many of them wait.
    waits: usize,
}

/// What a row that waits will be counted for.
#[derive(Default)]
struct Account {
    /// A checkpoint has it.
    was_verified: bool,
    /// Its tenant, if it has one; only for a census.
    tenant: Vec<u8>,
    has_tenant: bool,
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
        let census = pass.new_census();
        AuditState {
            before: pass.plan.since.as_ref().map(Before::of),
            pass: Some(pass),
            ..AuditState::of(Audited { census, ..Audited::nothing() })
        }
    }

    fn add(&mut self, row: Row<'_>) {
        let Some(pass) = &mut self.pass else { return };
        self.counter.one();
        let of_tenant = pass.is_of_tenant(row);
        let waiting = &mut self.waiting[self.waits];
        let Some(seal) = pass.checker.seal(row, &mut waiting.scratch) else {
            self.audited.suspicious += 1;
            self.audited.unsealed += u64::from(of_tenant);
            return;
        };
        let was_verified = self.before.as_mut().is_some_and(|before| before.has(&waiting.scratch.chain, seal.position));
        if was_verified && !of_tenant {
            return;
        }
        waiting.seal = seal;
        if of_tenant {
            self.last_count =
                self.audited.count(&waiting.scratch.chain, self.last_count, 1, seal.sealed_at, seal.sealed_at);
        }
        let account = &mut self.accounts[self.waits];
        account.was_verified = was_verified;
        if self.audited.census.is_some() {
            account.has_tenant = pass.find_tenant(row, &mut account.tenant);
        }
        if pass.checker.prepare(row, waiting) {
            self.waits += 1;
        } else {
            self.audited.suspicious += 1;
        }
        if self.waits == self.waiting.len() {
            self.settle();
        }
    }

    fn merge(&mut self, mut other: AuditState) {
        self.settle();
        other.settle();
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

    fn save(&mut self) -> Vec<u8> {
        self.settle();
        self.counter.flush();
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
        AuditState::of(audited)
    }

    fn finish(mut self) {
        self.settle();
        self.counter.flush();
        RESULT.replace(Some(self.audited));
    }
}

impl AuditState {
    fn of(audited: Audited) -> AuditState {
        AuditState {
            pass: None,
            audited,
            last_count: 0,
            before: None,
            counter: Counter::default(),
            waiting: Default::default(),
            accounts: Default::default(),
            waits: 0,
        }
    }

    /// Judges the rows that wait.
    fn settle(&mut self) {
        let Some(pass) = &self.pass else { return };
        let [a, b] = &self.waiting;
        let judged = match self.waits {
            0 => return,
            1 => [pass.checker.judge_single(a), false],
            _ => pass.checker.judge_pair([a, b]),
        };
        let waiting = self.waiting.iter().zip(&self.accounts).zip(judged).take(self.waits);
        for ((Waiting { seal, scratch, .. }, account), is_authentic) in waiting {
            if !is_authentic {
                self.audited.suspicious += 1;
                continue;
            }
            if !account.was_verified {
                self.audited.sums.add(&scratch.chain, seal.position, &seal.prev, &seal.mac, seal.sealed_at);
                self.audited.named.add(&scratch.chain, seal.anchor, seal.sealed_at);
            }
            if let Some(census) = self.audited.census.as_mut().filter(|_| account.was_verified || self.before.is_none())
            {
                let tenant = account.has_tenant.then_some(account.tenant.as_slice());
                census.add(&scratch.chain, tenant, seal.position, &seal.mac);
            }
        }
        self.waits = 0;
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
