"""ALTER EXTENSION pgseal UPDATE from every version that was released: histories go on, before and after, and what is
there then is what a fresh installation has, object for object."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.cluster import Cluster
from support.database import Database
from support.sealing import assert_whole, history
from support.tampering import triggers_off

ROOT = Path(__file__).parents[2]
RELEASED = sorted(path.stem.removeprefix("pgseal--") for path in (ROOT / "sql/released").glob("pgseal--*.sql"))

OBJECTS = """
    SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend
     WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
       AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pgseal')"""
DEFINITIONS = {
    "objects": OBJECTS,
    "functions": """
        SELECT p.oid::regprocedure::text, CASE p.prokind WHEN 'a' THEN '' ELSE pg_get_functiondef(p.oid) END,
               p.proacl::text, obj_description(p.oid, 'pg_proc')
          FROM pg_proc p WHERE pronamespace = 'seal'::regnamespace""",
    "aggregates": """
        SELECT a.aggfnoid::text, aggtransfn::text, aggfinalfn::text, aggcombinefn::text, aggserialfn::text,
               aggdeserialfn::text
          FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid WHERE pronamespace = 'seal'::regnamespace""",
    "relations": """
        SELECT c.oid::regclass::text, relkind::text, relpersistence::text, reloptions::text, relacl::text,
               obj_description(c.oid, 'pg_class'),
               CASE relkind WHEN 'v' THEN pg_get_viewdef(c.oid) WHEN 'i' THEN pg_get_indexdef(c.oid) END
          FROM pg_class c WHERE relnamespace = 'seal'::regnamespace""",
    "columns": """
        SELECT attrelid::regclass::text, attnum, attname, format_type(atttypid, atttypmod), attnotnull,
               attidentity::text, attcollation, col_description(attrelid, attnum), attacl::text,
               (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum)
          FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
         WHERE relnamespace = 'seal'::regnamespace AND attnum > 0 AND NOT attisdropped""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
         WHERE connamespace = 'seal'::regnamespace""",
    "triggers": """
        SELECT tgrelid::regclass::text, tgenabled::text, pg_get_triggerdef(t.oid) FROM pg_trigger t
          JOIN pg_class c ON c.oid = tgrelid WHERE relnamespace = 'seal'::regnamespace AND NOT tgisinternal""",
    "event triggers": """
        SELECT evtname, evtevent, evtfoid::regproc::text, evtenabled::text, evttags::text FROM pg_event_trigger""",
    "dumped": """
        SELECT c.relname, u.condition FROM pg_extension, unnest(extconfig, extcondition) AS u (oid, condition)
          JOIN pg_class c ON c.oid = u.oid WHERE extname = 'pgseal'""",
    "rights at creation": """
        SELECT pg_describe_object(classoid, objoid, objsubid), initprivs::text FROM pg_init_privs
         WHERE privtype = 'e' AND (classoid, objoid) IN (SELECT classid, objid FROM pg_depend
               WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
                 AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pgseal'))""",
}


def installed(db: Database) -> dict[str, list[tuple[object, ...]]]:
    return {what: sorted(db.rows(query), key=repr) for what, query in DEFINITIONS.items()}


@pytest.mark.parametrize("version", RELEASED)
def test_histories_go_on_and_the_schema_is_that_of_a_fresh_installation(
    cluster: Cluster, db: Database, version: str
) -> None:
    with cluster.database(extension=False) as old:
        old.run(f"CREATE EXTENSION pgseal VERSION '{version}'")
        history(old)
        old.run("INSERT INTO h SELECT g, 'before' FROM generate_series(1, 5) g")
        assert_whole(old, entries=5)
        old.run("ALTER EXTENSION pgseal UPDATE")
        assert_whole(old, entries=5)
        old.run("INSERT INTO h SELECT g, 'after' FROM generate_series(6, 9) g")
        assert_whole(old, entries=9)
        assert installed(old) == installed(db)
        with triggers_off(old.connection, "h"):
            old.run("UPDATE h SET p = 'x' WHERE id = 2")
        assert old.rows("SELECT kind, position FROM seal.findings()") == [("modified", 2)]


def test_every_released_version_leads_to_the_newest(db: Database) -> None:
    newest = db.value("SELECT extversion FROM pg_extension WHERE extname = 'pgseal'")
    ways = "SELECT source FROM pg_extension_update_paths('pgseal') WHERE target = %s AND path IS NOT NULL"
    paths = db.rows(ways, [newest])
    assert {source for (source,) in paths} == set(RELEASED) - {newest}
