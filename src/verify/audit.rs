//! The unordered pass: every row judged alone, the chains by keyed sums.

use super::entry::Waiting;
use super::pass::{self, Pass};
use crate::pg::aggregate::AggregateState;
use crate::pg::row::Row;
use pgseal_chain::{Audit, NamedAnchors};
use serde_json::{Value, json};
use std::cell::RefCell;

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
}

pub struct AuditState {
    /// Absent in the leader for what a worker sent.
    pass: Option<Pass>,
    audited: Audited,
    last_count: usize,
    waiting: [Waiting; 2],
    /// How many of them wait.
    waits: usize,
}

thread_local! {
    static RESULT: RefCell<Option<Audited>> = const { RefCell::new(None) };
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
        let sums = Audit::new(&pass::run_secret());
        AuditState {
            pass: Some(Pass::begin(plan)),
            audited: Audited { sums, counts: Vec::new(), named: NamedAnchors::default(), suspicious: 0, unsealed: 0 },
            last_count: 0,
            waiting: Default::default(),
            waits: 0,
        }
    }

    fn add(&mut self, row: Row<'_>) {
        let Some(pass) = &mut self.pass else { return };
        let of_tenant = pass.is_of_tenant(row);
        let waiting = &mut self.waiting[self.waits];
        let Some(seal) = pass.checker.seal(row, &mut waiting.scratch) else {
            self.audited.suspicious += 1;
            self.audited.unsealed += u64::from(of_tenant);
            return;
        };
        waiting.seal = seal;
        if of_tenant {
            self.last_count =
                self.audited.count(&waiting.scratch.chain, self.last_count, 1, seal.sealed_at, seal.sealed_at);
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
    }

    fn save(&mut self) -> Vec<u8> {
        self.settle();
        let counts: Vec<Value> = self
            .audited
            .counts
            .iter()
            .map(|count| json!([hex::encode(&count.chain), count.entries, count.first, count.last]))
            .collect();
        let rest = json!([self.audited.suspicious, self.audited.unsealed, counts]).to_string();
        let mut bytes = Vec::new();
        for part in [rest.as_bytes(), &self.audited.named.to_bytes()] {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part);
        }
        bytes.extend_from_slice(&self.audited.sums.to_bytes());
        bytes
    }

    fn load(bytes: &[u8]) -> AuditState {
        let mut audited = Audited::load(bytes).unwrap_or_else(Audited::unreadable);
        audited.counts.sort_by(|a, b| a.chain.cmp(&b.chain));
        AuditState { pass: None, audited, last_count: 0, waiting: Default::default(), waits: 0 }
    }

    fn finish(mut self) {
        self.settle();
        RESULT.replace(Some(self.audited));
    }
}

impl AuditState {
    /// Judges the rows that wait.
    fn settle(&mut self) {
        let Some(pass) = &self.pass else { return };
        let [a, b] = &self.waiting;
        let judged = match self.waits {
            0 => return,
            1 => [pass.checker.judge_single(a), false],
            _ => pass.checker.judge_pair([a, b]),
        };
        for (Waiting { seal, scratch, .. }, is_authentic) in self.waiting.iter().zip(judged).take(self.waits) {
            if is_authentic {
                self.audited.sums.add(&scratch.chain, seal.position, &seal.prev, &seal.mac, seal.sealed_at);
                self.audited.named.add(&scratch.chain, seal.anchor, seal.sealed_at);
            } else {
                self.audited.suspicious += 1;
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
        let (named, sums) = part(rest)?;
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
        })
    }

    /// A worker's answer that cannot be read: the ordered pass decides.
    fn unreadable() -> Audited {
        Audited {
            sums: Audit::new(&pass::run_secret()),
            counts: Vec::new(),
            named: NamedAnchors::default(),
            suspicious: 1,
            unsealed: 0,
        }
    }
}

/// A part that begins with its length, and what follows it.
fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)
}
