//! Whether a history's table still is what attach made it: columns, triggers, index, records.

use super::locate::RowKey;
use crate::pg::spi;
use crate::record::columns::{self, Place};
use crate::record::definition::Definition;
use pgseal_chain::{Finding, Kind};

/// Every difference, as findings without a position.
pub fn check(definition: &Definition, places: &[Place]) -> Vec<Finding<RowKey>> {
    let altered = definition.alterations.iter().map(|alteration| Finding {
        expected: alteration.expected.clone(),
        found: alteration.found.clone(),
        ..Finding::new(Kind::ConfigurationAltered, alteration.sentence.clone())
    });
    let table = table_problems(definition.registration.relation);
    let columns = if definition.alterations.is_empty() { column_problems(definition, places) } else { Vec::new() };
    let live = table.into_iter().chain(columns).map(|sentence| Finding::new(Kind::ConfigurationAltered, sentence));
    altered.chain(live).collect()
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
                         WHERE t.tgrelid = c.oid AND p.pronamespace = 'seal'::pg_catalog.regnamespace)
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
fn table_problems(relation: u32) -> Vec<String> {
    let seal_columns = columns::SEAL_COLUMNS.map(|(name, type_name)| format!("('{name}', '{type_name}')")).join(", ");
    spi::column(spi::read(&format!(
        "WITH part AS (
            SELECT c.oid, c.relkind, c.relpersistence, c.oid::pg_catalog.regclass::pg_catalog.text AS name
              FROM (SELECT {relation}::pg_catalog.oid UNION
                    SELECT relid FROM pg_catalog.pg_partition_tree({relation}::pg_catalog.oid)) AS tree (oid)
              JOIN pg_catalog.pg_class c USING (oid))
         SELECT pg_catalog.format('the unique index on (seal_chain, seal_seq) of table %s is missing or not valid', name)
           FROM part
          WHERE relkind = 'r' AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_index i
             WHERE i.indrelid = part.oid AND i.indisunique AND i.indisvalid AND i.indisready
               AND i.indpred IS NULL AND i.indnkeyatts = 2
               AND ARRAY['seal_chain', 'seal_seq']::pg_catalog.text[] = (
                 SELECT pg_catalog.array_agg(a.attname::pg_catalog.text ORDER BY k.place)
                   FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k (attnum, place)
                   JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                  WHERE k.place <= 2))
         UNION ALL
         SELECT pg_catalog.format('the trigger that %s on table %s is missing, disabled or changed', wanted.what, name)
           FROM part, (VALUES ('seals inserted rows', 'seal_entry', 7, 'O'),
                              ('refuses UPDATE and DELETE', 'refuse_change', 27, 'A'),
                              ('refuses TRUNCATE', 'refuse_change', 34, 'A')) AS wanted (what, function, kind, mode)
          WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_trigger t
              JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
             WHERE t.tgrelid = part.oid AND p.pronamespace = 'seal'::pg_catalog.regnamespace
               AND p.proname = wanted.function AND p.prosrc = 'pgseal_' || wanted.function
               AND p.probin = '$libdir/pgseal' AND t.tgtype = wanted.kind AND t.tgenabled = wanted.mode::\"char\"
               AND t.tgqual IS NULL AND t.tgattr::pg_catalog.text = '')
         UNION ALL
         SELECT pg_catalog.format('rule %s of table %s changes what INSERT does', r.rulename, name)
           FROM part JOIN pg_catalog.pg_rewrite r ON r.ev_class = part.oid
          WHERE r.ev_type = '3' AND r.ev_enabled <> 'D'
         UNION ALL
         SELECT pg_catalog.format('table %s is not permanent: it would be empty after a crash', name)
           FROM part WHERE relpersistence <> 'p'
         UNION ALL
         SELECT pg_catalog.format('column %s of table %s is missing, accepts NULL or has another type', wanted.name, part.name)
           FROM part, (VALUES {seal_columns}) AS wanted (name, type_name)
          WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = part.oid AND a.attname = wanted.name AND a.attnotnull AND NOT a.attisdropped
               AND pg_catalog.format_type(a.atttypid, a.atttypmod) = wanted.type_name
               AND (a.attname <> 'seal_chain' OR a.attcollation = 'pg_catalog.\"C\"'::pg_catalog.regcollation))
         ORDER BY 1"
    )))
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
