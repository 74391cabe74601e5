//! Epochs never descend along a chain. Also collects the runs of entries that cannot be judged: one
//! that claims an epoch that cannot be is tampering, not a lack of keys.

use super::describe;
use super::layer::{Obstacle, Sound};
use super::ledger::Ledger;
use crate::finding::{Finding, Kind};

pub(super) struct Epochs<K> {
    highest: i64,
    descent: Option<Finding<K>>,
    /// Runs since the last judged entry, whose epochs ascend.
    runs: Vec<Run>,
    /// Whether the last of them still goes on.
    running: bool,
}

struct Run {
    first: u64,
    last: u64,
    epoch: i64,
    obstacle: Obstacle,
}

impl<K: Clone> Epochs<K> {
    pub fn new() -> Self {
        Self { highest: i64::MIN, descent: None, runs: Vec::new(), running: false }
    }

    /// Whether an entry that cannot be judged may be of this epoch.
    pub fn allow(&self, epoch: i64) -> bool {
        epoch >= self.highest && self.runs.last().is_none_or(|run| epoch >= run.epoch)
    }

    /// The entry cannot be judged.
    pub fn unjudged(&mut self, position: u64, epoch: i64, obstacle: Obstacle) {
        match self.runs.last_mut() {
            Some(run) if self.running && run.epoch == epoch && run.obstacle == obstacle => {
                run.last = position;
            }
            _ => self.runs.push(Run { first: position, last: position, epoch, obstacle }),
        }
        self.running = true;
    }

    /// A valid entry that is none of the path: it says nothing about epochs.
    pub fn off_path(&mut self) {
        self.running = false;
    }

    /// A valid entry of the path.
    pub fn judged(&mut self, chain: &[u8], position: u64, row: &Sound<K>, ledger: &mut Ledger<K>) {
        let epoch = row.epoch();
        self.end_runs(chain, epoch, ledger);
        if epoch >= self.highest {
            self.highest = epoch;
            self.end_descent(ledger);
            return;
        }
        if let Some(finding) = &mut self.descent {
            finding.last_position = Some(position);
            if row.of_tenant && !finding.of_tenant {
                finding.key = row.key.clone();
                finding.of_tenant = true;
            }
            return;
        }
        let detail = format!("entry {position} is of an older epoch than the entries before it");
        let finding = describe::at(Kind::WrongEpoch, chain, position, position, detail)
            .values(Some(format!("at least {}", self.highest)), Some(epoch.to_string()))
            .about(row.key.clone(), row.of_tenant)
            .of_row_only();
        self.descent = Some(finding);
    }

    pub fn finish(&mut self, chain: &[u8], ledger: &mut Ledger<K>) {
        self.end_runs(chain, i64::MAX, ledger);
        self.end_descent(ledger);
    }

    fn end_runs(&mut self, chain: &[u8], next_epoch: i64, ledger: &mut Ledger<K>) {
        self.running = false;
        for run in self.runs.drain(..) {
            if run.epoch <= next_epoch {
                ledger.report(describe::unjudged(chain, run.first, run.last, run.epoch, &run.obstacle));
                continue;
            }
            let which = describe::entries(run.first, run.last, "names", "name");
            let detail = format!("{which} an epoch that had not begun");
            let finding = describe::at(Kind::WrongEpoch, chain, run.first, run.last, detail);
            ledger.report(finding.values(Some(format!("at most {next_epoch}")), Some(run.epoch.to_string())));
        }
    }

    fn end_descent(&mut self, ledger: &mut Ledger<K>) {
        if let Some(finding) = self.descent.take() {
            ledger.report(finding);
        }
    }
}
