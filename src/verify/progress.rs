//! How far a verification is: the rows of `seal.verification_progress`.
//!
//! Counted in batches, so that a pass over a million entries does not notice it.

use crate::pg::progress;
use crate::pg::{clock, relation, spi};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::iter::TableIterator;
use pgrx::prelude::*;
use std::cell::Cell;

/// What a verification, or what follows it, is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for the history's table, or asking for it.
    Locking,
    /// Journal and anchors.
    Records,
    /// The unordered pass.
    Entries,
    /// The ordered pass, before it sees the first entry.
    Sorting,
    /// The ordered pass.
    Naming,
    /// Generated columns, against their expressions.
    Generated,
    /// Deleting what a run allows to delete.
    Pruning,
}

impl Phase {
    const ALL: [Phase; 7] = [
        Phase::Locking,
        Phase::Records,
        Phase::Entries,
        Phase::Sorting,
        Phase::Naming,
        Phase::Generated,
        Phase::Pruning,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Phase::Locking => "locking",
            Phase::Records => "reading the journal and anchors",
            Phase::Entries => "checking entries",
            Phase::Sorting => "sorting entries",
            Phase::Naming => "naming findings",
            Phase::Generated => "checking generated columns",
            Phase::Pruning => "pruning",
        }
    }
}

/// While alive, this backend shows its progress.
pub struct Shown {
    /// A verification inside another one shows nothing of its own.
    is_outermost: bool,
}

impl Drop for Shown {
    fn drop(&mut self) {
        if self.is_outermost {
            progress::hide();
        }
    }
}

/// Work on a history's table begins.
pub fn begin(relation: u32, phase: Phase) -> Shown {
    let is_outermost = !progress::is_shown();
    if is_outermost {
        progress::show(relation, phase as u32, clock::now());
    }
    Shown { is_outermost }
}

/// Another phase begins, which counts about so many entries; 0: not known, or it counts none.
pub fn enter(phase: Phase, expected: u64) {
    progress::enter(phase as u32, expected);
}

/// Another phase begins, over the entries that the last one has counted.
pub fn enter_again(phase: Phase) {
    progress::enter(phase as u32, progress::counted());
}

/// The same entries, now in another phase.
pub fn go_on_as(phase: Phase) {
    progress::rename(phase as u32);
}

/// Counts entries for this backend, or for its leader in a parallel worker.
#[derive(Default)]
pub struct Counter {
    uncounted: Cell<u64>,
}

/// So many entries are counted at once.
const BATCH: u64 = 1_000;

impl Counter {
    pub fn one(&self) {
        self.uncounted.set(self.uncounted.get() + 1);
        if self.uncounted.get() == BATCH {
            self.flush();
        }
    }

    pub fn flush(&self) {
        progress::count(self.uncounted.take());
    }
}

/// About how many rows the statistics of these tables say that there are.
pub fn rows_by_statistics(relation: u32) -> u64 {
    let tables: Vec<String> = relation::with_descendants(relation).iter().map(u32::to_string).collect();
    let rows = spi::read(&format!(
        "SELECT pg_catalog.sum(reltuples)::pg_catalog.int8 FROM pg_catalog.pg_class
          WHERE oid IN ({}) AND relkind = 'r' AND reltuples > 0",
        tables.join(", ")
    ));
    spi::value(rows).and_then(|rows| rows.parse().ok()).unwrap_or(0)
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn progress_lines() -> TableIterator<
    'static,
    (
        name!(pid, i32),
        name!(history, String),
        name!(phase, &'static str),
        name!(entries_done, i64),
        name!(entries_estimated, Option<i64>),
        name!(percent, Option<f64>),
        name!(started, Option<TimestampWithTimeZone>),
    ),
> {
    TableIterator::new(progress::of_database().into_iter().map(|line| {
        // An estimate that turned out too low.
        let estimated = Some(line.expected.max(line.done)).filter(|_| line.expected > 0);
        (
            line.pid,
            relation::name_of(line.relation),
            Phase::ALL.get(line.phase as usize).map_or("", |phase| phase.as_str()),
            line.done as i64,
            estimated.map(|entries| entries as i64),
            estimated.map(|entries| percent(line.done, entries)),
            TimestampWithTimeZone::try_from(line.started).ok(),
        )
    }))
}

/// Down to a tenth: 100 only when all are done.
fn percent(done: u64, of: u64) -> f64 {
    (u128::from(done) * 1_000 / u128::from(of.max(1))) as f64 / 10.0
}
