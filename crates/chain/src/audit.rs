//! The unordered check: sums over all rows, in any order and by any number of workers, that come
//! out right if and only if every chain is one unbroken path.
//!
//! A row is an edge from (position − 1, prev) to (position, mac). Each end is hashed under a secret
//! that is drawn for the run, and added (its start) or subtracted (its end). What is left over is
//! start minus end of a path exactly if the rows are a unit flow, and in a graph whose positions
//! always rise a unit flow is one path. Without the secret nobody can choose rows whose terms
//! cancel; the macs themselves, added up plainly, can be made to cancel.

mod encoding;

use std::fmt;

use siphasher::sip128::SipHasher24;
use zeroize::Zeroize;

use crate::by_name::ByName;
use crate::entry::Mac;

/// Sixteen random bytes, drawn anew for each verification and shared by its workers only.
#[derive(Clone)]
pub struct RunSecret(pub [u8; 16]);

impl Drop for RunSecret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for RunSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunSecret")
    }
}

/// What is known of one chain after its rows were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainSum {
    /// Number of rows.
    pub entries: u64,
    /// The lowest position.
    pub lowest_position: u64,
    /// The mac that the row at the lowest position follows.
    pub lowest_prev: Mac,
    /// When that row was sealed, in µs since 2000-01-01 UTC.
    pub lowest_sealed_at: i64,
    /// The highest position.
    pub highest_position: u64,
    /// Mac of the row at the highest position; if there are several, of one of them.
    pub highest_mac: Mac,
    /// When that row was sealed, in µs since 2000-01-01 UTC.
    pub highest_sealed_at: i64,
}

/// The sums of all chains that some rows belong to.
#[derive(Clone)]
pub struct Audit {
    terms: Terms,
    chains: ByName<Sum>,
    refused: u64,
}

impl Audit {
    /// An audit of no rows.
    #[must_use]
    pub fn new(secret: &RunSecret) -> Self {
        Self { terms: Terms(SipHasher24::new_with_key(&secret.0)), chains: ByName::new(), refused: 0 }
    }

    /// Adds a row whose mac was found valid. A row at position 0 is refused instead.
    pub fn add(&mut self, chain: &[u8], position: u64, prev: &Mac, mac: &Mac, sealed_at: i64) {
        if position == 0 {
            self.refuse();
            return;
        }
        let row = Row { position, prev: *prev, mac: *mac, sealed_at };
        match self.chains.get_mut(chain) {
            Some(sum) => sum.add(row, &self.terms),
            None => {
                self.chains.insert(chain, Sum::of(row, &self.terms));
            }
        }
    }

    /// Counts a row that cannot be added because it is not validly sealed, so that no sum of the
    /// others can make up for it.
    pub fn refuse(&mut self) {
        self.refused = self.refused.saturating_add(1);
    }

