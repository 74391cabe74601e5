"""INSERT in every shape that applications give it: what is returned, selected, generated, merged, looped over."""

from __future__ import annotations

import pytest

from support.application import assert_recorded, journal
from support.database import Database
from support.roles import Roles
from support.sealing import SEAL_COLUMNS, append_only, assert_whole, partitioned, refused, run

FILLED = 'column "seal_chain" of history "public.h" is filled by pgseal'
LEAVE_OUT = "Leave the seal_ columns out of the column list"


class TestReturning:
    def test_everything(self, app: Database) -> None:
        """RETURNING * is the whole entry as it is stored, signature and all."""
        (row,) = app.records("INSERT INTO h (tenant, payload) VALUES ('acme', '{\"a\": 1}') RETURNING *")
        assert list(row)[-7:] == list(SEAL_COLUMNS)
        assert (row["id"], row["seal_seq"], row["seal_epoch"]) == (1, 1, 1)
        assert app.records("SELECT * FROM h") == [row]
        assert_recorded(app, 1)

    def test_some_columns_of_many_rows(self, app: Database) -> None:
        returned = app.rows(
            "INSERT INTO h (tenant) SELECT 'acme' FROM generate_series(1, 50) RETURNING id, seal_seq, xmax"
        )
        assert returned == [(n, n, "0") for n in range(1, 51)]
        assert_recorded(app, 50)

    def test_what_a_cte_returned_goes_into_another_history(self, app: Database) -> None:
        journal(app, "copies")
        app.run("""WITH first AS (INSERT INTO h (tenant) VALUES ('acme'), ('umbrella') RETURNING id, tenant, seal_mac)
                   INSERT INTO copies (tenant, payload)
                   SELECT tenant, jsonb_build_object('of', id, 'mac', encode(seal_mac, 'hex')) FROM first""")
        copied = "SELECT (payload ->> 'of')::int, payload ->> 'mac' FROM copies ORDER BY 1"
        assert app.rows(copied) == app.rows("SELECT id, encode(seal_mac, 'hex') FROM h ORDER BY 1")
        assert_recorded(app, 2)
        assert_recorded(app, 2, "copies")


class TestSelected:
    def test_from_the_history_itself(self, app: Database) -> None:
        app.run("INSERT INTO h (tenant) VALUES ('acme'), ('umbrella')")
        for _ in range(3):
            app.run("INSERT INTO h (tenant, payload) SELECT tenant, jsonb_build_object('again', id) FROM h")
        assert_recorded(app, 16)

    def test_whole_rows_are_refused(self, app: Database) -> None:
        app.run("INSERT INTO h (tenant) VALUES ('acme')")
        app.run("CREATE TABLE kept AS TABLE h")
        for statement in ("SELECT * FROM h", "TABLE kept", "SELECT (k).* FROM kept k"):
            with refused("428C9", FILLED, LEAVE_OUT):
                app.run(f"INSERT INTO h {statement}")
            with refused("428C9", FILLED, LEAVE_OUT):
                app.run(f"INSERT INTO h {statement} ON CONFLICT DO NOTHING")
        assert_recorded(app, 1)

    def test_of_another_table_in_order_with_a_limit(self, app: Database) -> None:
        app.run("CREATE TABLE source AS SELECT g AS n FROM generate_series(1, 1000) g")
        app.run("""INSERT INTO h (payload) SELECT to_jsonb(n) FROM source ORDER BY n DESC LIMIT 10""")
        assert app.value("SELECT array_agg(payload::int ORDER BY seal_seq) FROM h") == list(range(1000, 990, -1))
        assert_recorded(app, 10)

    def test_select_into_a_new_table_is_no_history(self, app: Database) -> None:
        """A copy has the columns and not the triggers: it can be changed, and the history is as it was."""
        app.run(
            "INSERT INTO h (tenant) VALUES ('acme'); CREATE TABLE kept AS TABLE h; UPDATE kept SET tenant = 'other'"
        )
        assert_recorded(app, 1)


