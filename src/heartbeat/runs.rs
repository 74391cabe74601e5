//! The newest recorded runs of histories, from `seal.run`.

use super::tables;
use crate::pg::spi::{self, TextRow};
use crate::record::identity::uuid_text;
use pgseal_chain::HistoryId;
use std::collections::BTreeMap;

/// The newest recorded run of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub verdict: String,
    /// µs since 2000-01-01 UTC.
    pub finished: i64,
    pub entries: i64,
    pub findings: i64,
    pub findings_new: i64,
    pub findings_before_window: i64,
}

/// What is recorded of a history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    pub newest: Option<Run>,
    /// When the newest successful run ended: everything could be judged, and nothing new was found. µs since
    /// 2000-01-01 UTC.
    pub verified_at: Option<i64>,
}

/// The columns that are read here.
const COLUMNS: [(&str, &str); 2] = [("id", "bigint"), ("record", "jsonb")];

// Two steps down an index for each history, however many runs there are: the second index has the
// successful runs.
const QUERY: &str = "
    SELECT h.place - 1, newest.record ->> 'verdict', newest.record ->> 'finished', newest.record ->> 'entries',
           newest.record ->> 'findings', newest.record ->> 'findings_new',
           newest.record ->> 'findings_before_window', good.record ->> 'finished'
      FROM pg_catalog.unnest('{histories}'::pg_catalog.text[]) WITH ORDINALITY AS h (id, place)
      LEFT JOIN LATERAL (
           SELECT r.record FROM seal.run r WHERE r.record ->> 'history_id' = h.id ORDER BY r.id DESC LIMIT 1) newest ON true
      LEFT JOIN LATERAL (
           SELECT r.record FROM seal.run r
            WHERE r.record ->> 'history_id' = h.id
              AND r.record ->> 'verdict' IN ('intact', 'intact_in_window', 'tampered') AND r.record ->> 'findings_new' = '0'
            ORDER BY r.id DESC LIMIT 1) good ON true";

/// What is recorded of these histories. Reads `seal.run` with the rights of whoever is the user.
pub fn of(histories: &[HistoryId]) -> BTreeMap<HistoryId, Recorded> {
    if histories.is_empty() || !tables::has(c"run", &COLUMNS) {
        return BTreeMap::new();
    }
    let ids: Vec<String> = histories.iter().map(|history| uuid_text(&history.0)).collect();
    spi::execute(&QUERY.replace("{histories}", &format!("{{{}}}", ids.join(","))))
        .into_iter()
        .filter_map(|row| {
            let place: usize = row.first()?.as_ref()?.parse().ok()?;
            Some((*histories.get(place)?, recorded(row)))
        })
        .collect()
}

fn recorded(mut row: TextRow) -> Recorded {
    let verdict = row[1].take();
    let number = |place: usize| row[place].as_ref().and_then(|text| text.parse::<i64>().ok());
    let newest = verdict.zip(number(2)).map(|(verdict, finished)| Run {
        verdict,
        finished,
        entries: number(3).unwrap_or(0),
        findings: number(4).unwrap_or(0),
        findings_new: number(5).unwrap_or(0),
        findings_before_window: number(6).unwrap_or(0),
    });
    Recorded { newest, verified_at: number(7) }
}
