//! Anchors that no window reaches any more.

use super::error::PruneError;
use super::plan;
use crate::pg::error::OrRaise;
use crate::pg::snapshot::Sees;
use crate::pg::{clock, spi, user};
use crate::record::anchor;
use crate::record::cut::{self, Cut, Span};
use crate::record::journal::{self, Act, Note};
use crate::record::journaled;
use crate::record::overall::{self, Overall};
use crate::record::registry::{self, Registration};
use crate::verify::run::window_start;
use pgseal_chain::Mac;
use serde_json::json;
use std::collections::BTreeMap;

/// Deletes the anchors that no history needs any more, after a run that found nothing wrong with them: if
/// every history of this database has a window, those from before the widest. A history is whatever the journal or
/// `seal.history` has as attached.
pub fn remove_if_unneeded(run: i64) {
    let attached: Vec<Registration> = registry::registrations().into_iter().filter(Registration::is_attached).collect();
    let mut journaled = journaled::as_seen(Sees::Stored);
    journaled.retain(|history, of| of.detached.is_none() || attached.iter().any(|row| row.history == *history));
    if attached.iter().any(|row| !journaled.contains_key(&row.history)) {
        return;
    }
    let months = journaled.values().map(|of| of.window_months).collect::<Option<Vec<i32>>>();
    // The anchors are what shows that the clock was set.
    let clock_is_right = || plan::clock_disagreement().is_ok_and(|jump| jump.is_none());
    if let Some(widest) = months.and_then(|months| months.into_iter().max()).filter(|_| clock_is_right()) {
        remove(run, window_start(widest));
    }
}

/// Deletes the anchors from before this time (µs since 2000-01-01 UTC), but for the last complete one
/// and all that follow it.
fn remove(run: i64, before: i64) {
    let overall = overall::as_seen(Sees::Stored);
    let spans: BTreeMap<String, Span> = anchor::chains(Sees::Stored)
        .into_iter()
        .filter_map(|chain| {
            let span = span(&chain, before, &overall)?;
            Some((chain, span))
        })
        .collect();
    if spans.is_empty() {
        return;
    }
    for (chain, span) in &spans {
        delete(chain, span).or_raise();
    }
    let count: u64 = spans.values().map(Span::entries).sum();
    journal::note(Note {
        act: Act::Cut,
        history: None,
        table: None,
        sentence: format!("run {run} pruned {count} anchors from before {}", clock::text(before)),
        details: json!({"run": run, "anchors": cut::to_json(&spans)}),
    });
}

/// What may go of a chain of anchors.
fn span(chain: &str, before: i64, overall: &Overall) -> Option<Span> {
    let known = overall.anchor_cuts.get(chain).map_or(0, |cut| cut.position);
    let mut cut: Option<Cut> = None;
    anchor::visit(chain, Sees::Stored, |anchor| {
        if anchor.at < before && anchor.complete && anchor.is_authentic() {
            let mac = Mac::try_from(anchor.prev.as_slice()).ok();
            cut = mac.map(|mac| Cut { position: anchor.number - 1, mac, sealed_at: anchor.at, epoch: 0 });
        }
        cut.is_none()
    });
    cut.filter(|cut| cut.position > known).map(|cut| Span { first: known + 1, cut })
}

fn delete(chain: &str, span: &Span) -> Result<(), PruneError> {
    let sql = format!(
        "WITH gone AS (DELETE FROM seal.anchor WHERE chain = {} AND number <= {} RETURNING number)
         SELECT pg_catalog.count(*) FROM gone WHERE number >= {}",
        spi::literal(chain),
        span.cut.position,
        span.first
    );
    let deleted = user::with_rights_of(user::extension_owner(), || spi::value(spi::execute(&sql)));
    match deleted.and_then(|count| count.parse::<u64>().ok()) == Some(span.entries()) {
        true => Ok(()),
        false => Err(PruneError::AnchorsChanged { chain: chain.to_owned() }),
    }
}
