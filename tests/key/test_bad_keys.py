"""Every way not to have a key: the server starts, says so, seals nothing, and calls nothing tampered."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from support.cluster import Cluster, Setting
from support.database import Database
from support.refusal import NOT_IN_STATE, refusal
from support.sealing import wait_for
from support.servers import watched

KEY = "5ea1c0de" * 8
SOURCES = ["pgseal.key", "pgseal.key_file", "pgseal.key_command"]


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """One server for this file, restarted with other keys; a history with an entry is in `sealed`."""
    with watched({"pgseal.witness_command": "cat > /dev/null"}, key=KEY) as own:
        database = own.createdb(name="sealed")
        database.run("CREATE EXTENSION pgseal; CREATE TABLE h (n int); SELECT seal.attach('h')")
        database.run("INSERT INTO h VALUES (1)")
        database.close()
        yield own


def restart_with(server: Cluster, settings: dict[str, Setting]) -> str:
    """Restarts with exactly these sources of a key; returns what the log says of the start."""
    mark = server.log_position()
    server.configure({**dict.fromkeys(SOURCES), "pgseal.key_command_timeout": None, **settings}, restart=True)
    return server.log(mark)


def put(server: Cluster, name: str, content: str | bytes, mode: int = 0o600) -> str:
    """A file of the server's user."""
    path = server.home / name
    path.unlink(missing_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    server.give(path)
    path.chmod(mode)
    return str(path)


def assert_nothing_works_but_nothing_is_called_tampered(server: Cluster, log: str, detail: str, remedy: str) -> None:
    assert "WARNING:  pgseal has no usable key" in log
    assert detail in log and remedy in log
    database = Database(server, "sealed")
    try:
        refused = refusal(database, "INSERT INTO h VALUES (2)")
        assert refused.state == NOT_IN_STATE
        assert refused.message == 'cannot seal a row of history "public.h" without a key'
        assert detail in refused.detail
        assert remedy in refused.hint
        database.run("CREATE TABLE IF NOT EXISTS other (n int)")
        attach = refusal(database, "SELECT seal.attach('other')")
        assert (attach.state, attach.message) == (NOT_IN_STATE, "pgseal has no usable key")
        assert database.value("SELECT count(*) FROM h") == 1
        assert database.value("SELECT verdict FROM seal.verify_history()") == "unverifiable"
        assert database.value("SELECT seal.is_intact()") is False
        step = database.value("SELECT next_step FROM seal.verify_history()")
        assert remedy in step
        assert {kind for (kind,) in database.rows("SELECT kind FROM seal.findings()")} == {"unknown_key"}
        assert database.rows("SELECT ok FROM seal.status") == [(False,)]
        assert remedy in database.value("SELECT fix FROM seal.check_setup() WHERE item = 'key' AND NOT ok")
    finally:
        database.close()


def assert_all_is_well(server: Cluster) -> None:
    database = Database(server, "sealed")
    try:
        assert database.value("SELECT verdict FROM seal.verify_history()") == "intact"
        # The launcher starts when the server already answers.
        wait_for(database, "SELECT ok FROM seal.check_setup() WHERE item = 'anchor worker'")
        assert database.rows("SELECT item FROM seal.check_setup() WHERE NOT ok AND item <> 'key'") == []
    finally:
        database.close()


def test_no_source_at_all(server: Cluster) -> None:
    log = restart_with(server, {})
    detail = "None of pgseal.key_command, pgseal.key_file and pgseal.key is set."
    assert_nothing_works_but_nothing_is_called_tampered(server, log, detail, "openssl rand -hex 32")


@pytest.mark.parametrize("both", [SOURCES[:2], SOURCES[1:], [SOURCES[0], SOURCES[2]]])
def test_two_sources(server: Cluster, both: list[str]) -> None:
    values: dict[str, Setting] = {
        "pgseal.key": KEY,
        "pgseal.key_file": str(server.key_file),
        "pgseal.key_command": f"cat {server.key_file}",
    }
    log = restart_with(server, {name: values[name] for name in both})
    names = " and ".join(sorted(both, key=["pgseal.key_command", "pgseal.key_file", "pgseal.key"].index))
    detail = f"Setting {names} are both set, but a key has exactly one source."
    assert_nothing_works_but_nothing_is_called_tampered(server, log, detail, "Keep one of the two in postgresql.conf")


def bad_file(server: Cluster, fault: str) -> tuple[str, str]:
    """The path, and what is said of it."""
    path = server.home / "bad"
    malformed = "Setting pgseal.key_file: "
    if fault == "missing":
        return str(server.home / "nowhere"), f'The key file "{server.home / "nowhere"}" cannot be read: '
    if fault == "directory":
        path = server.home / "folder"
        path.mkdir(exist_ok=True)
        return str(path), f'The key file "{path}" is not a regular file.'
    if fault == "fifo":
        path = server.home / "pipe"
        if not path.exists():
            os.mkfifo(path)
        server.give(path)
        return str(path), f'The key file "{path}" is not a regular file.'
    contents: dict[str, str | bytes] = {
        "empty": "", "blank": "\n", "short": KEY[:62], "short base64": base64.b64encode(b"k" * 31).decode(),
        "odd": KEY + "0", "not hex": "correct horse battery staple, twenty-one times over!",
        "binary": bytes(range(128, 192)), "two lines": f"{KEY}\n{KEY}x\n", "unreadable": KEY,
        "world-readable": KEY, "group-readable": KEY, "group-writable": KEY, "world-executable": KEY,
    }  # fmt: skip
    modes = {"unreadable": 0, "world-readable": 0o604, "group-readable": 0o640, "group-writable": 0o620,
             "world-executable": 0o601}  # fmt: skip
    put(server, "bad", contents[fault], modes.get(fault, 0o600))
    if fault == "unreadable":
        return str(path), f'The key file "{path}" cannot be read: '
    if fault in modes:
        return str(path), f'The key file "{path}" has mode {modes[fault]:04o}: others than its owner can use it.'
    return str(path), malformed


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        ("missing", "Let pgseal.key_file name a regular file"),
        ("directory", "Let pgseal.key_file name a regular file"),
        ("fifo", "Let pgseal.key_file name a regular file"), ("unreadable", "Let pgseal.key_file name a regular file"),
        ("world-readable", "Run: chmod 600 "), ("group-readable", "Run: chmod 600 "),
        ("group-writable", "Run: chmod 600 "), ("world-executable", "Run: chmod 600 "),
        ("empty", "openssl rand -hex 32"), ("blank", "openssl rand -hex 32"), ("short", "openssl rand -hex 32"),
        ("short base64", "openssl rand -hex 32"), ("not hex", "openssl rand -hex 32"),
        ("binary", "openssl rand -hex 32"), ("two lines", "openssl rand -hex 32"),
    ],
)  # fmt: skip
def test_a_bad_file(server: Cluster, fault: str, remedy: str) -> None:
    path, detail = bad_file(server, fault)
    log = restart_with(server, {"pgseal.key_file": path})
    assert_nothing_works_but_nothing_is_called_tampered(server, log, detail, remedy)


