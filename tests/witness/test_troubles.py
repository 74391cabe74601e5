"""A witness command that does not do its work: who is told, what goes on all the same, and how it comes right again."""

from __future__ import annotations

import time

import pytest

from support.cluster import Cluster, ClusterError
from support.database import Database
from support.sealing import assert_whole, history, wait_for
from support.witnessing import Sink, anchored, fields, set_command, until

SETUP = "SELECT ok, problem, fix FROM seal.check_setup() WHERE item = 'witness'"
FIX = "run the command by hand as the server's user, with a line on standard input"
HINT = "HINT:  Run the command by hand as the server's user, with a line on standard input."
COMPLAINT = "x" * 15 + " "

FAULTS = {
    "fails": ("cat >/dev/null; echo 'no route to host' >&2; exit 7", "ended with exit status 7: no route to host"),
    "fails without a word": ("exit 1", "ended with exit status 1"),
    "is killed": ("kill -9 $$", "ended with signal 9"),
    "is missing": ("/nowhere/witness", "ended with exit status 127: "),
    "is no command": ("if then", "ended with exit status 2: "),
    "prints too much": ("yes | head -c 70000", "printed more than 65536 bytes"),
    "never stops printing": ("yes", "printed more than 65536 bytes"),
    "complains at length": (
        f"yes '{COMPLAINT}' | head -c 900000 >&2; exit 3",
        "ended with exit status 3: xxxxxxxxxxxxxxx ",
    ),
}


@pytest.mark.parametrize(("command", "problem"), FAULTS.values(), ids=FAULTS)
def test_a_failure_is_shown(
    fast: Cluster, sealed: Database, command: str, problem: str
) -> None:
    mark = fast.log_position()
    set_command(fast, command)
    try:
        sealed.run("INSERT INTO h VALUES (10, 'x')")
        whole = "pgseal.witness_command " + problem
        wait_for(sealed, f"SELECT NOT ok AND starts_with(problem, %s) FROM ({SETUP}) s", [whole])
        ((_, said, fix),) = sealed.rows(SETUP)
        assert len(said) < 500 and "\n" not in said and fix == FIX
        log = fast.wait_for_log("was not handed to the witness.", mark)
        assert f"LOG:  {said}" in log or f"WARNING:  {said}" in log
        assert HINT in fast.wait_for_log(HINT, mark)
        # Nothing else suffers.
        anchored(sealed)
        assert_whole(sealed, entries=4)
    finally:
        set_command(fast, None)


def test_what_failed_is_tried_again_with_the_newest_anchor(fast: Cluster, sealed: Database) -> None:
    anchored(sealed)
    set_command(fast, "echo 'no route to host' >&2; exit 7")
    said = "pgseal.witness_command ended with exit status 7: no route to host"
    try:
        sealed.run("INSERT INTO h VALUES (10, 'x')")
        wait_for(sealed, f"SELECT problem = %s FROM ({SETUP}) s", [said])
        assert said in sealed.value("SELECT s::text FROM seal.status s")
        sealed.run("INSERT INTO h VALUES (11, 'x')")
        newest = anchored(sealed)
        sink = Sink(fast, "mended")
        set_command(fast, sink.command)
        # Those in between are not needed.
        sink.wait_for(sealed)
        assert [fields(line)["number"] for line in sink.lines(sealed.name)] == [str(newest)]
        wait_for(sealed, f"SELECT ok FROM ({SETUP}) s")
        assert sealed.rows(SETUP) == [(True, "anchors are handed to pgseal.witness_command", None)]
        assert "witness_command" not in sealed.value("SELECT s::text FROM seal.status s")
    finally:
        set_command(fast, None)


WORKS = {
    "does not read": "exec <&-; sleep 0.1; exit 0",
    "reads a little": "head -c 10",
    "prints a little": "cat; cat >/dev/null; yes | head -c 60000",
    "complains, but takes the line": "cat >/dev/null; yes | head -c 900000 >&2",
}


