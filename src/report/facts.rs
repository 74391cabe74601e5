//! What a report says, before it is written as text or JSON. All times in µs since 2000-01-01 UTC.

use super::former::Continuity;
use super::life::Life;
use super::runs::Runs;
use crate::record::journaled::Acknowledgement;
use crate::verify::locate::RowKey;
use crate::verify::outcome::NodeCount;
use pgseal_chain::{Finding, HistoryId, Mac, Verdict};
use std::collections::BTreeMap;

pub struct Facts {
    pub made: Made,
    pub server: Server,
    pub asked: Asked,
    /// The worst of all histories.
    pub verdict: Verdict,
    /// Never empty.
    pub histories: Vec<HistoryFacts>,
    /// What became of the former report; `None`: none was given.
    pub previous: Option<Continuity>,
    /// Whether anchors leave the server, in a sentence.
    pub witness: String,
    /// The line of the newest anchor.
    pub anchor: Option<String>,
    /// What administrators did in the asked period.
    pub changes: Vec<Change>,
    /// Tables that were histories and are not verified any more.
    pub detached: Vec<String>,
    /// What the verdict does not say, in sentences.
    pub not_covered: Vec<String>,
}

pub struct Made {
    pub at: i64,
    /// How long it took, µs.
    pub took: i64,
    /// Who was logged in, and with whose rights.
    pub by: String,
    pub role: String,
}

pub struct Server {
    pub system_identifier: u64,
    pub database: String,
    pub host: String,
    pub postgresql: String,
    /// It replays what a primary sends.
    pub standby: bool,
}

/// What somebody wanted to know.
pub struct Asked {
    pub tenant: Option<String>,
    /// Name of the table.
    pub history: Option<String>,
    pub period: Period,
}

/// From `since` on and before `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub since: Option<i64>,
    pub until: Option<i64>,
}

impl Period {
    pub fn is_limited(self) -> bool {
        self.since.is_some() || self.until.is_some()
    }

    pub fn contains(self, at: i64) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }
}

pub struct HistoryFacts {
    /// `None`: no history is attached.
    pub table: Option<String>,
    /// `None` where it could not be read as a history.
    pub id: Option<HistoryId>,
    pub verdict: Verdict,
    /// Entries of the tenant asked for, or of everybody, by node.
    pub nodes: BTreeMap<String, NodeCount>,
    /// How many of them were sealed in the asked period; `None`: it is not limited, or nothing could be read.
    pub in_period: Option<u64>,
    pub window_months: Option<i32>,
    pub window_start: Option<i64>,
    /// The newest entry of each chain: position and mac.
    pub heads: BTreeMap<String, (u64, Mac)>,
    pub findings: u64,
    /// Those that nobody has acknowledged.
    pub findings_new: u64,
    pub findings_before_window: u64,
    pub found: Vec<Found>,
    pub basis: String,
    pub next_step: String,
    pub runs: Option<Runs>,
    pub life: Option<Life>,
    /// Columns that no signature covers.
    pub unsigned_columns: Vec<String>,
}

impl HistoryFacts {
    pub fn entries(&self) -> u64 {
        self.nodes.values().map(|node| node.entries).sum()
    }
}

pub struct Found {
    pub finding: Finding<RowKey>,
    pub acknowledged: Option<Acknowledgement>,
}

/// One act of an administrator.
pub struct Change {
    pub at: i64,
    pub who: String,
    pub kind: String,
    pub table: Option<String>,
    pub sentence: String,
}

impl Facts {
    /// How many entries were sealed in the asked period; `None` where it is not limited, or not all of it is known.
    pub fn in_period(&self) -> Option<u64> {
        self.histories.iter().map(|history| history.in_period).sum()
    }
}
