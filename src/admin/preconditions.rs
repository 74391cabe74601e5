//! What a table must be to become a history. Everything is checked before anything is changed.

use super::error::{AdminError, MAX_COLUMNS};
use crate::pg::relation::{self, Relation};
use crate::pg::spi::{self, TextRow};
use crate::record::columns;
use crate::record::registry;
use crate::record::shape::SEAL_TRIGGER;

fn cell(rows: &[TextRow], column: usize) -> Option<&str> {
    rows.first()?.get(column)?.as_deref()
}

fn is_true(rows: &[TextRow], column: usize) -> bool {
    cell(rows, column) == Some("t")
}

/// The caller must own the table, as for ALTER TABLE.
pub fn require_ownership(relation: u32) -> Result<(), AdminError> {
    let rows = spi::execute(&format!(
        "SELECT pg_catalog.pg_has_role(relowner, 'USAGE') FROM pg_catalog.pg_class WHERE oid = {relation}"
    ));
    match is_true(&rows, 0) {
        true => Ok(()),
        false => Err(AdminError::NotOwner { table: relation::name_of(relation) }),
    }
}

pub fn check(relation: u32, tenant_column: Option<&str>) -> Result<(), AdminError> {
    let table = relation::name_of(relation);
    kind(relation, &table)?;
    require_ownership(relation)?;
    if registry::attached(relation).is_some() {
        return Err(AdminError::AlreadyAttached { table });
    }
    encoding()?;
    columns(relation, &table, tenant_column)?;
    signable(relation, &table)?;
    insert_rules(relation)?;
    later_triggers(relation)
}

/// What must hold at attach and after every later change: types and foreign keys.
pub fn signable(root: u32, table: &str) -> Result<(), AdminError> {
    types(root, table)?;
    relation::with_descendants(root).into_iter().try_for_each(|part| cascades(part, table))
}

/// A table that inherits from a history, not as its partition, would have unsealed rows in it.
pub fn inherits_from_history(relation: u32) -> Result<(), AdminError> {
    let rows = spi::execute(&format!(
        "SELECT FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
           JOIN seal.history h ON h.relation = i.inhparent
          WHERE i.inhrelid = {relation} AND NOT c.relispartition AND h.detached_at IS NULL"
    ));
    match rows.is_empty() {
        true => Ok(()),
        false => Err(AdminError::Inherits { table: relation::name_of(relation) }),
    }
}

fn kind(relation: u32, table: &str) -> Result<(), AdminError> {
    let rows = spi::execute(&format!(
        "SELECT c.relkind, c.relpersistence, c.relispartition,
                EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid OR i.inhrelid = c.oid)
                  AND c.relkind = 'r',
                n.nspname = 'pg_catalog' OR n.nspname = 'information_schema' OR n.nspname = 'seal'
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE c.oid = {relation}"
    ));
    let wrong = |kind: &str| Err(AdminError::WrongKind { table: table.to_owned(), kind: kind.to_owned() });
    match cell(&rows, 0) {
        Some("r" | "p") => {}
        Some("v") => return wrong("a view"),
        Some("m") => return wrong("a materialized view"),
        Some("f") => return wrong("a foreign table"),
        _ => return wrong("not a table"),
    }
    match cell(&rows, 1) {
        Some("u") => return wrong("an unlogged table"),
        Some("t") => return wrong("a temporary table"),
        _ => {}
    }
    if is_true(&rows, 4) {
        return wrong("a table of the system or of pgseal");
    }
    if is_true(&rows, 2) {
        let root = relation::name_of(relation::root_of(relation));
        return Err(AdminError::IsLeaf { table: table.to_owned(), root });
    }
    if is_true(&rows, 3) {
        return Err(AdminError::Inherits { table: table.to_owned() });
    }
    permanent(relation)
}

/// Every part of a history must keep its rows, also across a crash.
pub fn permanent(root: u32) -> Result<(), AdminError> {
    let parts = spi::execute(&format!(
        "SELECT c.oid::pg_catalog.regclass, CASE WHEN c.relkind = 'f' THEN 'a foreign table' ELSE 'an unlogged table' END
           FROM pg_catalog.pg_class c
          WHERE (c.oid = {root} OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree({root})))
            AND (c.relkind NOT IN ('r', 'p') OR c.relpersistence <> 'p')"
    ));
    match parts.first().map(Vec::as_slice) {
        Some([Some(part), Some(kind)]) => Err(AdminError::WrongKind { table: part.clone(), kind: kind.clone() }),
        _ => Ok(()),
    }
}

fn encoding() -> Result<(), AdminError> {
    let rows = spi::execute(
        "SELECT pg_catalog.pg_encoding_to_char(encoding) = 'UTF8' FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()",
    );
    if is_true(&rows, 0) { Ok(()) } else { Err(AdminError::NotUtf8) }
}

