//! Whether a history's table still is what attach made it: columns, triggers, index, records.

use super::locate::RowKey;
use crate::pg::snapshot::Sees;
use crate::pg::{relation, spi};
use crate::record::columns::Place;
use crate::record::definition::Definition;
use crate::record::live::{self, LiveDefinition};
use crate::record::shape::{self, Defect, Flaw};
use pgseal_chain::{Finding, Kind};
use std::collections::BTreeSet;

/// Every difference, as findings without a position. `journaled` is the definition that the journal
/// has.
pub fn check(definition: &Definition, places: &[Place], journaled: Option<&LiveDefinition>) -> Vec<Finding<RowKey>> {
    let altered = definition.alterations.iter().map(|alteration| {
        Finding::new(Kind::ConfigurationAltered, alteration.sentence.clone())
            .values(alteration.expected.clone(), alteration.found.clone())
    });
    let root = definition.registration.relation;
    let defects = shape::defects(&[root], Sees::Snapshot).remove(&root).unwrap_or_default();
    let columns = if definition.alterations.is_empty() { column_problems(definition, places) } else { Vec::new() };
    let unjournaled = journaled.map(|journaled| journaled_problems(root, journaled, &defects, !columns.is_empty()));
    let live = table_problems(&defects)
        .into_iter()
        .chain(columns)
        .chain(shape::watching_problems(Sees::Snapshot))
        .map(|sentence| Finding::new(Kind::ConfigurationAltered, sentence));
    altered.chain(live).chain(unjournaled.into_iter().flatten()).collect()
}

/// Where the live definition is not the journaled one, but for what is said of it anyway.
fn journaled_problems(
    relation: u32,
    journaled: &LiveDefinition,
    defects: &BTreeSet<Defect>,
    columns_differ: bool,
) -> Vec<Finding<RowKey>> {
    let live = live::of(&[relation], Sees::Snapshot).remove(&relation).unwrap_or_default();
    let lacks_index = defects.iter().any(|defect| defect.flaw == Flaw::NoIndex);
    let is_known = |item: &str, text: &str| {
        item.contains(shape::OWN_TRIGGERS)
            || (columns_differ && item.contains("column "))
            || (lacks_index && text.contains("(seal_chain, seal_seq)"))
            || defects.iter().any(|defect| match &defect.flaw {
                Flaw::InsertRule { rule } => item.starts_with(&format!("rule {rule}")),
                Flaw::NotPermanent => item.starts_with("persistence"),
                Flaw::SealColumn { column } => item.starts_with(&format!("column {column}")),
                _ => false,
            })
    };
    let rest = |definition: &LiveDefinition| -> LiveDefinition {
        definition.iter().filter(|(item, text)| !is_known(item, text)).map(|(a, b)| (a.clone(), b.clone())).collect()
    };
    live::problems(&rest(journaled), &rest(&live))
        .into_iter()
        .map(|(sentence, expected, found)| Finding::new(Kind::ConfigurationAltered, sentence).values(expected, found))
        .collect()
}

/// Tables with pgseal's triggers that `seal.history` does not know. Copies of a history have its
/// columns but no triggers, and are nobody's business.
pub fn unregistered() -> Vec<(u32, String)> {
    spi::read(
        "SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname)
           FROM pg_catalog.pg_class c
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND NOT EXISTS (SELECT FROM seal.history h WHERE h.relation = c.oid AND h.detached_at IS NULL)
            AND EXISTS (SELECT FROM pg_catalog.pg_trigger t
                          JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
                         WHERE t.tgrelid = c.oid AND p.pronamespace = 'seal'::pg_catalog.regnamespace
                           AND NOT (p.proname = 'take_in' AND c.relnamespace = p.pronamespace))
          ORDER BY 2",
    )
    .into_iter()
    .filter_map(|row| match row.as_slice() {
        [Some(oid), Some(name)] => Some((oid.parse().ok()?, name.clone())),
        _ => None,
    })
    .collect()
}

/// Triggers, NOT NULL and the index, of the table and every leaf.
fn table_problems(defects: &BTreeSet<Defect>) -> Vec<String> {
    // A later trigger makes every INSERT fail, and shows as an item that was added.
    let is_reported = |defect: &&Defect| !matches!(defect.flaw, Flaw::LaterTrigger { .. });
    let mut sentences: Vec<String> = defects.iter().filter(is_reported).map(defect_sentence).collect();
    sentences.sort();
    sentences
}

fn defect_sentence(defect: &Defect) -> String {
    let table = relation::name_of(defect.relation);
    match &defect.flaw {
        Flaw::NoIndex => {
            format!("the unique index on (seal_chain, seal_seq) of table {table} is missing or not valid")
        }
        Flaw::Trigger { job } => format!("the trigger that {job} on table {table} is missing, disabled or changed"),
        Flaw::InsertRule { rule } => format!("rule {rule} of table {table} changes what INSERT does"),
        Flaw::LaterTrigger { trigger } => format!("trigger {trigger} of table {table} runs after a row was signed"),
        Flaw::NotPermanent => format!("table {table} is not permanent: it would be empty after a crash"),
        Flaw::SealColumn { column } => {
            format!("column {column} of table {table} is missing, accepts NULL or has another type")
        }
    }
}

/// Signed columns must be there with their type; every other column must be part of the epoch.
fn column_problems(definition: &Definition, places: &[Place]) -> Vec<String> {
    let Some(epoch) = definition.newest() else { return Vec::new() };
    let unsigned = places
        .iter()
        .filter(|place| !epoch.record.columns.iter().any(|column| column.name == place.name))
        .map(|place| format!("column {} is not signed: no epoch knows it", place.name));
    let gone =
        epoch.record.columns.iter().filter_map(|column| match places.iter().find(|place| place.name == column.name) {
            None => Some(format!("the signed column {} was removed or renamed outside pgseal", column.name)),
            Some(place) if place.type_name != column.type_name => Some(format!(
                "the type of the signed column {} was changed from {} to {} outside pgseal",
                column.name, column.type_name, place.type_name
            )),
            Some(_) => None,
        });
    unsigned.chain(gone).collect()
}
