//! The SQL functions of alarms. Their definitions, comments and grants stand in `sql/alert.sql` and
//! `sql/rights.sql`.

use super::deliver::{self, Tried};
use super::{Alarm, AlarmKind};
use crate::pg::error::{OrRaise, Report};
use pgrx::iter::TableIterator;
use pgrx::prelude::*;

#[pg_extern(sql = false)]
fn test_alert() -> TableIterator<'static, (name!(way, &'static str), name!(ok, bool), name!(detail, String))> {
    TableIterator::new(deliver::test().into_iter().map(|Tried { way, ok, detail }| (way, ok, detail)))
}

#[pg_extern(sql = false)]
fn deliver_alerts() -> i64 {
    deliver::deliver_here()
}

/// Raises an alarm as a run would. The extension makes no SQL function of it; a test does, which takes a superuser.
#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn raise_alert(
    kind: &str,
    history: Option<&str>,
    run: Option<i64>,
    verdict: Option<&str>,
    findings: i64,
    findings_new: i64,
    sentence: &str,
    report: &str,
    details: &str,
    anchor_line: Option<&str>,
) {
    let refuse = |what: String| Report::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, what);
    let kind = AlarmKind::named(kind).ok_or_else(|| refuse(format!("there is no kind of alarm {kind:?}"))).or_raise();
    let details = serde_json::from_str(details).map_err(|error| refuse(error.to_string())).or_raise();
    super::raise(&Alarm {
        kind,
        history: history.map(str::to_owned),
        run,
        verdict: verdict.map(str::to_owned),
        findings: findings as u64,
        findings_new: findings_new as u64,
        sentence: sentence.to_owned(),
        report: report.to_owned(),
        details,
        anchor_line: anchor_line.map(str::to_owned),
    });
}
