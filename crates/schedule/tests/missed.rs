//! Times at which nothing ran: which ones are named, and what counts as a run in time.

use pgseal_schedule::{Gap, Missed, Schedule, Zone};
use proptest::prelude::*;

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn missed(text: &str, since: i64, until: i64, runs: &[(i64, i64)]) -> Missed {
    Schedule::parse(text).unwrap().missed(Zone::UTC, since, until, HOUR, runs)
}

/// One that takes a minute.
fn run(started: i64) -> (i64, i64) {
    (started, started + MINUTE)
}

#[test]
fn nothing_is_missed_while_each_time_has_its_run() {
    let runs: Vec<_> = (1..10).map(|day| run(day * DAY + 3 * HOUR + MINUTE)).collect();
    assert_eq!(missed("0 3 * * *", DAY, 10 * DAY, &runs), Missed::default());
}

#[test]
fn times_without_a_run_are_one_gap_up_to_the_next_run() {
    let runs = [run(DAY + 3 * HOUR), run(5 * DAY + 3 * HOUR)];
    let gap = Gap { first: 2 * DAY + 3 * HOUR, last: 4 * DAY + 3 * HOUR, times: 3, next_run: Some(runs[1].0) };
    assert_eq!(missed("0 3 * * *", DAY, 6 * DAY, &runs), Missed { gaps: vec![gap], more: false });
}

#[test]
fn a_run_between_splits_a_gap() {
    let runs = [run(2 * DAY + 9 * HOUR)];
    let gaps = missed("0 3 * * *", DAY, 4 * DAY, &runs).gaps;
    let expected = [
        Gap { first: DAY + 3 * HOUR, last: 2 * DAY + 3 * HOUR, times: 2, next_run: Some(runs[0].0) },
        Gap { first: 3 * DAY + 3 * HOUR, last: 3 * DAY + 3 * HOUR, times: 1, next_run: None },
    ];
    assert_eq!(gaps, expected);
}

#[test]
fn a_run_is_in_time_up_to_the_limit_and_no_further() {
    let (time, ends) = (DAY + 3 * HOUR, 2 * DAY);
    assert_eq!(missed("0 3 * * *", DAY, ends, &[run(time + HOUR)]).gaps, []);
    assert_eq!(missed("0 3 * * *", DAY, ends, &[run(time + HOUR + 1)]).gaps.len(), 1);
    assert_eq!(missed("0 3 * * *", DAY, ends, &[run(time - 2 * HOUR)]).gaps.len(), 1);
}

#[test]
fn a_long_run_counts_for_the_times_that_it_spans() {
    assert_eq!(missed("0 * * * *", DAY, DAY + 5 * HOUR, &[(DAY + HOUR, DAY + 6 * HOUR)]).gaps, []);
}

#[test]
fn only_times_after_the_beginning_and_up_to_the_end_count() {
    let first = DAY + 3 * HOUR;
    assert_eq!(missed("0 3 * * *", first, first + DAY - 1, &[]).gaps, []);
    assert_eq!(missed("0 3 * * *", first - 1, first, &[]).gaps.len(), 1);
}

#[test]
fn the_search_ends_where_there_are_very_many() {
    let found = missed("* * * * * *", 0, 365 * DAY, &[]);
    assert_eq!((found.gaps.len(), found.gaps[0].times, found.more), (1, 10_000, true));
}

proptest! {
    /// As one sees by looking at every time and every run.
    #[test]
    fn the_same_as_by_looking_at_every_time(
        begins in prop::collection::btree_set(0..4 * DAY / MINUTE, 0..12),
        lasts in 1..300_i64,
    ) {
        let mut runs: Vec<(i64, i64)> = Vec::new();
        for begin in begins.into_iter().map(|minute| minute * MINUTE) {
            if runs.last().is_none_or(|(_, end)| *end < begin) {
                runs.push((begin, begin + lasts * MINUTE));
            }
        }
        let schedule = Schedule::parse("0 */7 * * *").unwrap();
        let mut expected = Vec::new();
        let mut at = 0;
        while let Some(time) = schedule.next_after(Zone::UTC, at).filter(|time| *time <= 4 * DAY) {
            let in_time = runs.iter().any(|(begin, end)| *begin <= time + HOUR && *end >= time);
            if !in_time {
                expected.push(time);
            }
            at = time;
        }
        let found = schedule.missed(Zone::UTC, 0, 4 * DAY, HOUR, &runs).gaps;
        prop_assert_eq!(found.iter().map(|gap| gap.times).sum::<u64>(), expected.len() as u64);
        for gap in found {
            prop_assert!(expected.contains(&gap.first) && expected.contains(&gap.last));
            prop_assert_eq!(gap.next_run, runs.iter().map(|(begin, _)| *begin).find(|begin| *begin > gap.last));
        }
    }
}
