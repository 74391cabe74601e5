//! What administrators did, as the journal has it.

use super::facts::{Change, Period};
use crate::record::journal::{Act, Entry};
use crate::record::journaled::Journaled;
use pgseal_chain::HistoryId;
use std::collections::BTreeMap;

/// Which acts a report is about.
pub struct Scope<'a> {
    /// `None`: all histories.
    pub histories: Option<Vec<HistoryId>>,
    pub tenant: Option<&'a str>,
    pub period: Period,
}

impl Scope<'_> {
    /// Acts of administrators. Runs and cuts are told elsewhere.
    pub fn changes(&self, acts: &[Entry]) -> Vec<Change> {
        acts.iter().filter(|act| self.is_about(act)).map(|act| self.change(act)).collect()
    }

    fn is_about(&self, act: &Entry) -> bool {
        let is_of_history = match (&self.histories, act.history) {
            (Some(asked), Some(history)) => asked.contains(&history),
            _ => true,
        };
        is_of_history && self.period.contains(act.at) && Act::of_kind(&act.kind).is_none_or(is_administration)
    }

    fn change(&self, act: &Entry) -> Change {
        Change {
            at: act.at,
            who: act.who.clone(),
            kind: act.kind.clone(),
            table: act.table.clone(),
            sentence: self.sentence(act),
        }
    }

    /// Reasons are free text, which may name anybody: the page of one tenant has only those that are about him.
    fn sentence(&self, act: &Entry) -> String {
        let Some(tenant) = self.tenant else { return act.sentence.clone() };
        let details = act.details();
        let table = act.table.as_deref().unwrap_or_default();
        match Act::of_kind(&act.kind) {
            Some(Act::Hold) if details["tenant"].as_str().is_some_and(|held| held != tenant) => {
                format!("entries of another tenant of {table} were put on hold")
            }
            Some(Act::Release) if details["tenant"].as_str().is_some_and(|held| held != tenant) => {
                format!("entries of another tenant of {table} were released from their hold")
            }
            Some(Act::Acknowledge) => {
                let findings = details["findings"].as_array().map_or(0, Vec::len);
                format!("{findings} of the findings in {table} were acknowledged")
            }
            Some(Act::Clock) => "what the clock had done was accepted".into(),
            _ => act.sentence.clone(),
        }
    }
}

fn is_administration(act: Act) -> bool {
    match act {
        Act::Attach
        | Act::Epoch
        | Act::Detach
        | Act::Definition
        | Act::Acknowledge
        | Act::Window
        | Act::Hold
        | Act::Release
        | Act::Clock
        | Act::Schedule
        | Act::Key
        | Act::Retire
        | Act::Export
        | Act::Stream => true,
        Act::Verify | Act::Cut | Act::Checkpoint => false,
    }
}

/// Sentences on tables that are not verified any more since they were detached.
pub fn detached(histories: &BTreeMap<HistoryId, Journaled>) -> Vec<String> {
    let is_attached = |table: &str| histories.values().any(|of| of.detached.is_none() && of.table == table);
    histories
        .values()
        .filter(|of| !is_attached(&of.table))
        .filter_map(|of| {
            let (at, who) = of.detached.as_ref()?;
            Some(format!(
                "{} was detached on {} by {who} and is not verified any more",
                of.table,
                super::words::moment(*at)
            ))
        })
        .collect()
}
