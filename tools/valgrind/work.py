"""What the server does under valgrind: a plain server's work, and what pgseal is asked for in a history's life."""

from __future__ import annotations

from support.anchoring import settle
from support.clock import Clock
from support.cluster import Cluster
from support.database import Database
from support.ring import KeyFolder
from support.windows import damage

COLUMNS = """id int PRIMARY KEY, tenant text, payload jsonb, amount numeric, share float8, small float4, at timestamptz,
    day date, flag bool, raw bytea, tags text[], code uuid, span tstzrange, plain json"""
ROWS = """INSERT INTO h (id, tenant, payload, amount, share, small, at, day, flag, raw, tags, code, span, plain)
    SELECT n, 'tenant ' || n %% 5,
           jsonb_build_object('n', n, 'text', repeat('ü"', n %% 40), 'deep', '[[1, {"a": null}], -0.0]'::jsonb),
           n / 7.0, 1e300 / n, -n, '2026-01-01'::timestamptz + n * interval '1 hour', '2026-01-01'::date + n,
           n %% 2 = 0, decode(md5(n::text), 'hex'), ARRAY['a', n::text, NULL], md5(n::text)::uuid,
           tstzrange('2026-01-01', '2026-01-02'), '{"a": 1, "a": 2}'
      FROM generate_series(%s::int, %s::int) n ON CONFLICT DO NOTHING"""
LARGE = """INSERT INTO h (id, payload)
    SELECT %s::int, jsonb_object_agg(n::text, md5(n::text)) FROM generate_series(1, 3000) n"""


def write(db: Database, first: int) -> None:
    """100 rows by statements of every kind."""
    db.run(ROWS, [first, first + 49])
    db.run(ROWS, [first, first + 59])
    db.run(LARGE, [first + 60])
    with db.connection.cursor().copy("COPY h (id, tenant, payload) FROM STDIN") as copy:
        for number in range(first + 61, first + 80):
            copy.write_row((number, f"tenant {number % 5}", '{"copied": true}'))
    with db.connection.transaction():
        db.run(ROWS, [first + 80, first + 84])
        db.run("SAVEPOINT a")
        db.run(ROWS, [first + 85, first + 89])
        db.run("ROLLBACK TO a")
        db.run(ROWS, [first + 90, first + 94])
    db.run(f"BEGIN; INSERT INTO h (id) VALUES ({first + 95}); PREPARE TRANSACTION 'one'")
    db.run("COMMIT PREPARED 'one'")
    db.run(f"BEGIN; INSERT INTO h (id) VALUES ({first + 96}); ROLLBACK")
    db.run(
        f"DO $$ BEGIN INSERT INTO h (id) VALUES ({first + 97}), ({first});"
        f" EXCEPTION WHEN unique_violation THEN INSERT INTO h (id) VALUES ({first + 98}); END $$"
    )


def plain(server: Cluster, _clock: Clock) -> None:
    """The same statements on a table that is not sealed, and queries by parallel workers."""
    db = server.createdb()
    db.run(f"CREATE TABLE h ({COLUMNS})")
    write(db, 1)
    db.rows("SELECT tenant, count(*), max(payload::text), sum(length(raw)) FROM h GROUP BY 1")
    db.run("SET max_parallel_workers_per_gather = 0")
    db.rows("SELECT h, to_jsonb(h) FROM h")
    db.run("DELETE FROM h WHERE id < 20; UPDATE h SET payload = '{}' WHERE id = 30; ALTER TABLE h ADD x int")
    db.run("VACUUM h")
    db.run("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    db.run("CREATE TRIGGER t BEFORE INSERT ON h FOR EACH ROW EXECUTE FUNCTION f()")
    write(db, 101)
    db.close()


def verify(db: Database, verdict: str) -> None:
    """By parallel workers and by one process, of all and of one tenant."""
    for workers in (2, 0):
        db.run(f"SET max_parallel_workers_per_gather = {workers}")
        found = db.rows("SELECT verdict FROM seal.verify_history(history => 'h')")
        assert found == [(verdict,)], found
    db.rows("SELECT * FROM seal.verify_history('tenant 1', 'h')")
    db.rows("SELECT * FROM seal.findings(history => 'h')")


def sealed(server: Cluster, clock: Clock) -> None:
    keys = KeyFolder(server)
    keys.make(1, server.key)
    keys.make(2)
    server.configure({"pgseal.key_file": f"{keys.path}/%k"}, restart=True)
    db = server.createdb(name="sealed")
    db.run("CREATE EXTENSION pgseal")
    db.run(f"CREATE TABLE h ({COLUMNS})")
    db.run("SELECT seal.attach('h', tenant_column => 'tenant', window_months => 12)")
    write(db, 1)
    db.rows("SELECT seal.document(h) FROM h")
    verify(db, "intact")
    settle(db, "h")

    db.run("SELECT seal.rotate_key()")
    db.run("ALTER TABLE h ADD added numeric DEFAULT 1.50")
    write(db, 101)
    verify(db, "intact")
    settle(db, "h")

    clock.forward(days=400)
    write(db, 201)
    settle(db, "h")
    run = db.records("SELECT verdict, pruned FROM seal.verify_and_prune('h')")
    assert run[0]["verdict"] == "intact", run
    verify(db, "intact")
    db.rows("SELECT * FROM seal.verify_since_checkpoint('h')")

    damage(db, "UPDATE h SET amount = 0 WHERE id = 205", "DELETE FROM h WHERE id = 210")
    verify(db, "tampered")
    for asked in (
        "SELECT seal.acknowledge('tried', 'h')",
        "SELECT seal.report()",
        "SELECT * FROM seal.status, seal.metrics, seal.database_metrics",
        "SELECT * FROM seal.check_setup()",
        "SELECT * FROM seal.journal",
        "SELECT seal.detach('h')",
    ):
        db.rows(asked)
    db.close()
