//! What every table of a history must have: seal index, triggers, seal columns. And what it must
//! not have: a rule on INSERT, a BEFORE INSERT trigger behind the seal trigger, rows that a crash
//! takes away.

use super::columns;
use super::live::oids;
use crate::pg::settings::PinnedPath;
use crate::pg::snapshot::Sees;
use crate::pg::spi;
use std::collections::{BTreeMap, BTreeSet};

/// What the names of all pgseal's triggers begin with.
pub const OWN_TRIGGERS: &str = "zzz_pgseal_";
/// The name of the trigger that seals: sorts after any usual name.
pub const SEAL_TRIGGER: &str = "zzz_pgseal_seal";
pub const GUARD_TRIGGER: &str = "zzz_pgseal_guard";
pub const TRUNCATE_TRIGGER: &str = "zzz_pgseal_truncate";

/// The commands that both event triggers listen to, as `sql/administration.sql` has them: all that can
/// change a history's definition, directly, by CASCADE, or by the name of something that it names.
pub const WATCHED: [&str; 52] = [
    "ALTER TABLE",
    "ALTER FOREIGN TABLE",
    "ALTER VIEW",
    "ALTER MATERIALIZED VIEW",
    "ALTER SEQUENCE",
    "ALTER INDEX",
    "ALTER TRIGGER",
    "ALTER RULE",
    "ALTER POLICY",
    "ALTER TYPE",
    "ALTER DOMAIN",
    "ALTER SCHEMA",
    "ALTER EXTENSION",
    "ALTER FUNCTION",
    "ALTER PROCEDURE",
    "ALTER ROUTINE",
    "ALTER AGGREGATE",
    "ALTER OPERATOR",
    "ALTER OPERATOR CLASS",
    "ALTER COLLATION",
    "CREATE TABLE",
    "CREATE FOREIGN TABLE",
    "CREATE SCHEMA",
    "CREATE INDEX",
    "CREATE TRIGGER",
    "CREATE RULE",
    "CREATE POLICY",
    "DROP TABLE",
    "DROP FOREIGN TABLE",
    "DROP VIEW",
    "DROP MATERIALIZED VIEW",
    "DROP SEQUENCE",
    "DROP INDEX",
    "DROP TRIGGER",
    "DROP RULE",
    "DROP POLICY",
    "DROP TYPE",
    "DROP DOMAIN",
    "DROP SCHEMA",
    "DROP EXTENSION",
    "DROP FUNCTION",
    "DROP PROCEDURE",
    "DROP ROUTINE",
    "DROP AGGREGATE",
    "DROP OPERATOR",
    "DROP OPERATOR CLASS",
    "DROP OPERATOR FAMILY",
    "DROP COLLATION",
    "DROP CAST",
    "DROP LANGUAGE",
    "DROP ACCESS METHOD",
    "DROP OWNED",
];

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    NoIndex,
    /// A trigger of pgseal by what it does: seals, refuses.
    Trigger {
        job: String,
    },
    InsertRule {
        rule: String,
    },
    LaterTrigger {
        trigger: String,
    },
    NotPermanent,
    SealColumn {
        column: String,
    },
}

/// Something that is wrong with one table of a history.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Defect {
    /// Its oid: a rename neither makes nor mends a defect.
    pub relation: u32,
    pub flaw: Flaw,
}

/// Of each of these histories (roots), what is wrong. Locks no table.
pub fn defects(relations: &[u32], sees: Sees) -> BTreeMap<u32, BTreeSet<Defect>> {
    let mut found: BTreeMap<u32, BTreeSet<Defect>> = BTreeMap::new();
    if relations.is_empty() {
        return found;
    }
    let _path = PinnedPath::pin();
    for row in spi::query(&query(relations), sees) {
        if let [Some(root), Some(relation), Some(kind), what] = row.as_slice()
            && let (Ok(root), Ok(relation)) = (root.parse(), relation.parse())
        {
            let what = what.clone().unwrap_or_default();
            let flaw = match kind.as_str() {
                "index" => Flaw::NoIndex,
                "trigger" => Flaw::Trigger { job: what },
                "rule" => Flaw::InsertRule { rule: what },
                "later" => Flaw::LaterTrigger { trigger: what },
                "permanent" => Flaw::NotPermanent,
                _ => Flaw::SealColumn { column: what },
            };
            found.entry(root).or_default().insert(Defect { relation, flaw });
        }
    }
    found
}

