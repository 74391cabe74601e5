//! Words that both forms of a report use.

use super::facts::{Facts, Period};
use crate::pg::clock;
use pgseal_chain::Verdict;

/// The verdict as it stands at the top.
pub fn headline(facts: &Facts) -> String {
    match (facts.verdict, facts.in_period()) {
        (Verdict::Intact, Some(0)) => "INTACT, BUT NOTHING WAS SEALED IN THE ASKED PERIOD".into(),
        (Verdict::Intact, _) => "INTACT".into(),
        (Verdict::IntactInWindow, _) => "INTACT IN THE WINDOW ONLY".into(),
        (Verdict::Tampered, _) => "TAMPERED".into(),
        (Verdict::Unverifiable, _) => "UNVERIFIABLE".into(),
        (Verdict::NothingSealed, _) => match (empty(facts), facts.histories.len()) {
            (empty, all) if empty == all => "NOTHING SEALED".into(),
            (empty, all) => format!("NOTHING SEALED IN {empty} OF {all} HISTORIES"),
        },
    }
}

fn empty(facts: &Facts) -> usize {
    facts.histories.iter().filter(|history| history.verdict == Verdict::NothingSealed).count()
}

/// What that means, for whoever reads no further.
pub fn meaning(facts: &Facts) -> &'static str {
    let is_lost = facts.previous.as_ref().is_some_and(|previous| previous.contained == Some(false));
    match facts.verdict {
        Verdict::Intact => {
            "Every entry is there as it was sealed: none was changed, removed, added or put into another order."
        }
        Verdict::IntactInWindow => {
            "Every entry inside the window is as it was sealed. Older ones are not: see the findings."
        }
        Verdict::Tampered if is_lost => {
            "Something that the previous report saw is not there any more. Who did it, and why, this page does not say."
        }
        Verdict::Tampered => {
            "Something is not as it was sealed: see the findings. Who did it, and why, this page does not say."
        }
        Verdict::Unverifiable => {
            "Nobody can say here whether everything is as it was sealed: a key or a column is missing. This is not a success."
        }
        Verdict::NothingSealed if empty(facts) == facts.histories.len() => {
            "There is no entry to verify. This is not a success."
        }
        Verdict::NothingSealed => {
            "In some of the histories there is no entry to verify, which is not a success. The verdict of each is below."
        }
    }
}

/// A time, to the second.
pub fn moment(at: i64) -> String {
    let text = clock::text(at);
    match text.split_once('T') {
        Some((date, time)) => format!("{date} {} UTC", time.get(..8).unwrap_or(time)),
        None => text,
    }
}

/// A time as it is, which may have a fraction of a second.
pub fn exactly(at: i64) -> String {
    if at % 1_000_000 == 0 { moment(at) } else { clock::text(at) }
}

pub fn period(period: Period) -> String {
    match (period.since, period.until) {
        (None, None) => "all times".into(),
        (Some(since), None) => format!("since {}", exactly(since)),
        (None, Some(until)) => format!("before {}", exactly(until)),
        (Some(since), Some(until)) => format!("from {} to {}", exactly(since), exactly(until)),
    }
}

/// `1 entry`, `2 entries`.
pub fn count(number: u64, one: &str, several: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {several}") }
}
