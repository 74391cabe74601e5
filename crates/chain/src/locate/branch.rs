//! Validly sealed rows that are not of the chain's path: from a branch that was abandoned when the
//! chain was rolled back and sealed anew, or copied.

use std::collections::BTreeMap;

use super::describe;
use super::layer::Sound;
use super::ledger::Ledger;
use crate::entry::Mac;
use crate::finding::{Finding, Kind};

pub(super) struct Branches<K> {
    incident: Option<Incident<K>>,
    /// Branches that run beside the path, by the mac that their next row follows.
    sides: BTreeMap<Mac, Side<K>>,
}

/// The path itself runs through foreign entries.
struct Incident<K> {
    finding: Finding<K>,
    last: u64,
}

struct Side<K> {
    first: u64,
    last: u64,
    follows: bool,
    about: About<K>,
    /// The path's rows beside it: they are reported instead if the path turns out to go on along
    /// this branch.
    path: About<K>,
}

/// Which of several rows is named: the first that is the asking tenant's, or else the first.
struct About<K> {
    key: Option<K>,
    of_tenant: bool,
}

impl<K: Clone> About<K> {
    fn new(row: &Sound<K>) -> Self {
        Self { key: row.key.clone(), of_tenant: row.of_tenant }
    }

    fn and(&mut self, row: &Sound<K>) {
        if row.of_tenant && !self.of_tenant {
            *self = Self::new(row);
        }
    }
}

/// How a row fits what is known about its place.
#[derive(Clone, Copy)]
pub(super) struct Fit {
    /// The mac that it should follow.
    pub expected_prev: Option<Mac>,
    pub follows: bool,
    /// Mac that is remembered for the place, and whether the row has it.
    pub remembered: Option<(Mac, bool)>,
}

impl<K: Clone> Branches<K> {
    pub fn new() -> Self {
        Self { incident: None, sides: BTreeMap::new() }
    }

    /// Whether a row with this prev would go on along a branch beside the path.
    pub fn has_side(&self, prev: &Mac) -> bool {
        self.sides.contains_key(prev)
    }

    /// Whether the path is in foreign entries.
    pub fn is_astray(&self) -> bool {
        self.incident.is_some()
    }

    /// Lets the path go on along the branch that ends with `prev`; false if there is none.
    pub fn switch(&mut self, prev: &Mac, path_end: Option<Mac>) -> bool {
        let Some(mut side) = self.sides.remove(prev) else {
            return false;
        };
        std::mem::swap(&mut side.about, &mut side.path);
        if let Some(mac) = path_end {
            self.sides.insert(mac, side);
        }
        true
    }

    /// The path's row at `position`.
    pub fn on_path(&mut self, chain: &[u8], position: u64, row: &Sound<K>, fit: Fit, ledger: &mut Ledger<K>) {
        let remembered = fit.remembered.map(|(_, right)| right);
        match (&mut self.incident, fit.follows, remembered) {
            (Some(incident), _, Some(false)) => incident.last = position,
            (Some(incident), false, _) => {
                incident.last = position.saturating_sub(1);
                self.end_incident(ledger);
            }
            (Some(_), true, Some(true)) => self.end_incident(ledger),
            (None, false, Some(true)) => {
                ledger.report(wrong_predecessor(chain, position, row, fit.expected_prev));
            }
            (None, false, _) => {
                self.incident = Some(Incident {
                    finding: wrong_predecessor(chain, position, row, fit.expected_prev),
                    last: position,
                });
            }
            (None, true, Some(false)) => {
                self.incident =
                    Some(Incident { finding: not_remembered(chain, position, row, fit.remembered), last: position });
            }
            (_, true, _) => {}
        }
    }

    /// The sound rows at `position` that are not on the path, where `path` is.
    pub fn beside(
        &mut self,
        chain: &[u8],
        position: u64,
        rows: Vec<Sound<K>>,
        path: &Sound<K>,
        expected_prev: Option<Mac>,
        ledger: &mut Ledger<K>,
    ) {
        let mut ended = std::mem::take(&mut self.sides);
        for row in rows {
            if row.is_copy_of(path) || self.sides.contains_key(&row.mac) {
                ledger.report(describe::duplicated(chain, position, row));
                continue;
            }
            let side = match ended.remove(&row.prev) {
                Some(mut side) => {
                    side.last = position;
                    side.about.and(&row);
                    side.path.and(path);
                    side
                }
                None => Side {
                    first: position,
                    last: position,
                    follows: expected_prev.is_none_or(|mac| mac == row.prev),
                    about: About::new(&row),
                    path: About::new(path),
                },
            };
            self.sides.insert(row.mac, side);
        }
        for side in ended.into_values() {
            ledger.report(beside(chain, side));
        }
    }

    /// The path is interrupted, or ends.
    pub fn interrupt(&mut self, chain: &[u8], ledger: &mut Ledger<K>) {
        self.end_incident(ledger);
        for side in std::mem::take(&mut self.sides).into_values() {
            ledger.report(beside(chain, side));
        }
    }

    fn end_incident(&mut self, ledger: &mut Ledger<K>) {
        if let Some(Incident { mut finding, last }) = self.incident.take() {
            if finding.position.is_some_and(|first| last > first) {
                finding.last_position = Some(last);
            }
            ledger.report(finding);
        }
    }
}

fn wrong_predecessor<K: Clone>(chain: &[u8], position: u64, row: &Sound<K>, expected: Option<Mac>) -> Finding<K> {
    let detail = format!("entry {position} was not sealed after the entry that stands before it");
    describe::at(Kind::WrongPredecessor, chain, position, position, detail)
        .values(expected.map(hex::encode), Some(hex::encode(row.prev)))
        .about(row.key.clone(), row.of_tenant)
}

fn not_remembered<K: Clone>(
    chain: &[u8],
    position: u64,
    row: &Sound<K>,
    remembered: Option<(Mac, bool)>,
) -> Finding<K> {
    let detail = format!("the server remembers another newest entry at position {position}");
    describe::at(Kind::WrongPredecessor, chain, position, position, detail)
        .values(remembered.map(|(mac, _)| hex::encode(mac)), Some(hex::encode(row.mac)))
        .about(row.key.clone(), row.of_tenant)
}

fn beside<K>(chain: &[u8], side: Side<K>) -> Finding<K> {
    let which = describe::entries(side.first, side.last, "stands", "stand");
    let (kind, detail) = if side.follows {
        (Kind::Duplicated, format!("{which} there twice, with different content"))
    } else {
        (Kind::WrongPredecessor, format!("{which} there twice, once from an abandoned branch of the chain"))
    };
    let finding = describe::at(kind, chain, side.first, side.last, detail).about(side.about.key, side.about.of_tenant);
    if side.follows { finding.of_row_only() } else { finding }
}