    /// Number of rows refused: none may be if the whole is to count as right.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Number of rows added, refused ones not counted.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.chains.iter().fold(0, |total, (_, sum)| total.saturating_add(sum.entries))
    }

    /// Takes over what another worker of the same run has added.
    pub fn merge(&mut self, other: &Self) {
        for (name, sum) in other.chains.iter() {
            match self.chains.get_mut(name) {
                Some(own) => own.merge(sum, &self.terms),
                None => {
                    self.chains.insert(name, sum.clone());
                }
            }
        }
        self.refused = self.refused.saturating_add(other.refused);
    }

    /// Every chain that has rows, by name.
    pub fn chains(&self) -> impl Iterator<Item = (&[u8], ChainSum)> {
        let mut chains: Vec<(&[u8], &Sum)> = self.chains.iter().collect();
        chains.sort_unstable_by_key(|(name, _)| *name);
        chains.into_iter().map(|(name, sum)| (name, sum.summary()))
    }

    /// Whether the chain's rows are one unbroken path from the entry after the cut to its highest
    /// position: nothing missing, nothing twice, nothing beside it.
    ///
    /// `cut` is the position and mac of the last pruned entry; (0, [`GENESIS`](crate::GENESIS)) if
    /// nothing was pruned. False for a chain without rows. Refused rows, and whether the head that
    /// the server remembers is on the path, are the caller's to look at.
    #[must_use]
    pub fn is_whole(&self, chain: &[u8], cut: (u64, Mac)) -> bool {
        let Some(sum) = self.chains.get(chain) else {
            return false;
        };
        let start = self.terms.at(cut.0, &cut.1);
        let end = self.terms.end(&sum.highest);
        cut.0.checked_add(1) == Some(sum.lowest.position) && sum.difference(&self.terms) == start.wrapping_sub(end)
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit")
            .field("chains", &self.chains.len())
            .field("entries", &self.entries())
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Terms(SipHasher24);

impl Terms {
    fn at(&self, position: u64, mac: &Mac) -> u128 {
        let mut node = [0; 40];
        node[..8].copy_from_slice(&position.to_be_bytes());
        node[8..].copy_from_slice(mac);
        self.0.hash(&node).as_u128()
    }

    /// Positions start at 1, see [`Audit::add`].
    fn start(&self, row: &Row) -> u128 {
        self.at(row.position.wrapping_sub(1), &row.prev)
    }

    fn end(&self, row: &Row) -> u128 {
        self.at(row.position, &row.mac)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Row {
    position: u64,
    prev: Mac,
    mac: Mac,
    sealed_at: i64,
}

impl Row {
    fn follows(&self, other: &Self) -> bool {
        self.position.wrapping_sub(1) == other.position && self.prev == other.mac
    }

    fn is_below(&self, other: &Self) -> bool {
        let rest = |row: &Self| (row.prev, row.sealed_at, row.mac);
        self.position < other.position || (self.position == other.position && rest(self) < rest(other))
    }

    fn is_above(&self, other: &Self) -> bool {
        let rest = |row: &Self| (row.mac, row.sealed_at, row.prev);
        self.position > other.position || (self.position == other.position && rest(self) > rest(other))
    }
}

/// Ties at the lowest or highest position are broken by value, so that the order of rows does not
/// show; which of them wins is irrelevant to `is_whole`, because every other keeps its own term.
#[derive(Clone)]
struct Sum {
    entries: u64,
    lowest: Row,
    highest: Row,
    /// All starts minus all ends, but for the end of `open`.
    difference: u128,
    /// The row added last: if the next one follows it, two terms cancel and need not be hashed.
    open: Option<Row>,
}

impl Sum {
    fn of(row: Row, terms: &Terms) -> Self {
        Self { entries: 1, lowest: row, highest: row, difference: terms.start(&row), open: Some(row) }
    }

    fn add(&mut self, row: Row, terms: &Terms) {
        self.entries = self.entries.saturating_add(1);
        if row.is_below(&self.lowest) {
            self.lowest = row;
        }
        if row.is_above(&self.highest) {
            self.highest = row;
        }
        if !self.open.as_ref().is_some_and(|open| row.follows(open)) {
            self.difference = self.difference(terms).wrapping_add(terms.start(&row));
        }
        self.open = Some(row);
    }

    fn merge(&mut self, other: &Self, terms: &Terms) {
        self.entries = self.entries.saturating_add(other.entries);
        if other.lowest.is_below(&self.lowest) {
            self.lowest = other.lowest;
        }
        if other.highest.is_above(&self.highest) {
            self.highest = other.highest;
        }
        self.difference = self.difference(terms).wrapping_add(other.difference(terms));
        self.open = None;
    }

    fn summary(&self) -> ChainSum {
        ChainSum {
            entries: self.entries,
            lowest_position: self.lowest.position,
            lowest_prev: self.lowest.prev,
            lowest_sealed_at: self.lowest.sealed_at,
            highest_position: self.highest.position,
            highest_mac: self.highest.mac,
            highest_sealed_at: self.highest.sealed_at,
        }
    }

    fn difference(&self, terms: &Terms) -> u128 {
        match &self.open {
            None => self.difference,
            Some(row) => self.difference.wrapping_sub(terms.end(row)),
        }
    }
}
