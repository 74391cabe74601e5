//! When schedules come: time zones, clocks that are set, dates that seldom come.

use chrono::{DateTime, Utc};
use pgseal_schedule::{Schedule, Zone};

fn micros(text: &str) -> i64 {
    let at: DateTime<Utc> = text.parse().expect("a time");
    at.timestamp_micros() - 946_684_800_000_000
}

fn text(micros: i64) -> String {
    let at = DateTime::from_timestamp_micros(micros + 946_684_800_000_000).expect("a time");
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The next times after this one, in UTC.
fn next(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = Schedule::parse(expression).expect("a schedule");
    let zone = Zone::named(zone).expect("a zone");
    let mut at = micros(after);
    (0..count)
        .map(|_| {
            let found = schedule.next_after(zone, at).expect("a time to come");
            assert!(found > at, "{expression}: {} is not after {}", text(found), text(at));
            at = found;
            text(found)
        })
        .collect()
}

#[test]
fn five_fields_and_six() {
    let at = "2026-03-10T10:00:00Z";
    assert_eq!(next("0 3 * * *", "UTC", at, 2), ["2026-03-11T03:00:00Z", "2026-03-12T03:00:00Z"]);
    assert_eq!(next("30 0 3 * * *", "UTC", at, 1), ["2026-03-11T03:00:30Z"]);
    assert_eq!(next("* * * * * *", "UTC", at, 2), ["2026-03-10T10:00:01Z", "2026-03-10T10:00:02Z"]);
    assert_eq!(
        next("*/2 * * * * *", "UTC", "2026-03-10T10:00:00.5Z", 2),
        ["2026-03-10T10:00:02Z", "2026-03-10T10:00:04Z"]
    );
    assert_eq!(next("0 3 * * *", "UTC", "2026-03-10T03:00:00Z", 1), ["2026-03-11T03:00:00Z"]);
    assert_eq!(next("0 3 * * *", "UTC", "2026-03-10T02:59:59.999999Z", 1), ["2026-03-10T03:00:00Z"]);
    assert_eq!(next("@weekly", "UTC", at, 1), ["2026-03-15T00:00:00Z"]);
}

#[test]
fn days() {
    let at = "2026-03-10T10:00:00Z";
    assert_eq!(next("0 3 L * *", "UTC", at, 2), ["2026-03-31T03:00:00Z", "2026-04-30T03:00:00Z"]);
    assert_eq!(next("0 3 * * mon#1", "UTC", at, 2), ["2026-04-06T03:00:00Z", "2026-05-04T03:00:00Z"]);
    assert_eq!(next("0 3 * * 5L", "UTC", at, 1), ["2026-03-27T03:00:00Z"]);
    assert_eq!(next("0 3 * * 7", "UTC", at, 1), ["2026-03-15T03:00:00Z"]);
    assert_eq!(next("0 3 * JAN-FEB *", "UTC", at, 1), ["2027-01-01T03:00:00Z"]);
    assert_eq!(next("0 3 29 2 *", "UTC", at, 2), ["2028-02-29T03:00:00Z", "2032-02-29T03:00:00Z"]);
    // Both given: either is enough, as in every cron.
    assert_eq!(next("0 3 13 * FRI", "UTC", at, 2), ["2026-03-13T03:00:00Z", "2026-03-20T03:00:00Z"]);
    assert_eq!(next("0 3 13 5 WED", "UTC", at, 2), ["2026-05-06T03:00:00Z", "2026-05-13T03:00:00Z"]);
}

#[test]
fn clocks_set_forward() {
    // Berlin, 29 March 2026: 02:00 is 03:00, which is 01:00 UTC.
    let at = "2026-03-28T12:00:00Z";
    let berlin = "Europe/Berlin";
    assert_eq!(next("30 2 * * *", berlin, at, 2), ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    assert_eq!(
        next("15 2,4 * * *", berlin, at, 3),
        ["2026-03-29T01:00:00Z", "2026-03-29T02:15:00Z", "2026-03-30T00:15:00Z"]
    );
    assert_eq!(next("*/20 2 * * *", berlin, at, 2), ["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]);
    assert_eq!(next("7 */20 2 * * *", berlin, at, 2), ["2026-03-29T01:00:00Z", "2026-03-30T00:00:07Z"]);
    assert_eq!(next("0 3 * * *", berlin, at, 2), ["2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"]);
    assert_eq!(
        next("0,30 2,3 * * *", berlin, at, 3),
        ["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:00:00Z"]
    );
    assert_eq!(next("0 0 * * *", berlin, at, 2), ["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"]);
    // Every half hour of elapsed time.
    let half_hours = ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"];
    assert_eq!(next("*/30 * * * *", berlin, "2026-03-29T00:10:00Z", 3), half_hours);
    // A whole day was skipped: 30 December 2011 in Samoa.
    assert_eq!(next("0 12 30 12 *", "Pacific/Apia", "2011-12-30T00:00:00Z", 1), ["2011-12-30T10:00:00Z"]);
}

#[test]
fn clocks_set_back() {
    // Berlin, 25 October 2026: 02:00 to 03:00 comes twice, from 00:00 and from 01:00 UTC.
    let at = "2026-10-24T12:00:00Z";
    let berlin = "Europe/Berlin";
    assert_eq!(next("30 2 * * *", berlin, at, 2), ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    assert_eq!(
        next("*/30 2 * * *", berlin, at, 3),
        ["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:00:00Z"]
    );
    assert_eq!(next("30 2 * * *", berlin, "2026-10-25T01:10:00Z", 1), ["2026-10-26T01:30:00Z"]);
    assert_eq!(next("* * 2 * * *", berlin, "2026-10-25T01:00:00Z", 1), ["2026-10-26T01:00:00Z"]);
    assert_eq!(next("0 3 * * *", berlin, at, 1), ["2026-10-25T02:00:00Z"]);
    let half_hours = ["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"];
    assert_eq!(next("*/30 * * * *", berlin, "2026-10-25T00:10:00Z", 4), half_hours);
}

#[test]
fn zones() {
    assert_eq!(next("0 3 * * *", "europe/berlin", "2026-01-10T10:00:00Z", 1), ["2026-01-11T02:00:00Z"]);
    assert_eq!(next("0 3 * * *", "Asia/Kathmandu", "2026-01-10T10:00:00Z", 1), ["2026-01-10T21:15:00Z"]);
    assert_eq!(Zone::named("us/pacific").map(Zone::name), Some("US/Pacific"));
    for unknown in ["", "Berlin", "Europe/Atlantis", "+01", "UTC "] {
        assert_eq!(Zone::named(unknown), None, "{unknown}");
    }
}

#[test]
fn the_ends_of_time() {
    let schedule = Schedule::parse("0 3 * * *").expect("a schedule");
    for at in [i64::MIN, i64::MAX, i64::MAX - 1_000_000_000_000_000_000] {
        assert_eq!(schedule.next_after(Zone::UTC, at), None);
    }
}
