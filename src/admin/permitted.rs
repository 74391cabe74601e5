//! Which changes of a definition are refused: those that would break the chain, its guards, or the
//! entries sealed so far.

use super::error::AdminError;
use super::watch::State;
use super::{drops, preconditions};
use crate::pg::relation;
use crate::pg::statement::{Detached, Statement};
use crate::record::columns::SEAL_COLUMNS;
use crate::record::live::{self, LiveDefinition};
use crate::record::registry::Registration;
use crate::record::shape::{Defect, Flaw};
use serde_json::Value;
use std::collections::BTreeSet;

/// What a command says it will do. Whoever may not do it anyway is left to the server's answer.
pub fn check(statement: &Statement, histories: &[Registration]) -> Result<(), AdminError> {
    let is_history = |table: u32| histories.iter().any(|row| row.relation == table);
    let is_own = |table: u32| preconditions::require_ownership(table).is_ok();
    if let Some(table) = statement.drops.iter().copied().find(|table| is_history(*table) && is_own(*table)) {
        return Err(AdminError::DropHistory { table: relation::name_of(table) });
    }
    if let Some(table) = statement.attaches.iter().copied().find(|table| is_history(*table) && is_own(*table)) {
        return Err(AdminError::BecomesChild { table: relation::name_of(table) });
    }
    for partition in &statement.detaches {
        if is_history(relation::root_of(partition.table)) && is_own(partition.table) {
            check_detached(partition)?;
        }
    }
    match statement.drops_extensions.iter().any(|name| name == drops::EXTENSION) && drops::owns_extension() {
        true => drops::extension_in_use(),
        false => Ok(()),
    }
}

fn check_detached(partition: &Detached) -> Result<(), AdminError> {
    let leaf = relation::name_of(partition.table);
    if partition.concurrently {
        return Err(AdminError::DetachConcurrently { leaf });
    }
    match drops::has_entries(partition.table) {
        true => Err(AdminError::LeafHasEntries { leaf, action: "detach" }),
        false => Ok(()),
    }
}

/// What a command has done to one history.
pub fn judge(root: u32, before: &State, now: &State) -> Result<(), AdminError> {
    let table = relation::name_of(root);
    if let Some(defect) = now.defects.iter().find(|defect| !before.defects.contains(defect)) {
        return Err(refusal(table, defect));
    }
    if now.definition.keys().any(|item| item.starts_with("parent ") && !before.definition.contains_key(item)) {
        return Err(AdminError::BecomesChild { table });
    }
    if !fills_of_seal_columns(&now.definition).is_subset(&fills_of_seal_columns(&before.definition)) {
        return Err(AdminError::SealColumn { table });
    }
    match changed_type(&before.definition, &now.definition) {
        Some(type_name) => Err(AdminError::UsedType { table, type_name }),
        None => Ok(()),
    }
}

fn refusal(history: String, defect: &Defect) -> AdminError {
    let table = relation::name_of(defect.relation);
    match &defect.flaw {
        Flaw::NoIndex => AdminError::SealIndex { table },
        Flaw::Trigger { .. } => AdminError::OwnTrigger { table, history },
        Flaw::InsertRule { rule } => AdminError::NewInsertRule { table, rule: rule.clone() },
        Flaw::LaterTrigger { trigger } => AdminError::NewLaterTrigger { table, trigger: trigger.clone() },
        Flaw::NotPermanent => AdminError::WrongKind { table, kind: "an unlogged table".into() },
        Flaw::SealColumn { .. } => AdminError::SealColumn { table: history },
    }
}

/// Items by which a seal column gets a value by itself: every INSERT would be refused for that value.
fn fills_of_seal_columns(definition: &LiveDefinition) -> BTreeSet<&str> {
    let fills = |item: &str, text: &str| {
        SEAL_COLUMNS.iter().any(|(name, _)| {
            let defaults = item.strip_prefix("default of column ").and_then(|rest| rest.strip_prefix(name));
            let is_default = defaults.is_some_and(|place| place.is_empty() || place.starts_with(" on partition "));
            let is_column = item.strip_prefix("column ") == Some(name);
            (is_default && text != "none") || (is_column && text.ends_with(" AS IDENTITY"))
        })
    };
    definition.iter().filter(|(item, text)| fills(item, text)).map(|(item, _)| item.as_str()).collect()
}

/// A type whose values are sealed and would print differently now.
fn changed_type(before: &LiveDefinition, now: &LiveDefinition) -> Option<String> {
    before.iter().find_map(|(item, text)| {
        let name = item.strip_prefix(live::TYPE)?;
        let after = now.get(item).filter(|after| *after != text)?;
        (!prints_the_same(text, after)).then(|| name.to_owned())
    })
}

/// An enum may get further labels; the attributes of a composite stay, whatever their types are
/// called. Other types print by their base type.
fn prints_the_same(before: &str, after: &str) -> bool {
    if let (Some(before), Some(after)) = (labels(before, "enum "), labels(after, "enum ")) {
        let mut after = after.iter();
        return before.iter().all(|label| after.any(|other| other == label));
    }
    match (labels(before, "composite "), labels(after, "composite ")) {
        (Some(before), Some(after)) => before.iter().map(|pair| &pair[0]).eq(after.iter().map(|pair| &pair[0])),
        _ => true,
    }
}

fn labels(text: &str, kind: &str) -> Option<Vec<Value>> {
    serde_json::from_str(text.strip_prefix(kind)?).ok()
}