COMMANDS = {
    "fails": ("echo cannot reach the vault >&2; exit 1", "ended with exit status 1: cannot reach the vault."),
    "silent": ("true", "Setting pgseal.key_command: "),
    "not found": ("/nowhere/at-all", "ended with exit status 127"),
    "killed": ("kill -9 $$", "ended with exit status 137"),
    "garbage": ("echo this is not a key; echo at all", "Setting pgseal.key_command: "),
    "binary": ("head -c 64 /dev/urandom", "Setting pgseal.key_command: "),
    "too much": ("yes 5ea1c0de", "printed more than 16384 bytes"),
    "key and failure": (f"printf {KEY}; echo so close >&2; exit 1", "ended with exit status 1: so close."),
    "key on both": (f"printf {KEY}; printf {KEY} >&2; exit 3", "ended with exit status 3."),
    "part on stderr": (f"printf {KEY}; printf 'k={KEY[:40]}' >&2; exit 3", "ended with exit status 3"),
    "key on stderr only": (f"printf {KEY} >&2; exit 3", "ended with exit status 3"),
}


@pytest.mark.parametrize("fault", COMMANDS)
def test_a_bad_command(server: Cluster, fault: str) -> None:
    """The script stands in a file, so that the key in it is in no setting."""
    script, detail = COMMANDS[fault]
    path = put(server, "command", f"#!/bin/sh\n{script}\n", 0o700)
    log = restart_with(server, {"pgseal.key_command": path})
    remedy = "openssl rand -hex 32" if detail.endswith("key_command: ") else "Run the command by hand"
    assert_nothing_works_but_nothing_is_called_tampered(server, log, detail, remedy)
    assert not server.shows_key(log)


