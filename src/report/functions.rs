//! The SQL functions of reports. Their definitions, comments and grants stand in `sql/report.sql`.

use super::check;
use super::facts::Period;
use super::former;
use super::gather::{self, Request};
use super::signature::{self, Format};
use super::{json, text};
use crate::pg::error::Report;
use crate::pg::transaction;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;

#[pg_extern(sql = false)]
fn report(
    tenant: Option<&str>,
    history: Option<Oid>,
    since: Option<TimestampWithTimeZone>,
    until: Option<TimestampWithTimeZone>,
    format: Option<&str>,
    previous: Option<&str>,
) -> String {
    let format = Format::named(format.unwrap_or("text"));
    let period = period(since, until);
    refuse_uncommitted();
    let former = previous.map(former::require);
    let request = Request { tenant, history: history.map(Oid::to_u32), period, previous: former.as_ref() };
    let facts = gather::gather(&request);
    match format {
        Format::Text => signature::sign_text(text::render(&facts)),
        Format::Json => signature::sign_json(json::render(&facts)),
    }
}

fn period(since: Option<TimestampWithTimeZone>, until: Option<TimestampWithTimeZone>) -> Period {
    let (since, until) = (since.map(i64::from), until.map(i64::from));
    // -infinity and infinity are no limits.
    let period = Period { since: since.filter(|at| *at != i64::MIN), until: until.filter(|at| *at != i64::MAX) };
    let (first, end) = (period.since.unwrap_or(i64::MIN), period.until.unwrap_or(i64::MAX));
    if first >= end {
        Report::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, "the period of a report ends before it begins")
            .detail("since is the first moment that belongs to it, until the first that does not.")
            .hint("Give a later time: seal.report(since => '2026-01-01', until => '2027-01-01').")
            .raise();
    }
    period
}

/// What a transaction has done it sees, and may still undo: a signed page must not say that it was there.
fn refuse_uncommitted() {
    if transaction::has_written() {
        Report::new(
            PgSqlErrorCode::ERRCODE_ACTIVE_SQL_TRANSACTION,
            "a report cannot be made in a transaction that has written something",
        )
        .detail("The report would count what may still be rolled back.")
        .hint("COMMIT first. To keep reports in a table: INSERT INTO … SELECT seal.report(), as a transaction of its own.")
        .raise();
    }
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn check_report(
    report: &str,
) -> TableIterator<
    'static,
    (name!(authentic, Option<bool>), name!(contained, Option<bool>), name!(detail, String), name!(next_step, String)),
> {
    let answer = check::check(report);
    TableIterator::once((answer.authentic, answer.contained, answer.detail, answer.next_step))
}
