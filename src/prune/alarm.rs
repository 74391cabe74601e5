//! What a recorded run has to tell.

use super::run::Recorded;
use crate::alert::message::one_line;
use crate::alert::{Alarm, AlarmKind};
use crate::pg::{clock, spi};
use crate::record::runs::How;
use crate::verify::acknowledge;
use crate::verify::locate::RowKey;
use crate::verify::outcome::Outcome;
use pgseal_chain::{Finding, Verdict};
use serde_json::json;
use std::fmt::Write;

/// How many findings a report lists.
const MAX_REPORTED: usize = 20;

/// The alarm that a run raises; `None`: nobody needs to be told.
pub fn of(outcome: &Outcome, recorded: &Recorded, how: How) -> Option<Alarm> {
    let kind = match recorded.verdict {
        _ if recorded.findings_new == 0 => success(recorded.verdict, how)?,
        Verdict::Unverifiable => AlarmKind::Unverifiable,
        Verdict::IntactInWindow => AlarmKind::BeforeWindow,
        _ => AlarmKind::Tampered,
    };
    let verdict = recorded.verdict.as_str();
    Some(Alarm {
        kind,
        history: Some(recorded.history.clone()),
        run: recorded.run,
        verdict: Some(verdict.to_owned()),
        findings: recorded.findings,
        findings_new: recorded.findings_new,
        sentence: sentence(kind, recorded),
        report: report(outcome, recorded),
        details: json!({
            "entries": recorded.entries,
            "findings_before_window": outcome.findings.before_window,
            "how": how.as_str(),
            "basis": outcome.basis,
            "found": new_findings(outcome).take(MAX_REPORTED).map(|finding| json!({
                "kind": finding.kind.as_str(),
                "chain": finding.chain,
                "position": finding.position,
                "last_position": finding.last_position,
                "in_window": !finding.before_window,
            })).collect::<Vec<_>>(),
        }),
        anchor_line: None,
    })
}

/// Only what went by itself is worth a mail when there is nothing new.
fn success(verdict: Verdict, how: How) -> Option<AlarmKind> {
    let nothing = matches!(verdict, Verdict::NothingSealed | Verdict::Unverifiable);
    (how == How::Schedule && !nothing).then_some(AlarmKind::Success)
}

fn new_findings(outcome: &Outcome) -> impl Iterator<Item = &Finding<RowKey>> {
    let is_new = |finding: &&Finding<RowKey>| !outcome.acknowledged.contains_key(&acknowledge::fingerprint(finding));
    outcome.findings.list.iter().filter(is_new)
}

fn sentence(kind: AlarmKind, recorded: &Recorded) -> String {
    let table = one_line(&recorded.history);
    let new = counted(recorded.findings_new, "new finding");
    match kind {
        AlarmKind::Success if recorded.findings > 0 => {
            let findings = counted(recorded.findings, "acknowledged finding");
            format!("history {table} was verified: {findings}, nothing new")
        }
        AlarmKind::Success => format!("history {table} was verified: {}", recorded.verdict),
        AlarmKind::Unverifiable => format!("history {table} cannot be verified: {new}"),
        AlarmKind::BeforeWindow => format!("history {table}: {new}, nothing of it inside its window"),
        _ => format!("history {table} was tampered with: {new}"),
    }
}

fn counted(count: u64, what: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {what}{ending}")
}

fn report(outcome: &Outcome, recorded: &Recorded) -> String {
    let table = one_line(&recorded.history);
    let mut text = format!("{table}: {}, {} entries\n{}\n", recorded.verdict, recorded.entries, outcome.basis);
    if let Some(start) = recorded.window_start {
        let _ = writeln!(text, "window: since {}", clock::text(start));
    }
    for finding in new_findings(outcome).take(MAX_REPORTED) {
        let place = match (&finding.chain, finding.position, finding.last_position) {
            (Some(chain), Some(first), Some(last)) => format!(" {chain} {first} to {last}"),
            (Some(chain), Some(position), None) => format!(" {chain} {position}"),
            _ => String::new(),
        };
        let _ = writeln!(text, "- {}{}: {}", finding.kind, one_line(&place), one_line(&finding.detail));
    }
    if recorded.findings_new > MAX_REPORTED as u64 {
        let _ = writeln!(text, "and {} more", recorded.findings_new - MAX_REPORTED as u64);
    }
    if recorded.findings_new > 0 {
        let history = spi::literal(&recorded.history);
        let _ = writeln!(
            text,
            "The cause is not determined, and the original values cannot be recovered from pgseal: look into a backup.\n\
             What to do, step by step: docs/operations.md. To look again: SELECT * FROM seal.findings(history => {});",
            one_line(&history)
        );
    }
    text
}
