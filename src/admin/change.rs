//! A history's definition changed: followed by a new epoch where entries stay verifiable, refused
//! where they would not.

use super::epochs::{self, Opening};
use super::error::{AdminError, MAX_COLUMNS};
use super::{administering, is_administering, leaves, preconditions};
use crate::pg::error::OrRaise;
use crate::pg::output::PinnedOutput;
use crate::pg::relation;
use crate::pg::spi;
use crate::record::columns::{self, Place, SealPlaces};
use crate::record::definition::{self, Definition};
use crate::record::epoch::{EpochColumn, EpochRecord};
use crate::record::registry;
use crate::verify::configuration;

/// Which column may have got a new name.
#[derive(Debug, Clone, Copy)]
pub enum Renamed {
    /// The one at this place (from 1), which the command was about; 0: it was about the table.
    AtPlace(i32),
    /// If one is gone and one is new, that one: a change that no event trigger saw.
    TheOnlyOne,
    /// None, but types may have: theirs or their schema's name.
    Types,
}

/// The line that says that a partition was made or attached.
pub const ATTACH: &str = "attach";

/// The line that says that a partition was detached.
const DETACH: &str = "detach";

/// The line that says that a constraint was added.
const CONSTRAINT: &str = "constraint";

/// After a DDL command on a table; `changes` are the lines of `pg::ddl`.
pub fn follow(relation: u32, renamed: Renamed, changes: &str) {
    if is_administering() || !relation::exists(relation) {
        return;
    }
    if changes.lines().all(|line| line == CONSTRAINT) && matches!(renamed, Renamed::AtPlace(0)) {
        // A restore in parallel adds constraints to several leaves at once: no other table is opened.
        if !changes.is_empty() && registry::attached(relation::root_of(relation)).is_some() {
            preconditions::cascades(relation, &relation::name_of(relation)).or_raise();
        }
        return;
    }
    preconditions::inherits_from_history(relation).or_raise();
    let root = relation::root_of(relation);
    if let Some(registration) = registry::attached(root) {
        administering(|| {
            let table = relation::name_of(root);
            let definition = Definition::load(registration);
            refuse_lost_content(&definition, &table, changes).or_raise();
            preconditions::permanent(root).or_raise();
            preconditions::signable(root, &table).or_raise();
            if changes.lines().any(|line| line == ATTACH) {
                leaves::complete(root);
            }
            if changes.lines().any(|line| line == DETACH) {
                release_detached_leaves().or_raise();
            }
            require_seal_columns(root).or_raise();
            follow_columns(definition, renamed).or_raise();
        });
    }
}

/// After a type or a schema got another name: the columns are what they were.
pub fn follow_type_names() {
    for registration in registry::registrations().into_iter().filter(|row| row.is_attached()) {
        if relation::exists(registration.relation) {
            follow_columns(Definition::load(registration), Renamed::Types).or_raise();
        }
    }
}

/// A dropped or rewritten signed column, also where one of the same name and type stands there
/// afterwards.
fn refuse_lost_content(definition: &Definition, table: &str, changes: &str) -> Result<(), AdminError> {
    let signed = |name: &str| {
        let newest = definition.newest().map(|epoch| epoch.record.columns.as_slice()).unwrap_or_default();
        newest.iter().any(|column| column.name == name)
    };
    for line in changes.lines() {
        let (action, column) = match line.split_once(' ') {
            Some(("drop", column)) => ("drop", column),
            Some(("retype", column)) => ("change the type of", column),
            _ => continue,
        };
        if columns::is_seal_column(column) {
            return Err(AdminError::SealColumn { table: table.to_owned() });
        }
        if signed(column) {
            return Err(AdminError::SignedColumn { table: table.to_owned(), column: column.to_owned(), action });
        }
    }
    Ok(())
}

fn require_seal_columns(root: u32) -> Result<(), AdminError> {
    match SealPlaces::find(&relation::attributes_of(root)) {
        Some(_) => Ok(()),
        None => Err(AdminError::SealColumn { table: relation::name_of(root) }),
    }
}

/// A partition that was taken out keeps its seal columns; that is fine only if it is empty.
fn release_detached_leaves() -> Result<(), AdminError> {
    for (partition, table) in configuration::unregistered() {
        let empty = spi::execute(&format!("SELECT FROM {table} LIMIT 1")).is_empty();
        if !empty {
            return Err(AdminError::LeafHasEntries { leaf: table, action: "detach" });
        }
        leaves::release_members(partition);
    }
    Ok(())
}

