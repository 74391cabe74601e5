//! Hands out what verifies one history and no other.

use super::error::AdminError;
use crate::key;
use crate::pg::error::{OrRaise, Report};
use crate::pg::snapshot::Sees;
use crate::pg::{relation, user};
use crate::record::journal::{self, Act, Note};
use crate::record::registry;
use serde_json::json;

/// A line for `pgseal.verification_file`.
pub fn hand_out(relation: u32) -> String {
    let table = relation::name_of(relation::root_of(relation));
    if !user::is_superuser() {
        Report::from(AdminError::NotSuperuser).raise();
    }
    let Some(registration) = registry::attached(relation::root_of(relation)) else {
        Report::from(AdminError::NotAttached { table }).raise();
    };
    key::may_seal().or_raise();
    // Not only those of its epochs: journal and anchors have entries under every key of the database.
    let ids: Vec<String> = journal::judged(Sees::Stored).1.into_keys().collect();
    let line = key::history_secret(registration.history, &table, &ids).or_raise();
    journal::note(Note {
        act: Act::Export,
        history: Some(registration.history),
        sentence: format!("what verifies {table} was handed out"),
        details: json!({"keys": ids}),
        table: Some(table),
    });
    line.to_string()
}
