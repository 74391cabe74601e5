//! Secrets that evolve: one for each period, derived one way from the one before, so that whoever has that of today
//! cannot make what was signed yesterday.

use crate::wiped::on_wiped_stack;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::keys::{HistoryId, HistoryKeys, RecordKey, Secret};

const DAY: i64 = 86_400_000_000;

/// How long a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeriodKind {
    /// A day of UTC.
    Day,
    /// A month of UTC.
    Month,
}

impl PeriodKind {
    /// Every kind there is.
    pub const ALL: [PeriodKind; 2] = [PeriodKind::Day, PeriodKind::Month];

    /// As settings and records have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            PeriodKind::Day => "day",
            PeriodKind::Month => "month",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<PeriodKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    fn byte(self) -> u8 {
        match self {
            PeriodKind::Day => 1,
            PeriodKind::Month => 2,
        }
    }

    /// Number of the period of a time in µs since 2000-01-01 UTC: days, or months, since then. What lies before is
    /// period 0.
    #[must_use]
    pub fn period(self, at: i64) -> u32 {
        let day = at.div_euclid(DAY);
        let number = match self {
            PeriodKind::Day => day,
            PeriodKind::Month => {
                let (year, month) = month_of(day);
                (year - 2000) * 12 + month
            }
        };
        u32::try_from(number.max(0)).unwrap_or(u32::MAX)
    }

    /// When a period begins, in µs since 2000-01-01 UTC.
    #[must_use]
    pub fn start(self, period: u32) -> i64 {
        let period = i64::from(period);
        let day = match self {
            PeriodKind::Day => period,
            PeriodKind::Month => first_day(2000 + period / 12, period % 12),
        };
        day.saturating_mul(DAY)
    }

    /// What people call a period: `2026-11-22` or `2026-11`.
    #[must_use]
    pub fn name(self, period: u32) -> String {
        let day = self.start(period).div_euclid(DAY);
        let (year, month) = month_of(day);
        match self {
            PeriodKind::Day => format!("{year:04}-{:02}-{:02}", month + 1, day - first_day(year, month) + 1),
            PeriodKind::Month => format!("{year:04}-{:02}", month + 1),
        }
    }
}

/// Days from 2000-01-01 to the first of a month (0: January) of the Gregorian calendar.
fn first_day(year: i64, month: i64) -> i64 {
    const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    // Leap days up to the end of the year before; 1999 had seen 484.
    let last = year - 1;
    let leaps = last.div_euclid(4) - last.div_euclid(100) + last.div_euclid(400) - 484;
    let this = i64::from(month > 1 && leap(year));
    (year - 2000) * 365 + leaps + BEFORE[usize::try_from(month).unwrap_or(0).min(11)] + this
}

/// Year and month (0: January) of a day since 2000-01-01.
fn month_of(day: i64) -> (i64, i64) {
    let mut year = 2000 + day.div_euclid(366);
    while first_day(year + 1, 0) <= day {
        year += 1;
    }
    let month = (0..12).rev().find(|month| first_day(year, *month) <= day);
    (year, month.unwrap_or(0))
}

/// One unbroken sequence of periods, from one root secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Random.
    pub id: [u8; 16],
    /// How long its periods are.
    pub kind: PeriodKind,
    /// Its first period.
    pub first: u32,
    /// Id of the key whose root it comes from.
    pub key_id: String,
}

/// The secret of one period: 32 bytes that are wiped when dropped.
#[derive(Clone)]
pub struct EvolvingSecret(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for EvolvingSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EvolvingSecret")
    }
}

impl EvolvingSecret {
    /// That of a stream's first period: HKDF-SHA-256 of the root, salted with the stream's id, with the info
    /// `"pgseal evolution"`, the kind (a byte: day 1, month 2) and the first period (u32 big-endian).
    #[must_use]
    pub fn first(root: &Secret, stream: &Stream) -> Self {
        let info = [b"pgseal evolution".as_slice(), &[stream.kind.byte()], &stream.first.to_be_bytes()];
        Self::expand(root.bytes(), &stream.id, &info)
    }

    /// That of `period`, which follows the one that this is of: HKDF-SHA-256 of it, salted with the stream's id, with
    /// the info `"pgseal next period"` and the number of the new period (u32 big-endian).
    #[must_use]
    pub fn next(&self, stream: &Stream, period: u32) -> Self {
        Self::expand(self.0.as_ref(), &stream.id, &[b"pgseal next period", &period.to_be_bytes()])
    }

