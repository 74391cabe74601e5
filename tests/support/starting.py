"""Servers that start with a key, without one, or not at all.

    put(server, "bad", KEY, 0o640)                     a file of the server's user
    log = restart_with(server, {"pgseal.key": KEY})    with exactly these sources of a key
    fatal, hint = refused(server, settings)            it does not start: what its log says
    closed(server, settings, fault)                    both: it does not start; and where no key is required, it
                                                       starts, seals nothing, and calls nothing tampered
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.cluster import Cluster, ClusterError, Setting
from support.database import Database
from support.refusal import NOT_IN_STATE, refusal
from support.sealing import wait_for
from support.servers import watched

KEY = "5ea1c0de" * 8
SOURCES = ["pgseal.key", "pgseal.key_file", "pgseal.key_command"]
NO_WAY_OUT = "To start without a key, unable to seal: pgseal.require_key = off."


@dataclass(frozen=True)
class Fault:
    """Why there is no key, as the log has it in one line; and what to do."""

    reason: str
    remedy: str

    @property
    def sentence(self) -> str:
        """The same as the DETAIL of a WARNING or an ERROR."""
        setting = self.reason.startswith("pgseal.")
        return f"Setting {self.reason}" if setting else self.reason[0].upper() + self.reason[1:]


@contextmanager
def sealed_server() -> Iterator[Cluster]:
    """A server whose database `sealed` has a history `h` with one entry, made with KEY."""
    with watched({"pgseal.witness_command": "cat > /dev/null"}, key=KEY) as own:
        database = own.createdb(name="sealed")
        database.run("CREATE EXTENSION pgseal; CREATE TABLE h (n int); SELECT seal.attach('h')")
        database.run("INSERT INTO h VALUES (1)")
        database.close()
        yield own


def put(server: Cluster, name: str, content: str | bytes, mode: int = 0o600) -> str:
    """A file of the server's user."""
    path = server.home / name
    path.unlink(missing_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    server.give(path)
    path.chmod(mode)
    return str(path)


def _choose(server: Cluster, settings: Mapping[str, Setting]) -> None:
    for name in [*SOURCES, "pgseal.key_command_timeout", "pgseal.require_key"]:
        server.settings.pop(name, None)
    server.settings.update(settings)


def restart_with(server: Cluster, settings: Mapping[str, Setting]) -> str:
    """Restarts with exactly these sources of a key; returns what the log says of the start."""
    server.stop()
    _choose(server, settings)
    mark = server.log_position()
    server.start()
    return server.log(mark)


def refused(server: Cluster, settings: Mapping[str, Setting]) -> tuple[str, str]:
    """The server does not start with these settings: the one line that says why, and its HINT."""
    server.stop()
    _choose(server, settings)
    return refused_as_it_is(server)


def refused_as_it_is(server: Cluster) -> tuple[str, str]:
    """The server, which is stopped, does not start: the one line that says why, and its HINT."""
    mark = server.log_position()
    with pytest.raises(ClusterError, match="did not start"):
        server.start()
    # What came after the line belongs to it: HINT, and nothing else.
    lines = server.log(mark).splitlines()
    at = next(number for number, line in enumerate(lines) if "FATAL: " in line)
    assert [line for line in lines[at + 2 :] if "shut down" not in line] == [], lines
    assert [line for line in lines[:at] if "WARNING: " in line] == [], lines
    return lines[at].partition("FATAL:  ")[2], lines[at + 1].partition("HINT:  ")[2]


def closed(server: Cluster, settings: Mapping[str, Setting], fault: Fault) -> None:
    """With these settings there is no key; `server` is that of `sealed_server`."""
    fatal, hint = refused(server, settings)
    assert fatal == f"pgseal has no usable key: {fault.reason}"
    assert fault.remedy in hint and hint.endswith(NO_WAY_OUT), hint
    log = restart_with(server, {**settings, "pgseal.require_key": False})
    assert "WARNING:  pgseal has no usable key\n" in log
    assert fault.sentence in log and fault.remedy in log
    assert_nothing_works_but_nothing_is_called_tampered(server, fault)


def assert_nothing_works_but_nothing_is_called_tampered(server: Cluster, fault: Fault) -> None:
    database = Database(server, "sealed")
    try:
        said = refusal(database, "INSERT INTO h VALUES (2)")
        assert said.state == NOT_IN_STATE
        assert said.message == 'cannot seal a row of history "public.h" without a key'
        assert fault.sentence in said.detail
        assert fault.remedy in said.hint
        database.run("CREATE TABLE IF NOT EXISTS other (n int)")
        attach = refusal(database, "SELECT seal.attach('other')")
        assert (attach.state, attach.message) == (NOT_IN_STATE, "pgseal has no usable key")
        assert database.value("SELECT count(*) FROM h") == 1
        assert database.value("SELECT verdict FROM seal.verify_history()") == "unverifiable"
        assert database.value("SELECT seal.is_intact()") is False
        step = database.value("SELECT next_step FROM seal.verify_history()")
        assert fault.remedy in step
        assert {kind for (kind,) in database.rows("SELECT kind FROM seal.findings()")} == {"unknown_key"}
        assert database.rows("SELECT ok FROM seal.status") == [(False,)]
        assert fault.remedy in database.value("SELECT fix FROM seal.check_setup() WHERE item = 'key' AND NOT ok")
        (required,) = database.records("SELECT ok, fix FROM seal.check_setup() WHERE item = 'key required'")
        assert required["ok"] is False and "set pgseal.require_key = on" in required["fix"]
    finally:
        database.close()


def assert_all_is_well(server: Cluster, but: str = "") -> None:
    """What `sealed_server` has made is intact, and nothing is wrong with the server; `but` one item."""
    database = Database(server, "sealed")
    try:
        assert database.value("SELECT verdict FROM seal.verify_history()") == "intact"
        # The launcher starts when the server already answers.
        wait_for(database, "SELECT ok FROM seal.check_setup() WHERE item = 'anchor worker'")
        assert database.rows("SELECT item FROM seal.check_setup() WHERE NOT ok AND item <> %s", [but]) == []
    finally:
        database.close()


def is_alive(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
