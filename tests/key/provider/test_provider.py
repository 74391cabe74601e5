"""A library gives the key: what it seals verifies, whatever the order of libraries, and it is asked once."""

from __future__ import annotations

from typing import Any

import pytest

from support.cluster import Cluster
from support.database import Database
from support.providing import asked, fingerprint_of, secret_of

BY_THE_FIRST = "the first process for key 1 to sign"


def restart_with(server: Cluster, **settings: str | None) -> str:
    """Restarts with these settings, written with __ for the dot; returns what the log says of the start."""
    mark = server.log_position()
    server.configure({name.replace("__", "."): value for name, value in settings.items()}, restart=True)
    return server.log(mark)


def library_of(server: Cluster) -> str:
    return str(server.home / "testprovider.so")


def key_line(database: Database) -> tuple[Any, ...]:
    return database.rows("SELECT ok, problem, fix FROM seal.check_setup() WHERE item = 'key'")[0]


def assert_sealing_goes_on(server: Cluster, source: str) -> None:
    database = Database(server, "sealed")
    try:
        before = database.value("SELECT count(*) FROM h")
        database.run("INSERT INTO h SELECT max(n) + 1 FROM h")
        answer = database.rows("SELECT verdict, entries FROM seal.verify_history()")
        assert answer == [("intact", before + 1)]
        fingerprint = fingerprint_of(secret_of("1"))
        assert key_line(database)[1] == f"key 1 with fingerprint {fingerprint} from {source}"
        assert database.value("SELECT key_fingerprint FROM seal.status") == fingerprint
    finally:
        database.close()


@pytest.mark.parametrize("order", ["{library}, pgseal", "pgseal, {library}"])
def test_the_order_of_the_libraries_does_not_matter(server: Cluster, order: str) -> None:
    log = restart_with(server, shared_preload_libraries=order.format(library=library_of(server)))
    assert asked(log) == [BY_THE_FIRST]
    assert_sealing_goes_on(server, "testprovider")
    restart_with(server)
    assert_sealing_goes_on(server, "testprovider")


def test_its_bytes_are_those_that_another_source_writes_in_hex(server: Cluster) -> None:
    with_provider = str(server.settings["shared_preload_libraries"])
    path = str(server.write_key(secret_of("1").hex()))
    restart_with(server, shared_preload_libraries="pgseal", pgseal__key_file=path)
    assert_sealing_goes_on(server, "pgseal.key_file")
    restart_with(server, shared_preload_libraries=with_provider, pgseal__key_file=None)
    assert_sealing_goes_on(server, "testprovider")


def test_it_is_not_asked_again_when_the_server_restarts_its_processes(server: Cluster) -> None:
    mark = server.log_position()
    session = server.connect("sealed")
    server.kill_backend(session.info.backend_pid)
    assert_sealing_goes_on(server, "testprovider")
    assert asked(server.log(mark)) == []


def test_a_server_of_a_single_process_asks_too(server: Cluster) -> None:
    server.stop()
    single = server.run("postgres", "--single", "-D", server.data, "sealed", stdin="INSERT INTO h VALUES (99)\n")
    assert asked(single.stderr) == [BY_THE_FIRST]
    server.start()
    database = Database(server, "sealed")
    assert database.value("SELECT count(*) FROM h WHERE n = 99") == 1
    database.close()
    assert_sealing_goes_on(server, "testprovider")


def test_while_it_is_down_the_key_that_is_held_goes_on_sealing(server: Cluster) -> None:
    mark = server.log_position()
    server.configure({"testprovider.mode": "down"})
    assert_sealing_goes_on(server, "testprovider")
    server.configure({"testprovider.mode": "good"})
    assert asked(server.log(mark)) == []


def test_a_secret_of_the_greatest_length(server: Cluster) -> None:
    restart_with(server, testprovider__mode="longest")
    database = Database(server, "sealed")
    try:
        expected = fingerprint_of(secret_of("1", size=1024))
        assert key_line(database)[1] == f"key 1 with fingerprint {expected} from testprovider"
    finally:
        database.close()
    restart_with(server, testprovider__mode="good")


def test_a_library_that_a_session_loads_later_is_not_asked(server: Cluster) -> None:
    with_provider = str(server.settings["shared_preload_libraries"])
    path = str(server.write_key(secret_of("1").hex()))
    restart_with(server, shared_preload_libraries="pgseal", pgseal__key_file=path)
    mark = server.log_position()
    session = server.connect("sealed")
    session.execute(f"LOAD '{library_of(server)}'".encode())
    session.execute("INSERT INTO h VALUES (17)")
    assert session.execute("SELECT verdict FROM seal.verify_history()").fetchall() == [("intact",)]
    line = session.execute("SELECT problem FROM seal.check_setup() WHERE item = 'key'").fetchall()
    assert line == [(f"key 1 with fingerprint {fingerprint_of(secret_of('1'))} from pgseal.key_file",)]
    session.close()
    assert asked(server.log(mark)) == []
    restart_with(server, shared_preload_libraries=with_provider, pgseal__key_file=None)
