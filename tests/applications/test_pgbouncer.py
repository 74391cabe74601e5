"""PgBouncer in transaction mode: many clients share few sessions of the server, and hop from one to the other."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

from support.application import assert_recorded
from support.bouncing import Bouncer
from support.database import Database
from support.sealing import chains, refused

CLIENTS = 16
TRANSACTIONS = 12
POOL = 3
INSERT = "INSERT INTO h (tenant, payload) VALUES (%s, to_jsonb(%s::int))"


def client(bouncer: Bouncer, database: str, number: int) -> tuple[int, set[int]]:
    """Rows that were committed, and the server's sessions that did it."""
    choose, stored, sessions = random.Random(number), 0, set()
    with bouncer.connect(database) as connection:
        for _ in range(TRANSACTIONS):
            rows, end = choose.randint(1, 4), choose.choice(["commit", "commit", "rollback", "savepoint", "autocommit"])
            if end == "autocommit":
                connection.execute(INSERT, ["acme", number])
                stored += 1
                continue
            with connection.transaction(force_rollback=end == "rollback"):
                ((pid,),) = connection.execute("SELECT pg_backend_pid()").fetchall()
                for _ in range(rows):
                    connection.execute(INSERT, ["umbrella", number])
                if end == "savepoint":
                    with connection.transaction(force_rollback=True):
                        connection.execute(INSERT, ["acme", number])
            sessions.add(pid)
            stored += 0 if end == "rollback" else rows
    return stored, sessions


def test_many_clients_over_few_sessions(app: Database) -> None:
    with Bouncer(app.cluster, pool_size=POOL) as bouncer, ThreadPoolExecutor(CLIENTS) as threads:
        results = list(threads.map(lambda number: client(bouncer, app.name, number), range(CLIENTS)))
    used = set().union(*(sessions for _, sessions in results))
    assert 1 < len(used) <= POOL
    assert any(len(sessions) > 1 for _, sessions in results), "no client ever hopped"
    assert len(chains(app)) <= POOL
    assert_recorded(app, sum(stored for stored, _ in results))


def test_a_client_that_goes_away_in_a_transaction(app: Database) -> None:
    with Bouncer(app.cluster, pool_size=1) as bouncer:
        gone = bouncer.connect(app.name, autocommit=False)
        gone.execute(INSERT, ["acme", 1])
        gone.pgconn.finish()
        with bouncer.connect(app.name) as next_one:
            next_one.execute(INSERT, ["acme", 2])
            assert next_one.execute("SELECT count(*) FROM h").fetchall() == [(1,)]
    assert_recorded(app, 1)


def test_refusals_and_copy(app: Database) -> None:
    with Bouncer(app.cluster, pool_size=2) as bouncer, bouncer.connect(app.name) as session:
        with session.cursor() as cursor, cursor.copy("COPY h (tenant) FROM STDIN") as copy:
            copy.write("acme\numbrella\n")
        with refused("55000", 'DELETE is not allowed on history "public.h"', "seal.detach("):
            session.execute("DELETE FROM h")
        with (
            refused("428C9", 'COPY into history "public.h" needs a list of columns', "COPY public.h (id, tenant, at,"),
            session.cursor() as cursor,
            cursor.copy("COPY h FROM STDIN") as copy,
        ):
            copy.write("1\tacme\n")
        verdict = session.execute("SELECT verdict, entries FROM seal.verify_history(history => 'h')").fetchall()
        assert verdict == [("intact", 2)]
    assert_recorded(app, 2)


def test_prepared_inside_a_transaction(app: Database) -> None:
    """By PREPARE, in the session that the transaction has; another transaction may not find it."""
    with Bouncer(app.cluster, pool_size=2) as bouncer, bouncer.connect(app.name, autocommit=False) as session:
        for number in range(6):
            session.execute("PREPARE add (text) AS INSERT INTO h (tenant) VALUES ($1)")
            session.execute("EXECUTE add ('acme')")
            session.execute("DEALLOCATE add")
            if number % 2:
                session.rollback()
            else:
                session.commit()
    assert_recorded(app, 3)


def test_an_advisory_lock_of_a_transaction_orders_writers(app: Database) -> None:
    """Locks of a session would stay with a server session that others use; those of a transaction end with it."""

    def ordered(bouncer: Bouncer) -> None:
        with bouncer.connect(app.name) as session:
            for _ in range(5):
                with session.transaction():
                    session.execute("SELECT pg_advisory_xact_lock(7)")
                    session.execute("INSERT INTO h (payload) SELECT to_jsonb(count(*) + 1) FROM h")

    with Bouncer(app.cluster, pool_size=POOL) as bouncer, ThreadPoolExecutor(6) as threads:
        list(threads.map(ordered, [bouncer] * 6))
    assert app.value("SELECT array_agg(payload::int ORDER BY id) FROM h") == list(range(1, 31))
    assert_recorded(app, 30)
