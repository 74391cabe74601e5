//! Legal holds: entries that must not be pruned. The journal alone has them.

use super::error::AdminError;
use crate::pg::error::{OrRaise, Report};
use crate::pg::relation;
use crate::pg::snapshot::Sees;
use crate::record::journal::{self, Act, Note};
use crate::record::journaled::{self, Hold, Journaled};
use crate::record::registry;
use crate::schedule::exclusive;
use pgrx::PgSqlErrorCode;
use pgseal_chain::HistoryId;
use serde_json::json;

/// One line of `seal.holds`.
pub struct Line {
    pub history: String,
    pub tenant: Option<String>,
    pub hold: Hold,
}

/// Keeps the entries of a tenant, or all, from being pruned.
pub fn hold(relation: u32, tenant: Option<&str>, reason: &str) -> String {
    let target = Target::find(relation);
    target.require_reason(reason, "hold");
    if tenant.is_some() && target.journaled.tenant_column.is_none() {
        Report::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("history \"{}\" has no tenant column", target.table),
        )
        .hint("Hold all of it, with tenant NULL.")
        .raise();
    }
    if target.journaled.holds.contains_key(&tenant.map(str::to_owned)) {
        Report::new(PgSqlErrorCode::ERRCODE_DUPLICATE_OBJECT, format!("{} is already on hold", target.what(tenant)))
            .hint("See: SELECT * FROM seal.holds.")
            .raise();
    }
    target.note(Act::Hold, tenant, reason, "was put on hold");
    format!("{} is on hold: nothing of it is pruned", target.what(tenant))
}

/// Ends a hold.
pub fn release(relation: u32, tenant: Option<&str>, reason: &str) -> String {
    let target = Target::find(relation);
    target.require_reason(reason, "release");
    if !target.journaled.holds.contains_key(&tenant.map(str::to_owned)) {
        Report::new(PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT, format!("{} is not on hold", target.what(tenant)))
            .hint("See: SELECT * FROM seal.holds.")
            .raise();
    }
    target.note(Act::Release, tenant, reason, "was released from its hold");
    format!("{} may be pruned again", target.what(tenant))
}

/// All holds.
pub fn lines() -> Vec<Line> {
    let histories = journaled::as_seen(Sees::Stored).into_values();
    histories
        .filter(|journaled| journaled.detached.is_none())
        .flat_map(|journaled| {
            let history = journaled.table;
            journaled.holds.into_iter().map(move |(tenant, hold)| Line { history: history.clone(), tenant, hold })
        })
        .collect()
}

struct Target {
    history: HistoryId,
    table: String,
    journaled: Journaled,
}

impl Target {
    fn find(relation: u32) -> Target {
        let root = relation::root_of(relation);
        let table = relation::name_of(root);
        exclusive::keep_settings(root);
        let found = registry::attached(root).and_then(|row| {
            let journaled = journaled::as_seen(Sees::Stored).remove(&row.history)?;
            Some((row.history, journaled))
        });
        let (history, journaled) = found.ok_or_else(|| AdminError::NotAttached { table: table.clone() }).or_raise();
        Target { history, table, journaled }
    }

    fn what(&self, tenant: Option<&str>) -> String {
        match tenant {
            Some(tenant) => format!("tenant '{tenant}' of {}", self.table),
            None => format!("all of {}", self.table),
        }
    }

    fn require_reason(&self, reason: &str, function: &str) {
        if reason.trim().is_empty() {
            Report::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, "a hold is not changed without a reason")
                .hint(format!("Say why: SELECT seal.{function}('HISTORY', 'TENANT', 'case 12/2026')."))
                .raise();
        }
    }

    fn note(&self, act: Act, tenant: Option<&str>, reason: &str, what: &str) {
        journal::note(Note {
            act,
            history: Some(self.history),
            table: Some(self.table.clone()),
            sentence: format!("{} {what}: {reason}", self.what(tenant)),
            details: json!({"tenant": tenant, "reason": reason}),
        });
    }
}