    /// That of any period of a stream; `None` for one before its first.
    #[must_use]
    pub fn at(root: &Secret, stream: &Stream, period: u32) -> Option<Self> {
        if period < stream.first {
            return None;
        }
        let first = Self::first(root, stream);
        Some((stream.first + 1..=period).fold(first, |secret, period| secret.next(stream, period)))
    }

    /// Takes what a state file keeps.
    #[must_use]
    pub fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// For a state file.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key of a subject's closings in this period; the subject is a history, or the journal.
    #[must_use]
    pub fn closing_key(&self, subject: HistoryId) -> RecordKey {
        HistoryKeys::derive_from_bytes(self.0.as_ref(), subject).record_key()
    }

    fn expand(secret: &[u8], stream: &[u8; 16], info: &[&[u8]]) -> Self {
        on_wiped_stack(|| {
            let mut key = Zeroizing::new([0; 32]);
            let hkdf = Hkdf::<Sha256>::new(Some(stream), secret);
            hkdf.expand_multi_info(info, key.as_mut()).expect("a single block of HKDF-SHA-256");
            Self(key)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stream(kind: PeriodKind, first: u32) -> Stream {
        Stream { id: [7; 16], kind, first, key_id: "1".into() }
    }

    fn root() -> Secret {
        Secret::from_bytes(vec![9; 32]).expect("32 bytes")
    }

    #[test]
    fn known_periods() {
        // Days since 2000-01-01 as calendars count them.
        for (day, month, name) in [
            (0, 0, "2000-01-01"),
            (59, 1, "2000-02-29"),
            (60, 2, "2000-03-01"),
            (365, 11, "2000-12-31"),
            (366, 12, "2001-01-01"),
            (9822, 322, "2026-11-22"),
            (36_524, 1199, "2099-12-31"),
            (36_584, 1202, "2100-03-01"),
        ] {
            let at = i64::from(day) * DAY + 12_345;
            assert_eq!(PeriodKind::Day.period(at), day, "{name}");
            assert_eq!(PeriodKind::Month.period(at), month, "{name}");
            assert_eq!(PeriodKind::Day.name(day), name);
            assert_eq!(PeriodKind::Month.name(month), name[..7]);
        }
        assert_eq!(PeriodKind::Day.period(-1), 0);
        assert_eq!(PeriodKind::Month.period(i64::MIN), 0);
    }

    proptest! {
        #[test]
        fn a_period_begins_where_the_one_before_ends(period in 0_u32..40_000) {
            for kind in PeriodKind::ALL {
                let (start, end) = (kind.start(period), kind.start(period + 1));
                prop_assert!(start < end);
                prop_assert_eq!(kind.period(start), period);
                prop_assert_eq!(kind.period(end - 1), period);
                prop_assert_eq!(kind.period(end), period + 1);
            }
        }

        #[test]
        fn step_by_step_is_all_at_once(first in 0_u32..10_000, steps in 0_u32..40) {
            let stream = stream(PeriodKind::Day, first);
            let mut secret = EvolvingSecret::first(&root(), &stream);
            for period in first + 1..=first + steps {
                secret = secret.next(&stream, period);
            }
            let at_once = EvolvingSecret::at(&root(), &stream, first + steps).expect("not before the first");
            prop_assert_eq!(secret.bytes(), at_once.bytes());
        }
    }

    #[test]
    fn everything_of_a_stream_is_in_its_secrets() {
        let of =
            |stream: &Stream, period| *EvolvingSecret::at(&root(), stream, period).expect("a period of it").bytes();
        let base = stream(PeriodKind::Day, 5);
        let secrets = [
            of(&base, 5),
            of(&base, 6),
            of(&stream(PeriodKind::Month, 5), 5),
            // That of the same period of a stream that began otherwise: nobody can pretend that it began later.
            of(&stream(PeriodKind::Day, 6), 6),
            of(&Stream { id: [8; 16], ..base.clone() }, 5),
        ];
        for (place, secret) in secrets.iter().enumerate() {
            assert!(!secrets[..place].contains(secret), "{place}");
        }
        assert!(EvolvingSecret::at(&root(), &base, 4).is_none());
    }
}