fn follow_columns(definition: Definition, renamed: Renamed) -> Result<(), AdminError> {
    let relation = definition.registration.relation;
    let table = relation::name_of(relation);
    let places = columns::signable(&relation::attributes_of(relation));
    let Some(newest) = definition.newest() else { return Err(altered(table, &definition)) };
    let Some(columns) = next_columns(&newest.record, &places, renamed, &table, relation)? else { return Ok(()) };
    if columns.len() > MAX_COLUMNS {
        return Err(AdminError::TooManyColumns { table, count: columns.len() });
    }
    if !definition.alterations.is_empty() {
        return Err(altered(table, &definition));
    }
    if let Some(fault) = definition.key_fault {
        return Err(AdminError::NoKey { table, fault });
    }
    let key = &definition::key_in_force().or_raise();
    let tenant_column = tenant_name(&newest.record, &columns);
    let mut registration = definition.registration.clone();
    epochs::open(&mut registration, Opening { columns, tenant_column, baseline: false }, key);
    Ok(())
}

fn altered(table: String, definition: &Definition) -> AdminError {
    let sentence = definition.alterations.first().map(|alteration| alteration.sentence.clone());
    AdminError::Altered { table, sentence: sentence.unwrap_or_else(|| "no epoch can be read".into()) }
}

/// The columns of the next epoch, or `None` where nothing changed.
fn next_columns(
    record: &EpochRecord,
    places: &[Place],
    renamed: Renamed,
    table: &str,
    relation: u32,
) -> Result<Option<Vec<EpochColumn>>, AdminError> {
    let mut columns = record.columns.clone();
    let is_known = |name: &str| record.columns.iter().any(|known| known.name == name);
    let is_live = |name: &str| places.iter().any(|place| place.name == name);
    let mut new = places.iter().filter(|place| !is_known(&place.name));
    let renamed_place = match renamed {
        Renamed::Types => None,
        Renamed::AtPlace(number) => new.find(|place| place.index as i32 + 1 == number),
        Renamed::TheOnlyOne => new.next().filter(|_| new.next().is_none()),
    };
    let mut gone: Vec<&mut EpochColumn> = columns.iter_mut().filter(|known| !is_live(&known.name)).collect();
    match (gone.as_mut_slice(), renamed_place) {
        ([], _) => {}
        ([known], Some(place)) if known.type_name == place.type_name => known.name = place.name.clone(),
        ([known, ..], _) => {
            let column = known.name.clone();
            return Err(AdminError::SignedColumn { table: table.to_owned(), column, action: "drop" });
        }
    }
    let mut next_id = record.next_column_id();
    for place in places {
        match columns.iter().find(|known| known.name == place.name) {
            Some(known) if known.type_name == place.type_name => {}
            Some(known) if matches!(renamed, Renamed::Types) => {
                let id = known.id;
                columns.iter_mut().filter(|known| known.id == id).for_each(|known| {
                    known.type_name = place.type_name.clone();
                });
            }
            Some(known) => {
                let column = known.name.clone();
                return Err(AdminError::SignedColumn { table: table.to_owned(), column, action: "change the type of" });
            }
            None => {
                columns.push(EpochColumn {
                    id: next_id,
                    name: place.name.clone(),
                    type_name: place.type_name.clone(),
                    default: default_of_new(relation, table, place)?,
                });
                next_id += 1;
            }
        }
    }
    Ok((columns != record.columns).then_some(columns))
}

/// What entries sealed before show in a new column; the same in all of them, or it is refused.
fn default_of_new(relation: u32, table: &str, place: &Place) -> Result<Option<String>, AdminError> {
    let name = spi::identifier(&place.name);
    let _pinned = PinnedOutput::pin();
    let rows = spi::execute(&format!(
        "SELECT (a.attmissingval::pg_catalog.text::pg_catalog.text[])[1]
           FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = {relation} AND a.attname = {} AND a.atthasmissing",
        spi::literal(&place.name)
    ));
    if let Some(default) = spi::value(rows) {
        return Ok(Some(default));
    }
    // format() prints by the type's output function; a cast could be the table owner's own code.
    let values = spi::execute(&format!(
        "SELECT DISTINCT CASE WHEN pg_catalog.num_nonnulls({name}) = 1 THEN pg_catalog.format('%s', {name}) END
           FROM {table} LIMIT 2"
    ));
    match values.as_slice() {
        [] => Ok(None),
        [row] => Ok(row.first().cloned().flatten()),
        _ => Err(AdminError::VolatileDefault { table: table.to_owned(), column: place.name.clone() }),
    }
}

/// The tenant column under its present name.
fn tenant_name(record: &EpochRecord, columns: &[EpochColumn]) -> Option<String> {
    let tenant = record.tenant_column.as_deref()?;
    let id = record.columns.iter().find(|column| column.name == tenant)?.id;
    columns.iter().find(|column| column.id == id).map(|column| column.name.clone())
}
