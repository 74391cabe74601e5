//! Time zones by their IANA names.

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

/// Clocks have never been set forward by more.
const LONGEST_GAP_MINUTES: usize = 26 * 60;

/// A time zone with the rules that it has had and has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(pub(crate) Tz);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Zone = Zone(Tz::UTC);

    /// The zone of this name, in whatever case; `None`: there is none.
    pub fn named(name: &str) -> Option<Zone> {
        TZ_VARIANTS.into_iter().find(|zone| zone.name().eq_ignore_ascii_case(name)).map(Zone)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The first moment at which clocks show this time, or the one at which they have skipped it.
    pub(crate) fn moment(self, clock: NaiveDateTime) -> Option<DateTime<Utc>> {
        match self.0.from_local_datetime(&clock) {
            LocalResult::Single(found) | LocalResult::Ambiguous(found, _) => Some(found.to_utc()),
            LocalResult::None => {
                // Clocks go on at a full minute.
                let minute = clock.with_second(0)?.with_nanosecond(0)?;
                let later = (1..=LONGEST_GAP_MINUTES).map(|minutes| minute + TimeDelta::minutes(minutes as i64));
                later.filter_map(|clock| self.0.from_local_datetime(&clock).earliest()).next().map(|at| at.to_utc())
            }
        }
    }
}