@pytest.mark.parametrize("command", WORKS.values(), ids=WORKS)
def test_a_command_that_ends_with_zero_has_taken_the_line(fast: Cluster, sealed: Database, command: str) -> None:
    done = Sink(fast, "done")
    set_command(fast, f"({command}) && echo done >> {done.path}")
    try:
        anchored(sealed)
        mark = fast.log_position()
        sealed.run("INSERT INTO h VALUES (10, 'x')")
        before = done.text()
        until(lambda: len(done.text()) > len(before), "the command has ended")
        anchored(sealed)
        wait_for(sealed, f"SELECT ok FROM ({SETUP}) s")
        assert "witness_command" not in fast.log(mark).replace('parameter "pgseal.witness_command"', "")
    finally:
        done.path.unlink()
        set_command(fast, None)


def test_what_it_leaves_running_is_ended(fast: Cluster, sealed: Database) -> None:
    pids = Sink(fast, "pids")
    set_command(fast, f"sleep 250 & echo $! >> {pids.path}; sleep 251 >/dev/null 2>&1 <&- & echo $! >> {pids.path}")
    try:
        sealed.run("INSERT INTO h VALUES (10, 'x')")
        until(lambda: len(pids.lines()) >= 2)
        first, second = pids.lines()[:2]
        until(lambda: not _runs(first) and not _runs(second), "both are gone")
    finally:
        set_command(fast, None)


def test_a_part_of_a_key_is_not_shown(fast: Cluster, sealed: Database) -> None:
    mark = fast.log_position()
    set_command(fast, f"cat {fast.key_file} >&2; exit 1")
    try:
        sealed.run("INSERT INTO h VALUES (10, 'x')")
        wait_for(sealed, f"SELECT NOT ok FROM ({SETUP}) s")
        ((_, said, _),) = sealed.rows(SETUP)
        fast.wait_for_log("was not handed to the witness.", mark)
    finally:
        set_command(fast, None)
    assert said == "pgseal.witness_command ended with exit status 1"
    assert not fast.shows_key(said) and not fast.shows_key(fast.log(mark))


def test_one_that_hangs_keeps_the_others_waiting_for_ten_seconds_at_most(fast: Cluster, sealed: Database) -> None:
    other = fast.createdb()
    other.run("CREATE EXTENSION pgseal")
    history(other)
    anchored(other)
    anchored(sealed)
    pids = Sink(fast, "hanging")
    mark = fast.log_position()
    # Only for one of the two databases.
    hang = f"trap '' TERM INT HUP; echo $$ >> {pids.path}; sleep 100"
    set_command(fast, f"read line; case $line in *database={sealed.name}' '*) {hang};; esac")
    try:
        sealed.run("INSERT INTO h VALUES (10, 'x')")
        until(lambda: bool(pids.lines()), "it hangs")
        begun = time.monotonic()
        (pid, *_) = pids.lines()
        for number in range(20, 30):
            sealed.run(f"INSERT INTO h VALUES ({number}, 'x')")
            other.run(f"INSERT INTO h VALUES ({number}, 'x')")
        assert time.monotonic() - begun < 3.0, "sealing waits for the witness"
        assert _runs(pid)
        until(lambda: other.value("SELECT sum(unanchored) FROM seal.status") == 0, "anchored", deadline=11.0)
        until(lambda: not _runs(pid), "it is killed", deadline=12.0)
        assert 8.0 < time.monotonic() - begun < 12.0
        set_command(fast, None)
        assert_whole(other, entries=10)
        assert_whole(sealed, entries=14)
        problem = "pgseal.witness_command did not end within 10 s and was killed"
        assert f"LOG:  {problem}" in fast.log(mark)
    finally:
        set_command(fast, None)
        other.drop()


@pytest.mark.parametrize("statement", ["DROP DATABASE {}", "CREATE DATABASE copied TEMPLATE {}"])
def test_one_that_hangs_is_not_in_the_way_of(fast: Cluster, statement: str) -> None:
    db = fast.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    anchored(db)
    pids = Sink(fast, "in-the-way")
    set_command(fast, f"read line; case $line in *database={db.name}' '*) echo $$ >> {pids.path}; sleep 100;; esac")
    try:
        db.run("INSERT INTO h VALUES (1, 'x')")
        until(lambda: bool(pids.lines()), "it hangs")
        db.close()
        fast.psql(statement.format(db.name))
    except ClusterError as error:
        raise AssertionError(f"a witness command that hangs is in the way: {error}") from error
    finally:
        set_command(fast, None)
        pids.path.unlink()
        fast.dropdb(db.name)
        fast.dropdb("copied")


def _runs(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
