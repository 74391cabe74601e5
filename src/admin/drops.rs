//! Drops that would take a history, its entries, its signed columns or pgseal itself along: by
//! name, by CASCADE, by DROP OWNED.

use super::error::AdminError;
use super::guard;
use crate::pg::object_access::{self, Dropped};
use crate::pg::relation::{self, Relation};
use crate::pg::settings::PinnedPath;
use crate::pg::{snapshot, spi, user};
use crate::record::columns;
use crate::record::definition::Definition;
use crate::record::registry::{self, Registration};
use crate::record::tables;
use crate::seal::{heads, transaction};

pub const EXTENSION: &str = "pgseal";

/// Refuses what must not be dropped. Nothing is done, and nearly nothing looked up, where pgseal is
/// not installed or nothing is attached.
pub fn check(object: Dropped) -> Result<(), AdminError> {
    let Some(catalog) = registry::catalog() else { return Ok(()) };
    let histories = guard::attached();
    if histories.is_empty() {
        // The extension's tables go before itself; with the first of them goes what is known of histories.
        if matches!(object, Dropped::Table(table) if tables::is_own(table)) {
            transaction::forget_when_committed(&heads::detached_histories());
        }
        return Ok(());
    }
    let _path = PinnedPath::pin();
    let history_of = |table: u32| {
        let root = relation::root_of(table);
        histories.iter().find(|row| row.relation == root)
    };
    match object {
        Dropped::Extension(_) if is_pgseal(object) => extension_in_use(),
        Dropped::Extension(_) => Ok(()),
        Dropped::Table(table) if table == catalog => extension_in_use(),
        Dropped::Table(table) => match history_of(table) {
            Some(history) => check_table(history, table),
            None => Ok(()),
        },
        Dropped::Column(table, number) => match history_of(table) {
            Some(history) => check_column(history, table, number),
            None => Ok(()),
        },
        Dropped::IndexConcurrently(index) => {
            match relation::table_of_index(index).filter(|table| history_of(*table).is_some()) {
                Some(table) if is_only_seal_index(table, index) => {
                    Err(AdminError::SealIndex { table: relation::name_of(table) })
                }
                _ => Ok(()),
            }
        }
    }
}

fn is_pgseal(object: Dropped) -> bool {
    matches!(object, Dropped::Extension(extension)
        if object_access::extension_name(extension).as_deref() == Some(EXTENSION))
}

/// Refuses while any history is attached.
pub fn extension_in_use() -> Result<(), AdminError> {
    let tables: Vec<String> = guard::attached().iter().map(|row| relation::name_of(row.relation)).collect();
    match tables.is_empty() {
        true => Ok(()),
        false => Err(AdminError::ExtensionInUse { tables }),
    }
}

/// Whether the current user could drop the extension.
pub fn owns_extension() -> bool {
    let rows = spi::execute(&format!(
        "SELECT pg_catalog.pg_has_role(extowner, 'USAGE') FROM pg_catalog.pg_extension WHERE extname = '{EXTENSION}'"
    ));
    spi::value(rows).as_deref() == Some("t")
}

fn check_table(history: &Registration, table: u32) -> Result<(), AdminError> {
    let name = relation::name_of(table);
    if table == history.relation {
        return Err(AdminError::DropHistory { table: name });
    }
    match has_entries(table) {
        true => Err(AdminError::LeafHasEntries { leaf: name, action: "drop" }),
        false => Ok(()),
    }
}

/// Whether there is any row in a partition, whatever policies hide from the current user.
pub fn has_entries(partition: u32) -> bool {
    let table = relation::name_of(partition);
    let look = || snapshot::with_fresh(|| !spi::read(&format!("SELECT FROM {table} LIMIT 1")).is_empty());
    user::with_rights_of(user::extension_owner(), look)
}

fn check_column(history: &Registration, table: u32, number: i32) -> Result<(), AdminError> {
    let root = relation::name_of(history.relation);
    let Some(column) = relation::attributes_of(table).into_iter().find(|column| column.index as i32 + 1 == number)
    else {
        return Ok(());
    };
    if columns::is_seal_column(&column.name) {
        return Err(AdminError::SealColumn { table: root });
    }
    let definition = Definition::load(history.clone());
    let is_signed =
        definition.newest().is_some_and(|epoch| epoch.record.columns.iter().any(|known| known.name == column.name));
    match is_signed {
        true => Err(AdminError::SignedColumn { table: root, column: column.name, action: "drop" }),
        false => Ok(()),
    }
}

fn is_only_seal_index(table: u32, index: u32) -> bool {
    let Some(open) = Relation::open(table) else { return false };
    let mut fitting = open.seal_indexes().into_iter();
    fitting.next() == Some(index) && fitting.next().is_none()
}
