//! What every table of a history has: triggers, the seal index, NOT NULL.

use super::administering;
use crate::pg::relation::{self, Relation};
use crate::pg::spi;
use crate::record::columns::{self, SEAL_COLUMNS};
use crate::record::shape::{GUARD_TRIGGER, SEAL_TRIGGER, TRUNCATE_TRIGGER};

const BASELINE_TRIGGER: &str = "zzz_pgseal_baseline";

/// A table of a history: the root, an intermediate partition or a leaf.
pub struct Member {
    pub relation: u32,
    pub table: String,
    pub stores_rows: bool,
}

pub fn members(root: u32) -> Vec<Member> {
    spi::execute(&format!(
        "SELECT c.oid, c.relkind FROM pg_catalog.pg_class c
          WHERE c.oid = {root} OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree({root}))
          ORDER BY c.oid = {root} DESC, c.oid"
    ))
    .into_iter()
    .filter_map(|row| match row.as_slice() {
        [Some(oid), Some(kind)] => {
            let relation = oid.parse().ok()?;
            Some(Member { relation, table: relation::name_of(relation), stores_rows: kind == "r" })
        }
        _ => None,
    })
    .collect()
}

pub fn add_columns(table: &str) {
    let collation = |name: &str| if name == columns::CHAIN { " COLLATE pg_catalog.\"C\"" } else { "" };
    let added = SEAL_COLUMNS.map(|(name, type_name)| format!("ADD COLUMN {name} {type_name}{}", collation(name)));
    spi::execute(&format!("ALTER TABLE {table} {}", added.join(", ")));
}

pub fn add_seal_trigger(table: &str) {
    spi::execute(&format!(
        "CREATE TRIGGER {SEAL_TRIGGER} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION seal.seal_entry()"
    ));
}

/// Seals the rows that are there, as an update that only this trigger takes part in; `update`
/// runs the statement.
pub fn seal_rows(relation: u32, table: &str, update: impl Fn(u32, &str)) {
    spi::execute(&format!(
        "CREATE TRIGGER {BASELINE_TRIGGER} BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION seal.seal_entry()"
    ));
    enable_always(table, BASELINE_TRIGGER);
    update(relation, &format!("UPDATE {table} SET seal_seq = NULL"));
    spi::execute(&format!("DROP TRIGGER {BASELINE_TRIGGER} ON {table}"));
}

/// Makes a trigger of this table, and its clones on partitions, fire in every replication role.
fn enable_always(table: &str, trigger: &str) {
    let statements = spi::execute(&format!(
        "SELECT pg_catalog.format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER {trigger}', t.tgrelid::pg_catalog.regclass)
           FROM pg_catalog.pg_trigger t
          WHERE t.tgname = '{trigger}' AND t.tgenabled <> 'A'
            AND (t.tgrelid = {literal}::pg_catalog.regclass
                 OR t.tgrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree({literal}::pg_catalog.regclass)))",
        literal = spi::literal(table)
    ));
    for statement in spi::column(statements) {
        spi::execute(&statement);
    }
}

/// Has the guards of a table of a history, and of those below it, fire in every replication role
/// again: ENABLE TRIGGER ALL and USER take that from them. Opens no table whose guards are right.
pub fn guard_always(relation: u32) {
    let statements = spi::execute(&format!(
        "WITH RECURSIVE part (oid) AS (
            SELECT {relation}::pg_catalog.oid
            UNION ALL SELECT i.inhrelid FROM part JOIN pg_catalog.pg_inherits i ON i.inhparent = part.oid)
         SELECT pg_catalog.format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER %I', t.tgrelid::pg_catalog.regclass, t.tgname)
           FROM part JOIN pg_catalog.pg_trigger t ON t.tgrelid = part.oid
          WHERE t.tgfoid = 'seal.refuse_change'::pg_catalog.regproc AND t.tgenabled = 'O'"
    ));
    administering(|| {
        for statement in spi::column(statements) {
            spi::execute(&statement);
        }
    });
}

/// Adds whatever a member lacks of index and guards; the root's row triggers reach leaves by
/// themselves.
pub fn complete(root: u32) {
    let root_table = relation::name_of(root);
    add_guard(&root_table);
    for member in members(root) {
        if member.stores_rows {
            add_index(&member);
        }
        add_truncate_guard(&member.table);
    }
}

pub fn require_values(table: &str) {
    let columns = SEAL_COLUMNS.map(|(name, _)| format!("ALTER COLUMN {name} SET NOT NULL")).join(", ");
    spi::execute(&format!("ALTER TABLE {table} {columns}"));
}

fn has_trigger(table: &str, trigger: &str) -> bool {
    !spi::execute(&format!(
        "SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = {}::pg_catalog.regclass AND tgname = '{trigger}'",
        spi::literal(table)
    ))
    .is_empty()
}

