//! Whether this database still contains what a witness saw.

use super::locate::RowKey;
use crate::pg::snapshot::Sees;
use crate::pg::{relation, snapshot, spi, user};
use crate::record::anchor::{self, Heads};
use crate::record::definition::{self, Attachment};
use crate::record::identity::in_anchors;
use crate::record::witness::{self, Seen};
use crate::record::{journaled, registry};
use pgseal_chain::{Finding, Head, HistoryId, Kind, Mac, WitnessLine};

/// What a line has to say about one history.
pub struct OfHistory {
    pub findings: Vec<Finding<RowKey>>,
    /// Entries that must be there.
    pub heads: Vec<Head>,
    /// The anchor of the line was pruned: it says nothing any more.
    pub is_pruned: bool,
}

/// The answer to a line.
pub struct Answer {
    /// `None`: too old to say.
    pub contained: Option<bool>,
    pub detail: String,
    pub next_step: String,
}

/// What must be there of a history, under the active snapshot; `history` as anchors name it.
pub fn of_history(line: &WitnessLine, history: &str) -> OfHistory {
    match witness::look(line) {
        Seen::Present(heads) => OfHistory { findings: Vec::new(), heads: heads_of(&heads, history), is_pruned: false },
        Seen::Pruned => OfHistory { findings: Vec::new(), heads: Vec::new(), is_pruned: true },
        lost => {
            let finding = Finding::new(Kind::AnchorAltered, describe(line, &lost))
                .at(format!("anchors {}", line.chain), line.number, line.number)
                .values(Some(hex::encode(line.anchor_mac)), None);
            OfHistory { findings: vec![finding], heads: Vec::new(), is_pruned: false }
        }
    }
}

fn heads_of(heads: &Heads, history: &str) -> Vec<Head> {
    let chains = heads.histories.get(history).into_iter().flatten();
    let head = |(chain, (position, mac)): (&String, &(u64, Mac))| Head {
        chain: chain.clone().into_bytes(),
        position: *position,
        mac: Some(*mac),
    };
    chains.map(head).collect()
}

fn describe(line: &WitnessLine, lost: &Seen) -> String {
    let number = line.number;
    match lost {
        Seen::Gone { newest: 0 } => {
            format!("the witness saw anchor {number} of {}, of which this database has no anchor", line.chain)
        }
        Seen::Gone { newest } => {
            format!("the witness saw anchor {number} of {}, this database has {newest} at most", line.chain)
        }
        _ => format!("the witness saw another anchor {number} of {} than this database has", line.chain),
    }
}

/// Looks for the anchor, and for each entry that it says was there.
pub fn check(line: &WitnessLine) -> Answer {
    user::with_rights_of(user::extension_owner(), || snapshot::with_fresh(|| check_now(line)))
}

fn check_now(line: &WitnessLine) -> Answer {
    let heads = match witness::look(line) {
        Seen::Present(heads) => heads,
        Seen::Pruned => {
            return Answer {
                contained: None,
                detail: format!("anchor {} of {} was pruned with the entries of its time", line.number, line.chain),
                next_step: "compare with a newer line".into(),
            };
        }
        lost => return not_contained(describe(line, &lost)),
    };
    let registrations = registry::registrations();
    let histories = journaled::as_seen(Sees::Snapshot);
    let is_pruned = |history: HistoryId, chain: &str, position| {
        let cut = histories.get(&history).and_then(|journaled| journaled.cuts.get(chain));
        cut.is_some_and(|cut| position <= cut.position)
    };
    let mut entries = 0;
    for (history, chain, position, mac) in heads.iter() {
        let registration = registrations.iter().find(|row| in_anchors(row.history) == history);
        // An ordinary table again: nobody promised to keep its rows.
        if registration.is_some_and(|row| definition::attachment(row) == Attachment::Detached) {
            continue;
        }
        if registration.is_some_and(|row| is_pruned(row.history, chain, position)) {
            continue;
        }
        let (table, columns) = match (registration, history) {
            (_, anchor::JOURNAL) => ("seal.journal".to_owned(), ["chain", "seq", "mac"]),
            (_, anchor::ANCHOR_CHAINS) => ("seal.anchor".to_owned(), ["chain", "number", "mac"]),
            (Some(row), _) if relation::exists(row.relation) => {
                (relation::name_of(row.relation), ["seal_chain", "seal_seq", "seal_mac"])
            }
            _ => return not_contained(format!("history {history}, which the witness saw, is gone")),
        };
        if !is_there(&table, columns, chain, position, &mac) {
            return not_contained(format!(
                "entry {position} of chain {chain} of {table}, which the witness saw, is gone or was changed"
            ));
        }
        entries += 1;
    }
    Answer {
        contained: Some(true),
        detail: format!("anchor {} and the {entries} newest entries of that time are there", line.number),
        next_step: "verify what is between them: SELECT * FROM seal.verify_history()".into(),
    }
}

fn is_there(
    table: &str,
    [chain_column, position_column, mac_column]: [&str; 3],
    chain: &str,
    position: u64,
    mac: &Mac,
) -> bool {
    !spi::read(&format!(
        "SELECT FROM {table} WHERE {chain_column} = {} AND {position_column} = {position} AND {mac_column} = {}",
        spi::literal(chain),
        spi::bytea_literal(mac)
    ))
    .is_empty()
}

fn not_contained(detail: String) -> Answer {
    Answer {
        contained: Some(false),
        detail,
        next_step: "an older state was put back, or this is another database: compare with a backup of that time"
            .into(),
    }
}
