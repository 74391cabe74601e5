//! `seal.verify_and_prune`. Its definition, comment and grants stand in `sql/prune.sql`.

use super::anchors;
use super::run::{self, Recorded};
use crate::key;
use crate::pg::error::OrRaise;
use crate::pg::jsonb::Jsonb;
use crate::pg::spi;
use crate::record::cut::Span;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;
use serde_json::{Map, json};
use std::collections::BTreeMap;

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn verify_and_prune(
    history: Option<Oid>,
    dry_run: bool,
) -> TableIterator<
    'static,
    (
        name!(run, Option<i64>),
        name!(history, String),
        name!(verdict, &'static str),
        name!(entries, i64),
        name!(findings, i64),
        name!(findings_new, i64),
        name!(window_start, Option<TimestampWithTimeZone>),
        name!(pruned, i64),
        name!(cuts, Jsonb),
        name!(next_step, String),
    ),
> {
    key::current().or_raise();
    let mut runs = run::verify(history.map(Oid::to_u32), dry_run);
    // What locks a table as a whole comes last.
    runs.sort_by_key(|recorded| recorded.plan.as_ref().is_ok_and(|plan| !plan.partitions.is_empty()));
    let removed: Vec<BTreeMap<String, Span>> = runs.iter_mut().map(remove).collect();
    if let Some(run) = runs.iter().filter(|recorded| recorded.findings == 0).filter_map(|recorded| recorded.run).max() {
        anchors::remove_if_unneeded(run);
    }
    TableIterator::new(runs.into_iter().zip(removed).map(|(recorded, removed)| {
        let (pruned, cuts) = match (&recorded.plan, recorded.run) {
            (Ok(plan), None) => {
                let spans = plan.targets.iter().map(|(chain, last)| (chain, plan.position(chain) + 1, *last));
                (plan.entries(), cuts(spans))
            }
            _ => {
                let spans = removed.iter().map(|(chain, span)| (chain, span.first, span.cut.position));
                (removed.values().map(Span::entries).sum(), cuts(spans))
            }
        };
        (
            recorded.run,
            recorded.history.clone(),
            recorded.verdict.as_str(),
            recorded.entries as i64,
            recorded.findings as i64,
            recorded.findings_new as i64,
            recorded.window_start.and_then(|micros| TimestampWithTimeZone::try_from(micros).ok()),
            pruned as i64,
            Jsonb(cuts),
            next_step(&recorded),
        )
    }))
}

fn remove(recorded: &mut Recorded) -> BTreeMap<String, Span> {
    let removed = recorded.prune(u64::MAX).unwrap_or_else(|obstacle| {
        recorded.plan = Err(obstacle.as_str().to_owned().into());
        BTreeMap::new()
    });
    recorded.leave_checkpoint();
    removed
}

/// First and last position by chain.
fn cuts<'a>(spans: impl Iterator<Item = (&'a String, u64, u64)>) -> String {
    let spans = spans.map(|(chain, first, last)| (chain.clone(), json!([first, last])));
    serde_json::Value::Object(spans.collect::<Map<_, _>>()).to_string()
}

fn next_step(recorded: &Recorded) -> String {
    match &recorded.plan {
        _ if recorded.findings_new > 0 => {
            let history = spi::literal(&recorded.history);
            format!("nothing was pruned: SELECT * FROM seal.findings(history => {history})")
        }
        Err(why) => format!("nothing was pruned: {}", why.sentence),
        Ok(_) if recorded.run.is_none() => "a dry run: nothing was recorded or deleted".to_owned(),
        Ok(_) => "nothing to do".to_owned(),
    }
}
