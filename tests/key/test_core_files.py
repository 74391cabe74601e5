"""A core file of any process of the server has no byte of a secret: they are in memory that cores leave out."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.leaking import Hidden, core_of, processes
from support.sealing import wait_for
from support.starting import put

KEYS = [
    "b1d4f06a93c7285ee1907c3ba64df218c05b7e19d3a84f620c97e5b81a36fd42",
    "4ce80f7321bb96d05a17d9c46e83f52b97a10d68bc3ef4728015d6a94b7fe32c",
]
SECRET = Hidden(*KEYS)
HISTORY = "CREATE TABLE h (n int, t text); SELECT seal.attach('h', tenant_column => 't')"


@pytest.fixture(scope="module", params=["pgseal.key_file", "pgseal.key_command"])
def server(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    settings = {"shared_buffers": "16MB", "pgseal.anchor_interval": "100ms", "autovacuum": False}
    own = Cluster(settings, key=KEYS[0])
    try:
        own.create()
        for number, key in enumerate(KEYS, 1):
            put(own, f"key-{number}", key + "\n")
        path = f"{own.home}/key-%k"
        del own.settings["pgseal.key_file"]
        own.settings[request.param] = {"pgseal.key_file": path, "pgseal.key_command": f"cat {path}"}[request.param]
        own.start()
        yield own
    finally:
        own.destroy()


@pytest.fixture
def database(server: Cluster) -> Iterator[Database]:
    with server.database() as made:
        made.run(HISTORY)
        yield made


def work(database: Database) -> None:
    """Everything that needs a key, in this session."""
    database.run("INSERT INTO h SELECT g, 'acme' FROM generate_series(1, 100) g")
    assert database.rows("SELECT verdict, entries FROM seal.verify_history()") == [("intact", 100)]
    database.run("SELECT seal.rotate_key()")
    database.run("INSERT INTO h VALUES (101, 'acme'); ALTER TABLE h ADD COLUMN c int")
    assert database.rows("SELECT verdict FROM seal.verify_and_prune('h')") == [("intact",)]
    assert database.rows("SELECT verdict FROM seal.verify_history('acme')") == [("intact",)]
    assert database.value("SELECT seal.report()").startswith("PGSEAL REPORT: INTACT")


def test_of_every_process(server: Cluster, database: Database) -> None:
    """Of a backend that has done everything and waits, of the first process, of the launcher and of what it started."""
    work(database)
    marker = secrets.token_hex(16)
    database.run("SELECT set_config('pgseal_test.marker', %s, false)", [marker])
    backend = database.connection.info.backend_pid
    found, marked = {}, []
    for pid, name in processes(server).items():
        core = core_of(server, pid)
        if core is None:
            continue
        # It is the memory of this process: it has the path that the keys came from.
        assert f"{server.home}/key-%k".encode() in core, name
        if marker.encode() in core:
            marked.append(pid)
        found[name] = SECRET.in_bytes(core)
    assert marked == [backend]
    assert any("pgseal launcher" in name for name in found) and len(found) >= 5, list(found)
    assert {name: places for name, places in found.items() if places} == {}


WAITING = "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


def test_of_a_backend_amid_its_work(server: Cluster, database: Database) -> None:
    """It has derived its keys for the first row, and has not come back from the statement yet."""
    holder = database.connect()
    holder.execute(b"SELECT pg_advisory_lock(7)")
    session = database.connect()
    waits = "CASE g WHEN 2 THEN pg_advisory_xact_lock(7)::text END"
    session.pgconn.send_query(f"INSERT INTO h SELECT g, {waits} FROM generate_series(1, 3) g".encode())
    wait_for(database, WAITING)
    core = core_of(server, session.info.backend_pid)
    assert core and SECRET.in_bytes(core) == []
    holder.execute(b"SELECT pg_advisory_unlock(7)")
    wait_for(database, "SELECT count(*) = 3 FROM h")


def test_what_is_looked_for_is_found() -> None:
    secret = bytes.fromhex(KEYS[0])
    some = Hidden(KEYS[0])
    around = secrets.token_bytes(1000)
    assert some.in_bytes(around) == [] and some.in_text(around) == []
    for at in range(len(secret) - 14):
        part = secret[at : at + 15]
        for form in [part, part.hex().encode(), part.hex().upper().encode(), bytes(byte ^ 0x5C for byte in part)]:
            assert some.in_bytes(around + form + around), (at, form)
    for before in range(3):
        text = base64.b64encode(b"k" * before + secret + b"e" * before)
        assert some.in_bytes(around + text + around) and some.in_text(around + text[8:24] + around)
    assert some.in_text("x" + KEYS[0][5:20].upper())
