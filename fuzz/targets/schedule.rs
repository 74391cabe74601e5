//! Cron expressions: refused with the place of the fault, or with times that only go forward.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use pgseal_schedule::{Schedule, Zone};

const ZONES: [&str; 6] =
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Nuuk"];
/// 2100, µs since 2000: what lies far beyond is searched for long, and nobody waits for it.
const END: i64 = 100 * 366 * 86_400_000_000;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    zone: u8,
    at: i64,
    expression: &'a str,
}

fuzz_target!(|input: Input<'_>| {
    let schedule = match Schedule::parse(input.expression) {
        Ok(schedule) => schedule,
        Err(fault) => {
            let last = input.expression.chars().count() + 1;
            assert!(fault.place.as_ref().is_none_or(|place| (1..=last).contains(&place.character)), "{fault:?}");
            assert!(fault.detail().ends_with('.'));
            return;
        }
    };
    let zone = Zone::named(ZONES[usize::from(input.zone) % ZONES.len()]).expect("a zone");
    let at = input.at % END;
    let Some(first) = schedule.next_after(zone, at) else { return };
    assert!(first > at);
    assert_eq!(schedule.next_after(zone, first - 1), Some(first));
    let missed = schedule.missed(zone, at, first, 0, &[]);
    assert_eq!((missed.gaps.len(), missed.more), (1, false));
    assert_eq!((missed.gaps[0].first, missed.gaps[0].last, missed.gaps[0].times), (first, first, 1));
    // Any other moment only must do no harm.
    let _ = schedule.next_after(zone, input.at);
});
