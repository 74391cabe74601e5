"""What pgseal.witness_command gets, when, and that listeners get the same."""

from __future__ import annotations

from urllib.parse import quote, unquote

import psycopg
import pytest

from support.cluster import Cluster
from support.database import Database
from support.sealing import history, run, wait_for
from support.servers import Servers
from support.witnessing import AT_ONCE, LINE, Sink, anchored, expected_line, fields, read, set_command, until

NAMES = [
    "with space",
    "quote'd \"twice\"",
    "ümläut-𝄞",
    "per%cent%20",
    "a=b mac=00 key=2",
    "$(touch pwned);`touch pwned`\\",
    "line\nbreak\ttab",
    "Az09_.:/-",
]


def test_the_line_fits_the_anchor(witness: Sink, sealed: Database) -> None:
    line = witness.wait_for(sealed)
    number = anchored(sealed)
    said = fields(line)
    assert said.pop("database") == sealed.name and len(said.pop("mac")) == 64
    assert said == expected_line(sealed, number)
    assert said["chain"] == sealed.value("SELECT DISTINCT seal_chain FROM h")


def test_each_anchor_is_one_line(witness: Sink, sealed: Database) -> None:
    for number in range(10, 14):
        sealed.run(f"INSERT INTO h VALUES ({number}, 'x')")
        witness.wait_for(sealed)
    lines = witness.lines(sealed.name)
    numbers = [int(fields(line)["number"]) for line in lines]
    assert numbers == list(range(1, anchored(sealed) + 1)) and len(numbers) >= 4
    for line in lines:
        said = fields(line)
        assert expected_line(sealed, int(said["number"])).items() <= said.items()
    ours = [line for line in witness.text().splitlines() if f" database={sealed.name} " in line]
    assert ours == lines and witness.text().endswith("\n")
    assert fields(lines[0])["full"] == "yes" and {fields(line)["full"] for line in lines[1:]} == {"no"}


def test_a_listener_gets_the_same_line(witness: Sink, sealed: Database) -> None:
    witness.wait_for(sealed)
    before = len(witness.lines(sealed.name))
    sealed.run("LISTEN pgseal_anchor")
    sealed.run("INSERT INTO h VALUES (10, 'x')")
    (heard,) = sealed.connection.notifies(timeout=10, stop_after=1)
    until(lambda: len(witness.lines(sealed.name)) > before)
    assert (heard.channel, heard.payload) == ("pgseal_anchor", witness.lines(sealed.name)[before])


def test_a_listener_needs_no_command_and_no_rights(fast: Cluster, sealed: Database) -> None:
    set_command(fast, None)
    anchored(sealed)
    sealed.run("CREATE ROLE listener LOGIN")
    try:
        session = sealed.connect("listener")
        run(session, "LISTEN pgseal_anchor")
        sealed.run("INSERT INTO h VALUES (10, 'x')")
        (heard,) = session.notifies(timeout=10, stop_after=1)
        number = int(fields(heard.payload)["number"])
        assert expected_line(sealed, number).items() <= fields(heard.payload).items()
        assert sealed.value("SELECT contained FROM seal.check_witness(%s)", [heard.payload]) is True
        session.close()
    finally:
        sealed.run("DROP ROLE listener")


def test_another_database_hears_nothing(witness: Sink, sealed: Database) -> None:
    witness.wait_for(sealed)
    other = sealed.cluster.connect("postgres")
    run(other, "LISTEN pgseal_anchor")
    sealed.run("INSERT INTO h VALUES (10, 'x')")
    witness.wait_for(sealed)
    assert list(other.notifies(timeout=0.3)) == []


