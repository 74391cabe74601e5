//! Known incidents: an administrator files what is found, for a reason that the journal keeps. A
//! filed finding stays a finding; it only is not new any more.

use super::answer::Question;
use super::locate::RowKey;
use super::outcome::Outcome;
use super::run::Scope;
use crate::pg::error::Report;
use crate::pg::{clock, relation};
use crate::record::journal::{self, Act, Note};
use crate::record::journaled::Acknowledgement;
use crate::record::registry;
use pgrx::PgSqlErrorCode;
use pgseal_chain::{Finding, Kind};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fmt;

/// Which findings to file.
pub struct Filter<'a> {
    /// Oid of the table.
    pub history: u32,
    pub kind: Option<&'a str>,
    pub chain: Option<&'a str>,
    pub position: Option<i64>,
}

impl Filter<'_> {
    fn takes(&self, finding: &Finding<RowKey>) -> bool {
        self.kind.is_none_or(|kind| finding.kind.as_str() == kind)
            && self.chain.is_none_or(|chain| finding.chain.as_deref() == Some(chain))
            && self.position.is_none_or(|position| finding.position == u64::try_from(position).ok())
    }
}

impl fmt::Display for Acknowledgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " (acknowledged by {} at {}: {})", self.who, clock::text(self.at), self.reason)
    }
}

/// Tells a finding from every other one of its history, also from one at the same place with other content.
pub fn fingerprint(finding: &Finding<RowKey>) -> String {
    let row = finding.key.as_ref();
    let identity = json!([
        // The newest entries that were removed become missing ones when sealing goes on above them.
        if finding.kind == Kind::Truncated { Kind::Missing.as_str() } else { finding.kind.as_str() },
        finding.chain,
        finding.position,
        finding.last_position,
        finding.expected,
        finding.found,
        row.map(|row| &row.json),
        row.and_then(|row| row.content).map(hex::encode),
        finding.chain.is_none().then_some(&finding.detail),
    ]);
    hex::encode(&Sha256::digest(identity.to_string().as_bytes())[..16])
}

/// How many of an outcome's findings are filed.
pub fn count(outcome: &Outcome) -> u64 {
    if outcome.acknowledged.is_empty() {
        return 0;
    }
    let filed = |finding: &&Finding<RowKey>| outcome.acknowledged.contains_key(&fingerprint(finding));
    outcome.findings.list.iter().filter(filed).count() as u64
}

/// Files what is found now and matches; says how many findings that were new.
pub fn acknowledge(reason: &str, filter: &Filter<'_>) -> i64 {
    if reason.trim().is_empty() {
        Report::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, "a finding cannot be acknowledged without a reason")
            .hint("Say what happened and where it is on file: SELECT seal.acknowledge('disk failure, ticket 4711', 'HISTORY').")
            .raise();
    }
    let root = relation::root_of(filter.history);
    let question = Question { tenant: None, history: Some(root), witness: None, scope: Scope::Needed };
    let mut filed = Vec::new();
    let mut table = relation::name_of(root);
    for outcome in question.outcomes() {
        table.clone_from(&outcome.table);
        let new = |finding: &&Finding<RowKey>| {
            filter.takes(finding) && !outcome.acknowledged.contains_key(&fingerprint(finding))
        };
        filed.extend(outcome.findings.list.iter().filter(new).cloned());
    }
    if filed.is_empty() {
        Report::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, "no new finding matches, nothing was acknowledged")
            .notice();
        return 0;
    }
    let history = registry::registrations().into_iter().rfind(|row| row.relation == root).map(|row| row.history);
    let places = filed.iter().take(1_000).map(|finding| {
        json!({"kind": finding.kind.as_str(), "chain": finding.chain, "position": finding.position, "last_position": finding.last_position})
    });
    let fingerprints: Vec<String> = filed.iter().map(fingerprint).collect();
    journal::note(Note {
        act: Act::Acknowledge,
        history,
        sentence: match filed.len() {
            1 => format!("1 finding of {table} was acknowledged: {reason}"),
            several => format!("{several} findings of {table} were acknowledged: {reason}"),
        },
        details: json!({"reason": reason, "findings": fingerprints, "places": places.collect::<Vec<_>>()}),
        table: Some(table),
    });
    filed.len() as i64
}
