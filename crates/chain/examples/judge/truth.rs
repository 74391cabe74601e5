//! Who was touched: the rows as they stand against the rows as they were sealed. No key is needed for that, and
//! nothing of how pgseal looks for it.

use std::collections::BTreeMap;

use crate::input::{Case, Row};

pub struct Truth<'a> {
    case: &'a Case,
    /// Entries that stand nowhere any more as they were sealed.
    lost: Vec<&'a Row>,
    /// Rows that nobody has sealed like this.
    strange: Vec<&'a Row>,
    /// Entries that are as they were sealed but for the number of their epoch, or what was never signed.
    blemished: Vec<&'a Row>,
}

/// Where a finding is.
pub struct Place<'a> {
    pub chain: Option<&'a str>,
    pub first: Option<u64>,
    pub last: Option<u64>,
    /// The row that it is about.
    pub row: Option<&'a Row>,
}

impl<'a> Truth<'a> {
    pub fn of(case: &'a Case) -> Self {
        let mut truth = Self {
            case,
            lost: without(&case.honest, &case.rows),
            strange: without(&case.rows, &case.honest),
            blemished: Vec::new(),
        };
        for lost in std::mem::take(&mut truth.lost) {
            let same = |row: &&Row| row.as_sealed(lost.epoch) == lost.as_sealed(lost.epoch);
            match truth.strange.iter().position(same) {
                Some(index) => {
                    truth.strange.remove(index);
                    truth.blemished.push(lost);
                }
                None => truth.lost.push(lost),
            }
        }
        truth
    }

    /// Whether everything is as it was sealed.
    pub fn is_unchanged(&self) -> bool {
        self.lost.is_empty() && self.strange.is_empty() && self.blemished.is_empty()
    }

    /// Whether a full verification may by no means tell this tenant (none: everybody) that all is well. An entry that
    /// is gone or changed concerns everybody, since nobody can know whose it was; a row that was put in concerns the
    /// tenant for whom it stands.
    pub fn concerns(&self, tenant: Option<&str>) -> bool {
        tenant.is_none_or(|tenant| {
            !self.lost.is_empty() || self.strange.iter().chain(&self.blemished).any(|row| is_of(row, tenant))
        }) && !self.is_unchanged()
    }

    /// The same for an answer that rests on the checkpoint: entries that it covers concern only those whose they were.
    pub fn concerns_since(&self, tenant: &str) -> bool {
        self.lost.iter().any(|row| is_of(row, tenant) || !self.is_covered(row))
            || self.strange.iter().chain(&self.blemished).any(|row| is_of(row, tenant))
    }

    /// How many rows stand where the checkpoint does not reach.
    pub fn count_since(&self) -> usize {
        self.case.rows.iter().filter(|row| !self.is_covered(row)).count()
    }

    /// Whether the finding is about something that the checkpoint does not cover.
    pub fn is_since(&self, place: &Place<'_>) -> bool {
        let covered = place.chain.and_then(|chain| self.case.checkpoint.get(chain)).copied().unwrap_or(0);
        let stands_above = place.row.is_some_and(|row| !self.is_covered(row));
        place.last.or(place.first).is_none_or(|last| last > covered) || stands_above
    }

    /// Whether the finding is about an entry that was this tenant's, or a row that stands for it.
    pub fn is_about(&self, tenant: &str, place: &Place<'_>) -> bool {
        let within = |row: &Row| {
            let (first, last) = (place.first, place.last.or(place.first));
            row.chain.as_deref() == place.chain && row.at() >= first && row.at() <= last
        };
        let here = self.lost.iter().chain(&self.strange).chain(&self.blemished).filter(|row| within(row));
        here.copied().chain(place.row).any(|row| is_of(row, tenant))
    }

    /// A row at a position that cannot be stands above nothing.
    fn is_covered(&self, row: &Row) -> bool {
        let covered = row.chain.as_ref().and_then(|chain| self.case.checkpoint.get(chain));
        covered.is_some_and(|covered| row.at().is_none_or(|position| position <= *covered))
    }
}

fn is_of(row: &Row, tenant: &str) -> bool {
    row.tenant.as_deref() == Some(tenant)
}

/// Those of `rows` that are not among `others`, each counted as often as it stands there.
fn without<'a>(rows: &'a [Row], others: &[Row]) -> Vec<&'a Row> {
    let mut count = BTreeMap::<String, usize>::new();
    for other in others {
        *count.entry(other.content()).or_default() += 1;
    }
    let mut more = Vec::new();
    for row in rows {
        match count.get_mut(&row.content()) {
            Some(left) if *left > 0 => *left -= 1,
            _ => more.push(row),
        }
    }
    more
}
