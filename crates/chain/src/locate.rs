//! The ordered pass, which names each finding. Only needed when the sums of the unordered check are
//! off.
//!
//! Rows stream through: what is kept is the findings, the rows that may still turn out to be an
//! entry moved from elsewhere, and the rows of two positions.

mod branch;
mod describe;
mod epochs;
mod exchange;
mod hole;
mod layer;
mod ledger;
mod reconcile;
mod row;
mod walk;
mod wanted;

use std::collections::BTreeMap;

use crate::finding::Findings;
use layer::{Place, Placed, Suspect};
use ledger::Ledger;
use walk::{Marks, Walk};

pub use row::{Authenticity, Cut, Head, Known, Observed};

/// Names what is wrong with a history whose rows it is shown in order.
pub struct Locator<K> {
    unread: BTreeMap<Vec<u8>, Marks>,
    window_start: Option<i64>,
    ledger: Ledger<K>,
    walk: Option<Walk<K>>,
}

impl<K: Clone> Locator<K> {
    /// Starts with what is known beforehand.
    #[must_use]
    pub fn new(known: Known) -> Self {
        let mut unread = BTreeMap::<Vec<u8>, Marks>::new();
        for cut in known.cuts {
            unread.entry(cut.chain).or_default().set_cut(cut.position, cut.mac);
        }
        for head in known.heads {
            unread.entry(head.chain).or_default().remember(head.position, head.mac);
        }
        Self { unread, window_start: known.window_start, ledger: Ledger::new(known.tenant_only), walk: None }
    }

    /// Takes the next row. Rows come ordered by (chain, position), both NULLS LAST and the chain
    /// bytewise; rows of the same position in any order.
    pub fn observe(&mut self, row: Observed<K>) {
        match layer::place(row) {
            Placed::Nowhere(suspect) => self.stray(suspect),
            Placed::At(chain, position, row) => {
                if self.walk.as_ref().is_none_or(|walk| walk.chain() != chain) {
                    self.end_chain();
                    let marks = self.unread.remove(&chain).unwrap_or_default();
                    self.walk = Some(Walk::new(chain, marks, self.window_start));
                }
                if let Some(walk) = &mut self.walk {
                    walk.observe(position, row, &mut self.ledger);
                }
            }
        }
    }

    /// Ends the pass: every finding, ordered by chain and position, those without last.
    #[must_use]
    pub fn finish(self) -> Findings<K> {
        self.finish_with(|| ())
    }

    /// The same. `pause` is called for each row and each finding that is gone through: it may unwind, and so end
    /// what lasts for seconds where millions of rows are wrong.
    #[must_use]
    pub fn finish_with(mut self, pause: fn()) -> Findings<K> {
        self.end_chain();
        for (chain, marks) in std::mem::take(&mut self.unread) {
            Walk::new(chain, marks, self.window_start).finish(&mut self.ledger);
        }
        self.ledger.finish(pause)
    }

    fn stray(&mut self, suspect: Suspect<K>) {
        self.ledger.suspect(suspect, Place::Nowhere);
    }

    fn end_chain(&mut self) {
        if let Some(walk) = self.walk.take() {
            walk.finish(&mut self.ledger);
        }
    }
}
