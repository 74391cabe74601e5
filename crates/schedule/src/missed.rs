//! Times of a schedule at which nothing ran.

use crate::{Schedule, Zone};

/// How many missed times are counted before the search ends.
const MAX_COUNTED: u64 = 10_000;

/// Times of a schedule that passed one after the other without a run. All times in µs since 2000-01-01 UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The first time.
    pub first: i64,
    /// The last time.
    pub last: i64,
    /// How many there are.
    pub times: u64,
    /// When the run after them began; `None`: there was none.
    pub next_run: Option<i64>,
}

/// What a search for missed times came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missed {
    /// The gaps, the oldest first.
    pub gaps: Vec<Gap>,
    /// Whether there may be more, later than those that were counted.
    pub more: bool,
}

impl Schedule {
    /// The times after `since` and up to `until` for which no run began within `late` µs. `runs` are begin and end
    /// of each run, ordered, none overlapping another; one that is under way when its time comes counts for it.
    ///
    /// A search that finds very many ends early and says so.
    #[must_use]
    pub fn missed(&self, zone: Zone, since: i64, until: i64, late: i64, runs: &[(i64, i64)]) -> Missed {
        let mut missed = Missed::default();
        let mut counted = 0;
        let mut at = since;
        while let Some(time) = self.next_after(zone, at).filter(|time| *time <= until) {
            let begun = runs.partition_point(|(started, _)| *started <= time.saturating_add(late));
            let newest = begun.checked_sub(1).map(|index| runs[index]);
            if let Some((started, _)) = newest.filter(|(_, finished)| *finished >= time) {
                // It is in time for every time up to its begin, too.
                at = time.max(started);
                continue;
            }
            if counted == MAX_COUNTED {
                missed.more = true;
                break;
            }
            counted += 1;
            at = time;
            let next_run = runs.get(begun).map(|(started, _)| *started);
            match missed.gaps.last_mut().filter(|gap| gap.next_run == next_run) {
                Some(gap) => {
                    gap.last = time;
                    gap.times += 1;
                }
                None => missed.gaps.push(Gap { first: time, last: time, times: 1, next_run }),
            }
        }
        missed
    }
}
