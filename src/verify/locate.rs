//! The ordered pass: runs only when something is off, and names it entry by entry.

use super::entry::Judgement;
use super::pass::{self, Pass};
use super::progress::{self, Counter, Phase};
use crate::pg::aggregate::AggregateState;
use crate::pg::row::Row;
use crate::pg::server;
use crate::record::nodes;
use pgseal_chain::{Authenticity, Findings, Known, Locator, Observed};
use std::cell::RefCell;

/// The row that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowKey {
    /// How people find it: a JSON object.
    pub json: String,
    /// Digest of all that stands in it, so that a known finding is told from a new one in its place.
    pub content: Option<[u8; 32]>,
}

pub struct LocateState {
    pass: Pass,
    locator: Locator<RowKey>,
    counter: Counter,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
    static RESULT: RefCell<Option<Findings<RowKey>>> = const { RefCell::new(None) };
}

/// What the next pass of this process is to know beforehand.
pub fn prepare(known: Known) {
    KNOWN.replace(known);
}

/// Takes the findings of the last pass; without a single row, those of an empty table.
pub fn take_result() -> Findings<RowKey> {
    RESULT.take().unwrap_or_else(|| Locator::new(KNOWN.take()).finish())
}

impl AggregateState for LocateState {
    fn is_expected() -> bool {
        pass::is_running()
    }

    fn begin(plan: &str) -> LocateState {
        progress::go_on_as(Phase::Naming);
        let mut pass = Pass::begin(plan);
        pass.is_receiving = nodes::is_receiving(pass.plan.relation);
        LocateState { pass, locator: Locator::new(KNOWN.take()), counter: Counter::default() }
    }

    fn add(&mut self, row: Row<'_>) {
        server::check_for_interrupts();
        self.counter.one();
        let of_tenant = self.pass.is_of_tenant(row);
        let observed = observe(&mut self.pass, row, of_tenant);
        self.locator.observe(observed);
    }

    fn finish(self) {
        self.counter.flush();
        RESULT.replace(Some(self.locator.finish_with(server::check_for_interrupts)));
    }

    // An ordered aggregate is never computed in parts.
    fn merge(&mut self, _other: LocateState) {}

    fn save(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn load(_bytes: &[u8]) -> LocateState {
        LocateState::begin("")
    }
}

fn observe(pass: &mut Pass, row: Row<'_>, of_tenant: bool) -> Observed<RowKey> {
    let (authenticity, foreign_content) = judge(pass, row);
    let sound = authenticity == Authenticity::Valid && foreign_content.is_none();
    let content = if sound { None } else { pass.content(row) };
    let places = pass.checker.places;
    Observed {
        chain: row.get(places.chain).map(|value| value.to_bytes()),
        position: row.get(places.seq).map(|value| value.as_i64()),
        epoch: row.get(places.epoch).map(|value| value.as_i32()),
        sealed_at: row.get(places.at).map(|value| value.as_i64()),
        prev: row.get(places.prev).map(|value| value.to_bytes()),
        mac: row.get(places.mac).map(|value| value.to_bytes()),
        authenticity,
        of_tenant,
        key: Some(RowKey { json: pass.row_key(row), content }),
        foreign_content,
    }
}

fn judge(pass: &mut Pass, row: Row<'_>) -> (Authenticity, Option<String>) {
    let Some(seal) = pass.checker.seal(row, &mut pass.scratch) else { return (Authenticity::Invalid, None) };
    match pass.checker.judge(row, &seal, &mut pass.scratch) {
        Judgement::Authentic => (Authenticity::Valid, None),
        Judgement::UnknownContent(column) => (Authenticity::Valid, Some(column)),
        Judgement::NoKey => (Authenticity::UnknownKey, None),
        Judgement::NoColumn(name) => (Authenticity::MissingColumn(name), None),
        Judgement::NoSuchEpoch if pass.records_altered => (Authenticity::UnknownKey, None),
        Judgement::NotArrived if pass.is_receiving => (Authenticity::NotArrived, None),
        altered => match pass.checker.other_epoch(row, &seal, &mut pass.scratch) {
            Some(epoch) => (Authenticity::ValidUnderEpoch(epoch as u32), None),
            None if pass.is_receiving && pass.checker.is_of_unknown_node(&pass.scratch.chain) => {
                (Authenticity::NotArrived, None)
            }
            None if altered == Judgement::NoSuchEpoch || altered == Judgement::NotArrived => {
                (Authenticity::UnknownEpoch, None)
            }
            None => (Authenticity::Invalid, None),
        },
    }
}
