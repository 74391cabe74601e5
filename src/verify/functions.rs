//! The SQL functions of verification. Their definitions, comments and grants stand in
//! `sql/verification.sql`.

use super::acknowledge::{self, Filter};
use super::answer::{FoundLine, Line, Question};
use super::recorded;
use super::run::Scope;
use super::status::{self, SetupLine, StatusLine};
use super::witness as witnessed;
use crate::admin::AdminError;
use crate::pg::error::{OrRaise, Report};
use crate::pg::jsonb::Jsonb;
use crate::record::witness;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;

fn time(micros: Option<i64>) -> Option<TimestampWithTimeZone> {
    micros.and_then(|micros| TimestampWithTimeZone::try_from(micros).ok())
}

/// What is listed: now, or what a recorded run has listed.
fn found(tenant: Option<&str>, history: Option<Oid>, run: Option<i64>) -> Vec<FoundLine> {
    let Some(run) = run else {
        return Question { tenant, history: history.map(Oid::to_u32), witness: None, scope: Scope::Needed }.findings();
    };
    if tenant.is_some() || history.is_some() {
        Report::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "the findings of a recorded run are not limited to a tenant or a history",
        )
        .hint(format!("Run: SELECT * FROM seal.findings(run => {run})."))
        .raise();
    }
    recorded::findings(run)
}

/// Makes a function that answers with lines. The macro that exports it must see the columns themselves.
macro_rules! answering {
    (fn $name:ident($($argument:ident: $type:ty),*) $lines:block) => {
        #[pg_extern(sql = false)]
        #[allow(clippy::type_complexity)]
        fn $name(
            $($argument: $type),*
        ) -> TableIterator<
            'static,
            (
                name!(verdict, &'static str),
                name!(history, Option<String>),
                name!(node, String),
                name!(entries, i64),
                name!(first_sealed_at, Option<TimestampWithTimeZone>),
                name!(last_sealed_at, Option<TimestampWithTimeZone>),
                name!(window_start, Option<TimestampWithTimeZone>),
                name!(findings, i64),
                name!(findings_new, i64),
                name!(findings_before_window, i64),
                name!(basis, String),
                name!(next_step, String),
            ),
        > {
            let lines: Vec<Line> = $lines;
            TableIterator::new(lines.into_iter().map(|line| {
                (
                    line.verdict.as_str(),
                    line.history,
                    line.node,
                    line.count.entries as i64,
                    time(line.count.first),
                    time(line.count.last),
                    time(line.window_start),
                    line.findings as i64,
                    line.findings_new as i64,
                    line.findings_before_window as i64,
                    line.basis,
                    line.next_step,
                )
            }))
        }
    };
}

answering! {
    fn verify_history(tenant: Option<&str>, history: Option<Oid>, witness: Option<&str>) {
        let witness = witness.map(witness::read);
        let history = history.map(Oid::to_u32);
        Question { tenant, history, witness: witness.as_ref(), scope: Scope::Needed }.lines()
    }
}

answering! {
    fn verify_since_checkpoint(history: Option<Oid>) {
        Question { tenant: None, history: history.map(Oid::to_u32), witness: None, scope: Scope::Since }.lines()
    }
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn findings(
    tenant: Option<&str>,
    history: Option<Oid>,
    run: Option<i64>,
) -> TableIterator<
    'static,
    (
        name!(history, String),
        name!(chain, Option<String>),
        name!(position, Option<i64>),
        name!(last_position, Option<i64>),
        name!(kind, &'static str),
        name!(in_window, bool),
        name!(row_key, Option<Jsonb>),
        name!(expected, Option<String>),
        name!(found, Option<String>),
        name!(detail, String),
    ),
> {
    TableIterator::new(found(tenant, history, run).into_iter().map(|line| {
        let finding = line.finding;
        (
            line.history,
            finding.chain,
            finding.position.map(|position| position as i64),
            finding.last_position.map(|position| position as i64),
            finding.kind.as_str(),
            !finding.before_window,
            finding.key.filter(|_| finding.of_tenant).map(|key| Jsonb(key.json)),
            finding.expected,
            finding.found,
            finding.detail,
        )
    }))
}

#[pg_extern(sql = false)]
fn is_intact(tenant: Option<&str>, history: Option<Oid>) -> bool {
    Question { tenant, history: history.map(Oid::to_u32), witness: None, scope: Scope::Needed }.is_intact()
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn status_lines() -> TableIterator<
    'static,
    (
        name!(history, String),
        name!(ok, bool),
        name!(problem, Option<String>),
        name!(chains, i64),
        name!(entries, i64),
        name!(key_id, Option<String>),
        name!(key_fingerprint, Option<String>),
        name!(epoch, i32),
        name!(window_months, Option<i32>),
        name!(last_anchor, Option<TimestampWithTimeZone>),
        name!(anchor, Option<i64>),
        name!(unanchored, i64),
        name!(worker, String),
        name!(not_covered, String),
        name!(last_verified, Option<TimestampWithTimeZone>),
        name!(last_verdict, Option<String>),
        name!(next_run, Option<TimestampWithTimeZone>),
    ),
> {
    TableIterator::new(status::lines().into_iter().map(|line: StatusLine| {
        (
            line.history,
            line.problem.is_none(),
            line.problem,
            line.chains,
            line.entries,
            line.key_id,
            line.key_fingerprint,
            line.epoch,
            line.window_months,
            time(line.last_anchor.map(|(at, _)| at)),
            line.last_anchor.map(|(_, number)| number as i64),
            line.unanchored,
            line.worker,
            line.not_covered,
            time(line.last_verified),
            line.last_verdict,
            time(line.next_run),
        )
    }))
}

#[pg_extern(sql = false)]
fn check_setup() -> TableIterator<
    'static,
    (name!(item, &'static str), name!(ok, bool), name!(problem, String), name!(fix, Option<String>)),
> {
    TableIterator::new(
        status::setup().into_iter().map(|line: SetupLine| (line.item, line.fix.is_none(), line.problem, line.fix)),
    )
}

#[pg_extern(sql = false)]
fn acknowledge_findings(
    reason: Option<&str>,
    history: Option<Oid>,
    kind: Option<&str>,
    chain: Option<&str>,
    position: Option<i64>,
) -> i64 {
    let history = history.ok_or(AdminError::NoTable).or_raise().to_u32();
    acknowledge::acknowledge(reason.unwrap_or_default(), &Filter { history, kind, chain, position })
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn check_witness(
    line: &str,
) -> TableIterator<
    'static,
    (
        name!(contained, Option<bool>),
        name!(chain, String),
        name!(number, i64),
        name!(at, Option<TimestampWithTimeZone>),
        name!(detail, String),
        name!(next_step, String),
    ),
> {
    let line = witness::read(line);
    let answer = witnessed::check(&line);
    TableIterator::once((
        answer.contained,
        line.chain.clone(),
        line.number as i64,
        time(Some(line.at)),
        answer.detail,
        answer.next_step,
    ))
}
