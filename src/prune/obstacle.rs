//! What stands in the way of deleting entries with the rights of the table's owner: found before it is
//! tried, since an error would undo the record of the run.

use crate::pg::spi;

/// Why nothing can be deleted from this history, and what to do about it.
pub fn of(root: u32) -> Option<String> {
    deferred_trigger(root).or_else(|| changing_key(root)).or_else(|| missing_rights(root))
}

/// What is deferred would run when the transaction commits, with the rights of whoever prunes.
fn deferred_trigger(root: u32) -> Option<String> {
    first(&format!(
        "SELECT format('trigger %I on %s runs deferred after DELETE, which pruning does not allow: ALTER TABLE %s DISABLE TRIGGER %I',
                       t.tgname, t.tgrelid::regclass, t.tgrelid::regclass, t.tgname)
           FROM pg_trigger t
          WHERE {} AND t.tgdeferrable AND NOT t.tgisinternal AND t.tgtype & 8 <> 0 AND t.tgenabled <> 'D'",
        of_history("t.tgrelid", root)
    ))
}

/// Rows of other tables would be deleted or changed along with the entries.
fn changing_key(root: u32) -> Option<String> {
    first(&format!(
        "SELECT format('foreign key %I of %s would delete or change rows there: give it ON DELETE NO ACTION', c.conname, c.conrelid::regclass)
           FROM pg_constraint c
          WHERE c.contype = 'f' AND {} AND c.confdeltype NOT IN ('a', 'r')",
        of_history("c.confrelid", root)
    ))
}

fn missing_rights(root: u32) -> Option<String> {
    first(&format!(
        "SELECT CASE
                WHEN c.relforcerowsecurity AND c.relrowsecurity
                THEN format('row-level security is forced on the owner of %s: ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', c.oid::regclass, c.oid::regclass)
                WHEN NOT (has_table_privilege(c.relowner, c.oid, 'SELECT') AND has_table_privilege(c.relowner, c.oid, 'DELETE'))
                THEN format('the owner of %s has no right to read it and to delete from it: GRANT SELECT, DELETE ON %s TO %I', c.oid::regclass, c.oid::regclass, pg_get_userbyid(c.relowner))
                END
           FROM pg_class c WHERE c.oid = {root}"
    ))
}

fn of_history(column: &str, root: u32) -> String {
    format!("({column} = {root} OR {column} IN (SELECT relid FROM pg_partition_tree({root})))")
}

fn first(query: &str) -> Option<String> {
    spi::value(spi::read(query))
}