@pytest.mark.parametrize("name", NAMES)
def test_names_of_databases(fast: Cluster, witness: Sink, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    with fast.connect() as server:
        run(server, f"CREATE DATABASE {quoted}")
        database = Database(fast, name)
        try:
            database.run("CREATE EXTENSION pgseal")
            history(database)
            database.run("INSERT INTO h VALUES (1, 'x')")
            written = quote(name, safe="_.:/-").replace("~", "%7E")
            line = witness.wait_for(database, written)
            assert unquote(fields(line)["database"]) == name
            answer = database.rows("SELECT contained, number FROM seal.check_witness(%s)", [line])
            assert answer == [(True, anchored(database))]
        finally:
            database.close()
            run(server, f"DROP DATABASE {quoted} WITH (FORCE)")
    assert not list(fast.data.glob("**/pwned"))


def test_set_and_unset_by_reload(fast: Cluster, sealed: Database) -> None:
    first, second = Sink(fast, "first"), Sink(fast, "second")
    set_command(fast, first.command)
    try:
        sealed.run("INSERT INTO h VALUES (10, 'x')")
        seen = first.wait_for(sealed)
        set_command(fast, second.command)
        sealed.run("INSERT INTO h VALUES (11, 'x')")
        assert second.wait_for(sealed) != seen
        set_command(fast, None)
        sealed.run("LISTEN pgseal_anchor")
        sealed.run("INSERT INTO h VALUES (12, 'x')")
        assert len(list(sealed.connection.notifies(timeout=10, stop_after=1))) == 1
        problem = "no anchor leaves the server: an older state of everything, put back, would not be found"
        assert sealed.rows("SELECT ok, problem FROM seal.check_setup() WHERE item = 'witness'") == [(False, problem)]
        set_command(fast, "")
        assert sealed.rows("SELECT ok FROM seal.check_setup() WHERE item = 'witness'") == [(False,)]
    finally:
        set_command(fast, None)
    assert first.lines(sealed.name)[-1] == seen
    assert fields(second.lines(sealed.name)[-1])["number"] == str(anchored(sealed) - 1)


def test_a_command_that_is_set_later_gets_the_newest_anchor(fast: Cluster, fresh: Database) -> None:
    """Also where nothing is sealed any more: otherwise nobody outside would know of what was sealed before."""
    set_command(fast, None)
    history(fresh)
    fresh.run("INSERT INTO h VALUES (1, 'x')")
    newest = anchored(fresh)
    later = Sink(fast, "later")
    set_command(fast, later.command)
    try:
        later.wait_until(lambda lines: [fields(line)["number"] for line in lines] == [str(newest)], fresh.name)
    finally:
        set_command(fast, None)


def test_after_a_restart_the_newest_anchor_is_handed_out_again(own_cluster: Servers) -> None:
    server = own_cluster(AT_ONCE)
    sink = Sink(server)
    set_command(server, sink.command)
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    line = sink.wait_for(db)
    for stop in (server.restart, server.crash):
        known = len(sink.lines())
        stop()
        assert sink.wait_until(lambda lines, known=known: len(lines) > known) == line


def test_only_the_superuser_sees_and_nobody_sets_the_command(fast: Cluster, sealed: Database) -> None:
    with pytest.raises(psycopg.errors.CantChangeRuntimeParam):
        sealed.run("SET pgseal.witness_command = 'true'")
    with pytest.raises(psycopg.errors.CantChangeRuntimeParam):
        sealed.run("SET pgseal.witness_interval = 0")
    sealed.run("CREATE ROLE curious LOGIN")
    try:
        session = sealed.connect("curious")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(session, "SHOW pgseal.witness_command")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(session, "ALTER SYSTEM SET pgseal.witness_command = 'true'")
        session.close()
    finally:
        sealed.run("DROP ROLE curious")


def test_it_runs_as_the_servers_user_without_the_key(fast: Cluster, witness: Sink, sealed: Database) -> None:
    report = Sink(fast, "environment")
    command = f"{{ id -un; pwd; env; cat; }} >> {report.path}"
    set_command(fast, command)
    sealed.run("INSERT INTO h VALUES (10, 'x')")
    until(lambda: any(LINE.fullmatch(line) for line in report.text().splitlines()))
    user, folder, *_ = report.text().splitlines()
    owner = fast.owner
    assert owner is None or user == owner.pw_name
    assert folder == str(fast.data)
    assert not fast.shows_key(read(report.path))


def test_nothing_attached_nothing_said(fast: Cluster, witness: Sink, fresh: Database) -> None:
    fresh.run("CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
    fresh.run("LISTEN pgseal_anchor")
    assert list(fresh.connection.notifies(timeout=0.5)) == []
    assert fresh.value("SELECT count(*) FROM seal.anchor") == 0
    assert witness.lines(fresh.name) == []


def test_an_idle_server_says_nothing(fast: Cluster, witness: Sink, sealed: Database) -> None:
    witness.wait_for(sealed)
    known = witness.lines(sealed.name)
    sealed.run("BEGIN; INSERT INTO h VALUES (10, 'x'); ROLLBACK")
    sealed.run("LISTEN pgseal_anchor")
    assert list(sealed.connection.notifies(timeout=1.0)) == []
    assert witness.lines(sealed.name) == known
    wait_for(sealed, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pgseal anchor worker'")