fn add_guard(table: &str) {
    if !has_trigger(table, GUARD_TRIGGER) {
        spi::execute(&format!(
            "CREATE TRIGGER {GUARD_TRIGGER} BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION seal.refuse_change()"
        ));
        enable_always(table, GUARD_TRIGGER);
    }
}

fn add_truncate_guard(table: &str) {
    if !has_trigger(table, TRUNCATE_TRIGGER) {
        spi::execute(&format!(
            "CREATE TRIGGER {TRUNCATE_TRIGGER} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION seal.refuse_change()"
        ));
        spi::execute(&format!("ALTER TABLE ONLY {table} ENABLE ALWAYS TRIGGER {TRUNCATE_TRIGGER}"));
    }
}

fn add_index(member: &Member) {
    let present = Relation::open(member.relation).is_some_and(|open| open.seal_index().is_some());
    if !present {
        spi::execute(&format!("CREATE UNIQUE INDEX ON {} (seal_chain, seal_seq)", member.table));
    }
}

/// Leaves the columns, with what is in them, and takes everything else away.
pub fn release(root: u32) {
    let root_table = relation::name_of(root);
    for trigger in [SEAL_TRIGGER, GUARD_TRIGGER] {
        spi::execute(&format!("DROP TRIGGER IF EXISTS {trigger} ON {root_table}"));
    }
    release_members(root);
}

/// What the row triggers of a root do not cover: TRUNCATE of each member, and NOT NULL. All that is
/// left on a partition, and those below it, that was empty when it was taken out of a history.
pub fn release_members(root: u32) {
    for member in members(root) {
        spi::execute(&format!("DROP TRIGGER IF EXISTS {TRUNCATE_TRIGGER} ON {}", member.table));
    }
    accept_null(&relation::name_of(root));
}

fn accept_null(table: &str) {
    let required = spi::column(spi::execute(&format!(
        "SELECT attname FROM pg_catalog.pg_attribute
          WHERE attrelid = {}::pg_catalog.regclass AND attname LIKE 'seal\\_%' AND attnotnull AND NOT attisdropped",
        spi::literal(table)
    )));
    let needed: Vec<String> = needs_of_values(table).into_iter().map(|need| need.column).collect();
    let present: Vec<String> = required
        .into_iter()
        .filter(|name| columns::is_seal_column(name) && !needed.contains(name))
        .map(|name| format!("ALTER COLUMN {name} DROP NOT NULL"))
        .collect();
    if !present.is_empty() {
        spi::execute(&format!("ALTER TABLE {table} {}", present.join(", ")));
    }
}

/// Something that lets PostgreSQL refuse NULL in a seal column, whatever pgseal says.
pub struct NeedOfValues {
    pub column: String,
    /// `primary key "h_pkey"` and the like.
    pub what: String,
    /// The command that takes it away.
    pub remedy: String,
}

/// Of a table of a history and of its partitions. What a user made of a seal column is the user's: detach does not take
/// it away.
pub fn needs_of_values(table: &str) -> Vec<NeedOfValues> {
    let columns = SEAL_COLUMNS.map(|(name, _)| format!("'{name}'")).join(", ");
    spi::execute(&format!(
        "WITH part AS (SELECT {literal}::pg_catalog.regclass::pg_catalog.oid AS oid
                        UNION SELECT relid FROM pg_catalog.pg_partition_tree({literal}::pg_catalog.regclass)),
              own AS (SELECT a.attrelid, a.attnum, a.attname, a.attidentity FROM pg_catalog.pg_attribute a
                        JOIN part ON part.oid = a.attrelid WHERE a.attname IN ({columns}))
         SELECT own.attname, pg_catalog.format('primary key \"%s\"', c.conname),
                pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', c.conrelid::pg_catalog.regclass, c.conname),
                own.attnum
           FROM pg_catalog.pg_constraint c
           JOIN own ON own.attrelid = c.conrelid AND own.attnum = ANY (c.conkey)
          WHERE c.contype = 'p' AND c.conparentid = 0
         UNION ALL
         SELECT own.attname, pg_catalog.format('replica identity of table \"%s\"', i.indrelid::pg_catalog.regclass),
                pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY DEFAULT', i.indrelid::pg_catalog.regclass),
                own.attnum
           FROM pg_catalog.pg_index i
           JOIN own ON own.attrelid = i.indrelid AND own.attnum = ANY (i.indkey)
          WHERE i.indisreplident
         UNION ALL
         SELECT own.attname, pg_catalog.format('identity of table \"%s\"', own.attrelid::pg_catalog.regclass),
                pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I DROP IDENTITY', own.attrelid::pg_catalog.regclass, own.attname),
                own.attnum
           FROM own
          WHERE own.attidentity <> ''
          ORDER BY 3, 4",
        literal = spi::literal(table)
    ))
    .into_iter()
    .filter_map(|row| match row.as_slice() {
        [Some(column), Some(what), Some(remedy), ..] => {
            Some(NeedOfValues { column: column.clone(), what: what.clone(), remedy: remedy.clone() })
        }
        _ => None,
    })
    .collect()
}