fn query(relations: &[u32]) -> String {
    let roots = oids(relations);
    let seal_columns = columns::SEAL_COLUMNS.map(|(name, type_name)| format!("('{name}', '{type_name}')")).join(", ");
    format!(
        "WITH RECURSIVE member (root, relation) AS (
            SELECT c.oid, c.oid FROM pg_class c WHERE c.oid = ANY ('{roots}'::oid[])
            UNION ALL
            SELECT m.root, i.inhrelid FROM member m JOIN pg_inherits i ON i.inhparent = m.relation
             WHERE EXISTS (SELECT FROM pg_class c WHERE c.oid = i.inhrelid AND c.relispartition)
         ), part AS (
            SELECT m.root, c.oid, c.relkind, c.relpersistence FROM member m JOIN pg_class c ON c.oid = m.relation)
         SELECT root, oid, 'index', NULL
           FROM part
          WHERE relkind = 'r' AND NOT EXISTS (
            SELECT FROM pg_index i
             WHERE i.indrelid = part.oid AND i.indisunique AND i.indisvalid AND i.indisready
               AND i.indpred IS NULL AND i.indnkeyatts = 2
               AND (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[0]) = 'seal_chain'
               AND (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[1]) = 'seal_seq')
         UNION ALL
         SELECT root, part.oid, 'trigger', wanted.what
           FROM part, (VALUES ('seals inserted rows', 'seal_entry', 7, 'O', '{SEAL_TRIGGER}'),
                              ('refuses UPDATE and DELETE', 'refuse_change', 27, 'A', '{GUARD_TRIGGER}'),
                              ('refuses TRUNCATE', 'refuse_change', 34, 'A', '{TRUNCATE_TRIGGER}'))
                      AS wanted (what, function, kind, mode, name)
          WHERE NOT EXISTS (
            SELECT FROM pg_trigger t
              JOIN pg_proc p ON p.oid = t.tgfoid
             WHERE t.tgrelid = part.oid AND t.tgname = wanted.name AND p.pronamespace = 'seal'::regnamespace
               AND p.proname = wanted.function AND p.prosrc = 'pgseal_' || wanted.function
               AND p.probin = '$libdir/pgseal' AND t.tgtype = wanted.kind AND t.tgenabled = wanted.mode::\"char\"
               AND t.tgqual IS NULL AND t.tgattr::text = '')
         UNION ALL
         SELECT root, part.oid, 'rule', r.rulename
           FROM part JOIN pg_rewrite r ON r.ev_class = part.oid
          WHERE r.ev_type = '3' AND r.ev_enabled <> 'D'
         UNION ALL
         SELECT root, part.oid, 'later', t.tgname
           FROM part JOIN pg_trigger t ON t.tgrelid = part.oid
          WHERE t.tgtype & 7 = 7 AND t.tgenabled <> 'D' AND t.tgname > '{SEAL_TRIGGER}' COLLATE \"C\"
         UNION ALL
         SELECT root, oid, 'permanent', NULL FROM part WHERE relpersistence <> 'p'
         UNION ALL
         SELECT root, part.oid, 'column', wanted.name
           FROM part, (VALUES {seal_columns}) AS wanted (name, type_name)
          WHERE NOT EXISTS (
            SELECT FROM pg_attribute a
             WHERE a.attrelid = part.oid AND a.attname = wanted.name AND a.attnotnull AND NOT a.attisdropped
               AND format_type(a.atttypid, a.atttypmod) = wanted.type_name
               AND (a.attname <> 'seal_chain' OR a.attcollation = 'pg_catalog.\"C\"'::regcollation))"
    )
}

/// What is wrong with pgseal's own event triggers, as sentences.
pub fn watching_problems(sees: Sees) -> Vec<String> {
    let tags = WATCHED.map(|tag| format!("'{tag}'")).join(", ");
    let _path = PinnedPath::pin();
    let query = format!(
        "SELECT format('the event trigger %s, which %s, is missing, disabled or changed', wanted.name, wanted.job)
           FROM (VALUES ('pgseal_before_ddl', 'ddl_command_start', 'before_ddl', 'looks at histories before DDL'),
                        ('pgseal_after_ddl', 'ddl_command_end', 'after_ddl', 'judges what DDL did to histories'))
                AS wanted (name, event, function, job)
          WHERE NOT EXISTS (
            SELECT FROM pg_event_trigger e
              JOIN pg_proc p ON p.oid = e.evtfoid
             WHERE e.evtname = wanted.name AND e.evtevent = wanted.event AND e.evtenabled IN ('O', 'A')
               AND e.evttags @> ARRAY[{tags}]
               AND p.pronamespace = 'seal'::regnamespace AND p.proname = wanted.function
               AND p.prosrc = 'pgseal_' || wanted.function AND p.probin = '$libdir/pgseal')
          ORDER BY 1"
    );
    spi::column(spi::query(&query, sees))
}
