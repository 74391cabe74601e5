//! Which time is believed: the clock's while it agrees with what the machine counted since, else what was counted.

const SECOND: i64 = 1_000_000;
/// A clock that was set right by so much has not jumped.
const TOLERANCE: i64 = 120 * SECOND;
/// Of what was counted: twice as much as a clock that is being slewed gains.
const TOLERATED_SHARE: i64 = 1_000;
/// So long nothing may have been heard of the machine over a boot, µs.
pub const LONGEST_GAP: i64 = 7 * 86_400 * SECOND;

/// Whether a clock may differ by so much, µs, from what the machine counted in so long, µs, and was not set.
#[must_use]
pub fn is_tolerable(difference: i64, counted: i64) -> bool {
    difference.saturating_abs() <= TOLERANCE + counted.saturating_abs() / TOLERATED_SHARE
}

/// What clock and machine said at one moment; the time of day may be one that was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// µs since 2000-01-01 UTC.
    pub at: i64,
    /// The operating system's id of its boot.
    pub boot: String,
    /// µs since then.
    pub boot_time: i64,
}

/// What is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Believed {
    /// The time that has passed for certain, µs since 2000-01-01 UTC: never ahead of the clock, nor of what was counted.
    pub time: i64,
    /// What is to be remembered of this moment.
    pub seen: Seen,
    /// By how much the clock disagrees, µs; `None` where it does not.
    pub disagrees: Option<i64>,
}

impl Seen {
    /// Judges what the clock says now by what was remembered last.
    #[must_use]
    pub fn believe(&self, now: &Seen) -> Believed {
        let off = now.at.saturating_sub(self.counted(now));
        let agrees = if self.boot == now.boot {
            let counted = now.boot_time.saturating_sub(self.boot_time);
            is_tolerable(off, counted)
        } else {
            // Nothing was counted before the boot: a short gap is believed.
            (-TOLERANCE..=LONGEST_GAP).contains(&off)
        };
        let counted = if agrees { now.at } else { self.counted(now) };
        Believed {
            time: counted.min(now.at),
            seen: Seen { at: counted, ..now.clone() },
            disagrees: (!agrees).then_some(off),
        }
    }

    /// What was remembered, and what the machine counted since, at least.
    fn counted(&self, now: &Seen) -> i64 {
        let since = if self.boot == now.boot { now.boot_time.saturating_sub(self.boot_time) } else { now.boot_time };
        self.at.saturating_add(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600 * SECOND;

    fn seen(at: i64, boot: &str, boot_time: i64) -> Seen {
        Seen { at, boot: boot.into(), boot_time }
    }

    #[test]
    fn time_that_passes_is_believed() {
        let last = seen(1_000 * HOUR, "a", 5 * HOUR);
        for now in [seen(1_001 * HOUR, "a", 6 * HOUR), seen(1_001 * HOUR + 100 * SECOND, "a", 6 * HOUR)] {
            assert_eq!(last.believe(&now), Believed { time: now.at, seen: now, disagrees: None });
        }
    }

    #[test]
    fn a_clock_set_ahead_moves_nothing_and_what_is_counted_goes_on() {
        let last = seen(1_000 * HOUR, "a", 5 * HOUR);
        let jumped = last.believe(&seen(9_000 * HOUR, "a", 6 * HOUR));
        assert_eq!((jumped.time, jumped.disagrees), (1_001 * HOUR, Some(7_999 * HOUR)));
        // The next day it still is, and the day has passed.
        let later = jumped.seen.believe(&seen(9_024 * HOUR, "a", 30 * HOUR));
        assert_eq!((later.time, later.disagrees), (1_025 * HOUR, Some(7_999 * HOUR)));
        // Set right again, it is believed again.
        let right = later.seen.believe(&seen(1_026 * HOUR, "a", 31 * HOUR));
        assert_eq!((right.time, right.disagrees), (1_026 * HOUR, None));
    }

    #[test]
    fn a_clock_set_back_is_never_behind_itself() {
        let last = seen(1_000 * HOUR, "a", 5 * HOUR);
        let back = last.believe(&seen(500 * HOUR, "a", 6 * HOUR));
        assert_eq!((back.time, back.seen.at), (500 * HOUR, 1_001 * HOUR));
        let right = back.seen.believe(&seen(1_002 * HOUR, "a", 7 * HOUR));
        assert_eq!((right.time, right.disagrees), (1_002 * HOUR, None));
    }

    #[test]
    fn over_a_boot_a_short_gap_is_believed() {
        let last = seen(1_000 * HOUR, "a", 500 * HOUR);
        let days = |days: i64| last.believe(&seen(1_000 * HOUR + days * 24 * HOUR + HOUR, "b", HOUR));
        assert_eq!((days(3).time, days(3).disagrees), (1_073 * HOUR, None));
        assert_eq!((days(8).time, days(8).disagrees), (1_001 * HOUR, Some(192 * HOUR)));
    }

    #[test]
    fn times_at_the_ends_of_what_there_is_are_not_believed() {
        // What was remembered is read from a file.
        for (at, boot_time) in [(i64::MIN, 0), (i64::MAX, i64::MIN), (0, i64::MIN)] {
            for boot in ["a", "b"] {
                let now = seen(1_000 * HOUR, "a", HOUR);
                let believed = seen(at, boot, boot_time).believe(&now);
                assert!(
                    believed.time <= now.at && believed.disagrees.is_some(),
                    "{at} {boot} {boot_time}: {believed:?}"
                );
            }
        }
    }
}