def test_a_command_that_hangs_and_ignores_the_signal_is_killed_with_its_children(server: Cluster) -> None:
    pids = server.home / "pids"
    pids.touch()
    server.give(pids)
    path = put(server, "command", f"""#!/bin/sh
trap '' TERM INT HUP QUIT
echo $$ >> {pids}
(trap '' TERM; echo $(exec sh -c 'echo $PPID') >> {pids}; while :; do sleep 1; done) &
while :; do sleep 1; done
""", 0o700)  # fmt: skip
    log = restart_with(server, {"pgseal.key_command": path, "pgseal.key_command_timeout": 1})
    detail = "Setting pgseal.key_command gave no key within 1 s and was killed."
    assert_nothing_works_but_nothing_is_called_tampered(server, log, detail, "Run the command by hand")
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 2
    assert [pid for pid in started if is_alive(pid)] == []


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_command_that_leaves_a_child_with_the_pipe_open_is_not_waited_for(server: Cluster) -> None:
    pids = server.home / "left"
    pids.touch()
    server.give(pids)
    path = put(server, "command", f"#!/bin/sh\nsleep 600 &\necho $! > {pids}\necho {KEY}\n", 0o700)
    restart_with(server, {"pgseal.key_command": path})
    assert_all_is_well(server)
    assert not is_alive(int(pids.read_text()))


GOOD = {
    "hex": KEY, "HEX": KEY.upper(), "newline": KEY + "\n", "windows": KEY + "\r\n", "spaces": f"  {KEY}  \n",
    "base64": base64.b64encode(bytes.fromhex(KEY)).decode(),
    "base64 with newline": base64.b64encode(bytes.fromhex(KEY)).decode() + "\n",
}  # fmt: skip


@pytest.mark.parametrize("form", GOOD)
def test_the_same_key_in_another_form(server: Cluster, form: str) -> None:
    log = restart_with(server, {"pgseal.key_file": put(server, "good", GOOD[form], 0o400)})
    assert "no usable key" not in log
    assert_all_is_well(server)


def test_from_a_command_with_the_id_in_the_place_of_percent_k(server: Cluster) -> None:
    put(server, "secret-1", KEY)
    restart_with(server, {"pgseal.key_command": f"cat {server.home}/secret-%k"})
    assert_all_is_well(server)
    restart_with(server, {"pgseal.key_file": f"{server.home}/secret-%k"})
    assert_all_is_well(server)


def test_inline(server: Cluster) -> None:
    restart_with(server, {"pgseal.key": KEY})
    assert_all_is_well(server)
    database = Database(server, "sealed")
    line = database.rows("SELECT ok, fix FROM seal.check_setup() WHERE item = 'key'")
    database.close()
    assert line[0][0] is False and "pgseal.key_file" in line[0][1]


def test_inline_but_not_hex(server: Cluster) -> None:
    log = restart_with(server, {"pgseal.key": GOOD["base64"]})
    detail = "Setting pgseal.key is not hexadecimal text."
    assert_nothing_works_but_nothing_is_called_tampered(server, log, detail, "Write at least 64 hexadecimal digits")
    assert GOOD["base64"][:12] not in server.log()


def test_another_key_is_named_as_such_and_seals_nothing(server: Cluster) -> None:
    restart_with(server, {"pgseal.key_file": put(server, "other", "ab" * 32)})
    database = Database(server, "sealed")
    try:
        refused = refusal(database, "INSERT INTO h VALUES (2)")
        assert "key" in refused.text.lower() and refused.hint
        (answer,) = database.records("SELECT verdict, next_step FROM seal.verify_history()")
        assert answer["verdict"] == "unverifiable" and "key" in answer["next_step"]
        assert {kind for (kind,) in database.rows("SELECT kind FROM seal.findings()")} == {"unknown_key"}
        assert database.value("SELECT count(*) FROM h") == 1
        assert database.rows("SELECT ok FROM seal.status") == [(False,)]
        with pytest.raises(psycopg.Error):
            database.run("ALTER TABLE h ADD COLUMN c int")
    finally:
        database.close()
    restart_with(server, {"pgseal.key_file": str(server.key_file)})
    assert_all_is_well(server)