fn columns(relation: u32, table: &str, tenant_column: Option<&str>) -> Result<(), AdminError> {
    let attributes = relation::attributes_of(relation);
    if let Some(taken) = attributes.iter().find(|column| columns::is_seal_column(&column.name)) {
        return Err(AdminError::ReservedColumn { table: table.to_owned(), column: taken.name.clone() });
    }
    let signable = columns::signable(&attributes);
    match signable.len() {
        0 => return Err(AdminError::NoColumns { table: table.to_owned() }),
        count if count > MAX_COLUMNS => return Err(AdminError::TooManyColumns { table: table.to_owned(), count }),
        _ => {}
    }
    let Some(tenant) = tenant_column else { return Ok(()) };
    let (table, column) = (table.to_owned(), tenant.to_owned());
    match attributes.iter().find(|column| column.name == tenant) {
        None => {
            let columns = signable.iter().map(|place| place.name.as_str()).collect::<Vec<_>>().join(", ");
            Err(AdminError::NoTenantColumn { table, column, columns })
        }
        Some(found) if found.generated => Err(AdminError::GeneratedTenant { table, column }),
        Some(_) => Ok(()),
    }
}

/// Refuses types whose text depends on other objects or the locale, however deep they are nested.
fn types(relation: u32, table: &str) -> Result<(), AdminError> {
    let rows = spi::execute(&format!(
        "WITH RECURSIVE used (column_name, type) AS (
            SELECT attname, atttypid FROM pg_catalog.pg_attribute
             WHERE attrelid = {relation} AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
            UNION
            SELECT used.column_name, inner_type.oid
              FROM used JOIN pg_catalog.pg_type t ON t.oid = used.type
             CROSS JOIN LATERAL (
                SELECT t.typbasetype WHERE t.typtype = 'd'
                UNION ALL SELECT t.typelem WHERE t.typcategory = 'A'
                UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
                           WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
                UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
             ) AS inner_type (oid))
         SELECT used.column_name, t.typname
           FROM used JOIN pg_catalog.pg_type t ON t.oid = used.type
          WHERE t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace
            AND (t.typname IN ('money', 'aclitem') OR t.typname LIKE 'reg%')
          ORDER BY 1 LIMIT 1"
    ));
    match rows.first().map(Vec::as_slice) {
        Some([Some(column), Some(type_name)]) => Err(AdminError::UnsignableType {
            table: table.to_owned(),
            column: column.clone(),
            type_name: type_name.clone(),
        }),
        _ => Ok(()),
    }
}

/// Foreign keys of this one table that would change its rows.
pub fn cascades(relation: u32, table: &str) -> Result<(), AdminError> {
    let rows = spi::execute(&format!(
        "SELECT conname FROM pg_catalog.pg_constraint
          WHERE contype = 'f' AND conrelid = {relation}
            AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))
          ORDER BY 1 LIMIT 1"
    ));
    match cell(&rows, 0) {
        Some(constraint) => {
            Err(AdminError::CascadingKey { table: table.to_owned(), constraint: constraint.to_owned() })
        }
        None => Ok(()),
    }
}

/// A rule could turn an INSERT into nothing, or into something else.
fn insert_rules(relation: u32) -> Result<(), AdminError> {
    let rows = spi::execute(&format!(
        "SELECT rulename FROM pg_catalog.pg_rewrite WHERE ev_class = {relation} AND ev_type = '3' ORDER BY 1 LIMIT 1"
    ));
    match cell(&rows, 0) {
        Some(rule) => Err(AdminError::InsertRule { table: relation::name_of(relation), rule: rule.to_owned() }),
        None => Ok(()),
    }
}

fn later_triggers(root: u32) -> Result<(), AdminError> {
    for relation in relation::with_descendants(root) {
        let triggers = Relation::open(relation).map(|open| open.triggers()).unwrap_or_default();
        let later = triggers.iter().find(|trigger| {
            trigger.before_insert_row && !trigger.disabled && trigger.name.as_slice() > SEAL_TRIGGER.as_bytes()
        });
        if let Some(trigger) = later {
            let trigger = String::from_utf8_lossy(&trigger.name).into_owned();
            return Err(AdminError::LaterTrigger { table: relation::name_of(relation), trigger });
        }
    }
    Ok(())
}

/// Sealing rows that are there updates them; triggers that fire in every replication role and
/// rules would see it, or change what was signed.
pub fn nothing_sees_updates(relation: u32) -> Result<(), AdminError> {
    let rows = spi::execute(&format!(
        "WITH part AS (SELECT {relation}::pg_catalog.oid AS oid
                        UNION SELECT relid FROM pg_catalog.pg_partition_tree({relation}))
         SELECT pg_catalog.format('trigger \"%s\" (ENABLE %s)', tgname, CASE tgenabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END)
           FROM pg_catalog.pg_trigger JOIN part ON tgrelid = part.oid
          WHERE NOT tgisinternal AND tgenabled IN ('A', 'R')
         UNION ALL
         SELECT pg_catalog.format('rule \"%s\"', rulename)
           FROM pg_catalog.pg_rewrite JOIN part ON ev_class = part.oid
          WHERE ev_type = '2' AND ev_enabled <> 'D'
          LIMIT 1"
    ));
    match cell(&rows, 0) {
        Some(what) => Err(AdminError::InTheWay { table: relation::name_of(relation), what: what.to_owned() }),
        None => Ok(()),
    }
}