class TestGenerated:
    def test_default_values(self, app: Database) -> None:
        app.run("INSERT INTO h DEFAULT VALUES; INSERT INTO h DEFAULT VALUES; INSERT INTO h VALUES (DEFAULT, DEFAULT)")
        assert app.rows("SELECT id, tenant, seal_seq FROM h ORDER BY id") == [(n, "acme", n) for n in (1, 2, 3)]
        assert_recorded(app, 3)

    def test_without_a_list_of_columns(self, app: Database) -> None:
        """Values go to the first columns; a column that is added later stands behind the seal columns."""
        app.run("INSERT INTO h VALUES (1, 'acme', now(), '{}')")
        app.run("ALTER TABLE h ADD COLUMN origin text")
        with refused("428C9", FILLED, LEAVE_OUT):
            app.run("INSERT INTO h VALUES (2, 'acme', now(), '{}', 'here')")
        app.run("INSERT INTO h (id, tenant, at, payload, origin) VALUES (2, 'acme', now(), '{}', 'here')")
        assert_recorded(app, 2)

    def test_identity_serial_sequence_and_stored_columns(self, db: Database) -> None:
        db.run("""CREATE SEQUENCE numbers;
                  CREATE TABLE h (id bigint GENERATED ALWAYS AS IDENTITY, s serial, n int DEFAULT nextval('numbers'),
                                  u uuid DEFAULT gen_random_uuid(), p text,
                                  double int GENERATED ALWAYS AS (s * 2) STORED);
                  SELECT seal.attach('h')""")
        db.run("INSERT INTO h (p) VALUES ('a'), ('b')")
        db.run("BEGIN; INSERT INTO h (p) VALUES ('gone'); ROLLBACK")
        with refused("428C9", 'cannot insert a non-DEFAULT value into column "id"', "OVERRIDING SYSTEM VALUE"):
            db.run("INSERT INTO h (id) VALUES (7)")
        db.run("INSERT INTO h (id, p) OVERRIDING SYSTEM VALUE VALUES (7, 'c')")
        assert db.rows("SELECT id, s, n, double, p FROM h ORDER BY seal_seq") == [
            (1, 1, 1, 2, "a"),
            (2, 2, 2, 4, "b"),
            (7, 4, 4, 8, "c"),
        ]
        assert_whole(db, entries=3)


class TestRecords:
    """A record of the table's row type has the seal columns; NULL in them is as good as leaving them out."""

    def test_from_json(self, app: Database) -> None:
        rows = """'[{"id": 100, "tenant": "acme", "at": "2026-01-01", "payload": {"a": 1}},
                    {"id": 200, "tenant": "umbrella", "at": "2026-01-02", "payload": null}]'"""
        app.run(f"INSERT INTO h SELECT * FROM jsonb_populate_recordset(NULL::h, {rows}) WHERE id = 100")
        app.run(f"INSERT INTO h (tenant) SELECT tenant FROM jsonb_populate_recordset(NULL::h, {rows})")
        assert_recorded(app, 3)

    def test_in_a_function(self, app: Database) -> None:
        app.run("""DO $$ DECLARE entry h%ROWTYPE; BEGIN
                   entry.id = 7; entry.tenant = 'acme'; entry.at = now(); entry.payload = '{}';
                   INSERT INTO h VALUES (entry.*) RETURNING * INTO entry;
                   ASSERT entry.seal_seq = 1;
                   INSERT INTO h (tenant, payload) VALUES (entry.tenant, to_jsonb(entry));
                   END $$""")
        with refused("428C9", FILLED, LEAVE_OUT):
            app.run("""DO $$ DECLARE entry h%ROWTYPE; BEGIN
                       SELECT * INTO entry FROM h WHERE id = 7; entry.id = 8; INSERT INTO h VALUES (entry.*); END $$""")
        assert_recorded(app, 2)

    def test_a_table_that_is_made_like_the_history(self, app: Database) -> None:
        """INCLUDING ALL takes NOT NULL and index along, but no trigger fills the columns."""
        app.run("CREATE TABLE staged (LIKE h INCLUDING ALL)")
        with refused("23502", 'null value in column "seal_chain" of relation "staged"'):
            app.run("INSERT INTO staged (tenant) VALUES ('acme')")
        app.run("INSERT INTO h DEFAULT VALUES")
        assert_recorded(app, 1)


class TestMerge:
    SOURCE = "(VALUES (1, 'acme'), (2, 'umbrella'), (3, 'acme')) AS s (id, tenant) ON h.id = s.id"

    def test_only_inserts(self, app: Database) -> None:
        app.run("INSERT INTO h (id) VALUES (2)")
        for _ in range(2):
            app.run(f"""MERGE INTO h USING {self.SOURCE} WHEN MATCHED THEN DO NOTHING
                        WHEN NOT MATCHED THEN INSERT (id, tenant) VALUES (s.id, s.tenant)""")
        assert_recorded(app, 3)

    @pytest.mark.parametrize("action", ["UPDATE SET tenant = s.tenant", "DELETE"])
    def test_another_branch_is_refused_and_nothing_of_it_stays(self, app: Database, action: str) -> None:
        app.run("INSERT INTO h (id) VALUES (3)")
        with append_only(action.split()[0]):
            app.run(f"""MERGE INTO h USING {self.SOURCE} WHEN MATCHED THEN {action}
                        WHEN NOT MATCHED THEN INSERT (id, tenant) VALUES (s.id, s.tenant)""")
        assert_recorded(app, 1)


