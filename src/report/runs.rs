//! Recorded runs of a history in the asked period, and scheduled ones that were not made.

use super::facts::Period;
use crate::pg::snapshot::Sees;
use crate::record::identity::uuid_text;
use crate::record::journaled::Journaled;
use crate::record::overall::Overall;
use crate::record::runs::{self, How};
use crate::schedule::missed::{self, Scheduled};
use pgseal_chain::{HistoryId, Verdict};
use serde_json::Value;

/// One run as it was recorded.
#[derive(Debug, Clone)]
pub struct Run {
    pub number: i64,
    history: String,
    /// µs since 2000-01-01 UTC.
    pub started: i64,
    pub finished: i64,
    pub how: String,
    pub who: String,
    pub verdict: String,
    pub findings_new: i64,
}

pub struct Runs {
    /// Those that ended in the period, the oldest first.
    pub made: Vec<Run>,
    /// `None`: no schedule.
    pub scheduled: Option<Scheduled>,
}

impl Run {
    fn read(number: i64, record: &str) -> Option<Run> {
        let record: Value = serde_json::from_str(record).ok()?;
        let text = |name: &str| record[name].as_str().map(str::to_owned);
        Some(Run {
            number,
            history: text("history_id")?,
            started: record["started"].as_i64()?,
            finished: record["finished"].as_i64()?,
            how: text("how")?,
            who: text("who").unwrap_or_default(),
            verdict: text("verdict")?,
            findings_new: record["findings_new"].as_i64().unwrap_or(0),
        })
    }

    pub fn is_scheduled(&self) -> bool {
        self.how == How::Schedule.as_str()
    }

    /// Whether somebody had to look after it.
    pub fn is_bad(&self) -> bool {
        self.verdict != Verdict::Intact.as_str()
    }
}

/// Every run whose record is the one that the journal knows, by number; under the active snapshot.
pub fn recorded(overall: &Overall) -> Vec<Run> {
    let is_journaled = |run: &runs::Run| overall.runs.get(&run.id) == Some(&run.digest());
    let stored = runs::stored(Sees::Snapshot).into_iter().filter(is_journaled);
    stored.filter_map(|run| Run::read(run.id, &run.record)).collect()
}

impl Runs {
    pub fn of(history: HistoryId, journaled: &Journaled, recorded: &[Run], period: Period) -> Runs {
        let id = uuid_text(&history.0);
        let all: Vec<&Run> = recorded.iter().filter(|run| run.history == id).collect();
        let mut scheduled: Vec<(i64, i64)> =
            all.iter().filter(|run| run.is_scheduled()).map(|run| (run.started, run.finished)).collect();
        scheduled.sort_unstable();
        Runs {
            made: all.into_iter().filter(|run| period.contains(run.finished)).cloned().collect(),
            scheduled: missed::of(journaled, &scheduled, period.since, period.until),
        }
    }

    pub fn by_schedule(&self) -> u64 {
        self.made.iter().filter(|run| run.is_scheduled()).count() as u64
    }

    pub fn by_hand(&self) -> u64 {
        self.made.len() as u64 - self.by_schedule()
    }
}