class TestFunctions:
    def test_a_loop_that_catches_errors(self, app: Database) -> None:
        """Each block is a savepoint; what it loses leaves no gap."""
        app.run("""DO $$ DECLARE n int; BEGIN
                   FOR n IN 1 .. 30 LOOP
                       BEGIN
                           INSERT INTO h (tenant, payload) VALUES ('acme', to_jsonb(n));
                           IF n % 3 = 0 THEN INSERT INTO h (tenant) VALUES ('nobody'); END IF;
                           IF n % 5 = 0 THEN DELETE FROM h WHERE payload = to_jsonb(n); END IF;
                       EXCEPTION WHEN check_violation OR object_not_in_prerequisite_state THEN NULL;
                       END;
                   END LOOP; END $$""")
        expected = [n for n in range(1, 31) if n % 3 and n % 5]
        assert app.value("SELECT array_agg(payload::int ORDER BY seal_seq) FROM h") == expected
        assert_recorded(app, len(expected))

    def test_a_procedure_that_commits(self, app: Database) -> None:
        app.run("""CREATE PROCEDURE fill() LANGUAGE plpgsql AS $$ BEGIN
                   FOR n IN 1 .. 10 LOOP
                       INSERT INTO h (payload) VALUES (to_jsonb(n));
                       IF n % 2 = 0 THEN COMMIT; ELSE ROLLBACK; END IF;
                   END LOOP; END $$""")
        app.run("CALL fill()")
        assert_recorded(app, 5)

    def test_explained_and_run(self, app: Database) -> None:
        app.run("EXPLAIN INSERT INTO h DEFAULT VALUES")
        plan = app.rows("EXPLAIN (ANALYZE, COSTS off) INSERT INTO h DEFAULT VALUES")
        assert any("zzz_pgseal_seal" in line for (line,) in plan)
        assert_recorded(app, 1)

    def test_by_a_function_with_its_owners_rights(self, app: Database, roles: Roles) -> None:
        """The only door of many applications: no right on the table."""
        app.run("""CREATE FUNCTION note_down(tenant text) RETURNS bigint LANGUAGE sql SECURITY DEFINER
                   SET search_path = pg_catalog, pg_temp
                   AS 'INSERT INTO public.h (tenant) VALUES (tenant) RETURNING seal_seq'""")
        client = roles.session("client")
        with refused("42501", "permission denied for table h"):
            client.execute("INSERT INTO h (tenant) VALUES ('acme')")
        assert client.execute("SELECT note_down('acme'), note_down('umbrella')").fetchall() == [(1, 2)]
        assert_recorded(app, 2)

    def test_a_role_that_may_insert_one_column_only(self, app: Database, roles: Roles) -> None:
        client = roles.session("client")
        app.run(f"GRANT INSERT (tenant) ON h TO {client.info.user}")
        client.execute("INSERT INTO h (tenant) VALUES ('acme')")
        with refused("42501", "permission denied for table h"):
            client.execute("INSERT INTO h (tenant) VALUES ('acme') RETURNING id")
        assert_recorded(app, 1)


class TestPartitions:
    @pytest.fixture(autouse=True)
    def table(self, db: Database) -> None:
        partitioned(db, leaves=3)

    def test_rows_of_one_statement_go_to_several_leaves(self, db: Database) -> None:
        assert db.rows("INSERT INTO h SELECT g, g % 3, 'x' FROM generate_series(1, 30) g RETURNING seal_seq") == [
            (n,) for n in range(1, 31)
        ]
        assert_whole(db, entries=30)

    def test_one_without_a_leaf_fails_with_its_statement(self, db: Database) -> None:
        run(db.connection, "BEGIN", "INSERT INTO h VALUES (1, 0, 'x')", "SAVEPOINT s")
        with refused("23514", 'no partition of relation "h" found for row'):
            db.run("INSERT INTO h VALUES (2, 1, 'x'), (3, 9, 'x')")
        run(db.connection, "ROLLBACK TO s", "INSERT INTO h VALUES (4, 2, 'x')", "COMMIT")
        assert_whole(db, entries=2)

    def test_merge_into_leaves(self, db: Database) -> None:
        db.run("""MERGE INTO h USING generate_series(1, 9) g ON h.id = g AND h.k = g % 3
                  WHEN NOT MATCHED THEN INSERT (id, k, p) VALUES (g, g % 3, 'm')""")
        with append_only("UPDATE", "h1"):
            db.run("MERGE INTO h USING generate_series(1, 1) g ON h.id = g WHEN MATCHED THEN UPDATE SET p = 'y'")
        assert_whole(db, entries=9)
