"""A key management system that is down, hangs, or says something else: each with its message, and nothing is lost."""

from __future__ import annotations

import pytest

from support.cluster import Cluster
from support.database import Database
from support.refusal import refusal
from support.starting import (
    KEY,
    Fault,
    assert_all_is_well,
    closed,
    is_alive,
    put,
    refused_as_it_is,
    restart_with,
)

BY_HAND = "Run the command by hand as the server's user; it must print the key and end with status 0."
MALFORMED = "The key must be at least 32 bytes as hexadecimal or base64 text (openssl rand -hex 32)."
NO_TEXT = ": the key is neither hexadecimal nor base64 text"

# By name: the script, what the message says after the setting's name, and what to do.
COMMANDS = {
    "down": ("echo cannot reach the vault >&2; exit 1", " ended with exit status 1: cannot reach the vault", BY_HAND),
    "not found": ("exec 2>&1; /nowhere/at-all", " ended with exit status 127", BY_HAND),
    "too much": ("yes 5ea1c0de", " printed more than 16384 bytes", BY_HAND),
    "key and failure": (f"echo {KEY}; echo so close >&2; exit 1", " ended with exit status 1: so close", BY_HAND),
    "key and failure, silently": (f"echo {KEY}; exit 1", " ended with exit status 1", BY_HAND),
    "key on both": (f"printf {KEY}; printf {KEY} >&2; exit 3", " ended with exit status 3", BY_HAND),
    "part on stderr": (f"printf {KEY}; echo 'got: {KEY[:40]}' >&2; exit 3",
                       " ended with exit status 3: got: ***", BY_HAND),
    "key on stderr only": (f"printf {KEY} >&2; exit 3", " ended with exit status 3", BY_HAND),
    "silent": ("true", ": the key is empty", MALFORMED),
    "a newline": ("echo", ": the key is empty", MALFORMED),
    "too short": (f"printf {KEY[:62]}", ": the key has 31 bytes, at least 32 are needed", MALFORMED),
    "too long": ("head -c 1025 /dev/zero | od -An -v -tx1 | tr -d ' \\n'",
                 ": the key has 1025 bytes, at most 1024 are allowed", MALFORMED),
    "not hex": ("echo this is not a key; echo at all", NO_TEXT, MALFORMED),
    "a prompt before it": (f"echo 'Key: {KEY}'", NO_TEXT, MALFORMED),
    "binary": ("head -c 64 /dev/zero", NO_TEXT, MALFORMED),
}  # fmt: skip


@pytest.mark.parametrize("fault", COMMANDS)
def test_a_bad_command(sealed: Cluster, fault: str) -> None:
    """The script stands in a file, so that the key in it is in no setting."""
    script, said, remedy = COMMANDS[fault]
    path = put(sealed, "command", f"#!/bin/sh\n{script}\n", 0o700)
    mark = sealed.log_position()
    closed(sealed, {"pgseal.key_command": path}, Fault(f"pgseal.key_command{said}", remedy))
    assert not sealed.shows_key(sealed.log(mark))


def test_killed_by_a_signal(sealed: Cluster) -> None:
    """Of the shell itself, not of something that the shell has started."""
    fault = Fault("pgseal.key_command ended with signal 9", BY_HAND)
    closed(sealed, {"pgseal.key_command": "kill -9 $$"}, fault)


def test_one_that_hangs_and_ignores_the_signal_is_killed_with_its_children(sealed: Cluster) -> None:
    pids = put(sealed, "pids", "")
    path = put(sealed, "command", f"""#!/bin/sh
trap '' TERM INT HUP QUIT
echo $$ >> {pids}
(trap '' TERM; echo $(exec sh -c 'echo $PPID') >> {pids}; while :; do sleep 1; done) &
while :; do sleep 1; done
""", 0o700)  # fmt: skip
    fault = Fault("pgseal.key_command gave no key within 1 s and was killed", BY_HAND)
    closed(sealed, {"pgseal.key_command": path, "pgseal.key_command_timeout": 1}, fault)
    with open(pids) as file:
        started = [int(pid) for pid in file.read().split()]
    # Of two starts, the one that was refused and the one without a key.
    assert len(started) == 4
    assert [pid for pid in started if is_alive(pid)] == []


def test_one_that_leaves_a_child_with_the_pipe_open_is_not_waited_for(sealed: Cluster) -> None:
    pids = sealed.home / "left"
    pids.touch()
    sealed.give(pids)
    path = put(sealed, "command", f"#!/bin/sh\nsleep 600 &\necho $! > {pids}\necho {KEY}\n", 0o700)
    restart_with(sealed, {"pgseal.key_command": path})
    assert_all_is_well(sealed)
    assert not is_alive(int(pids.read_text()))


@pytest.mark.parametrize("end", ["", "\\n", "\\r\\n", "\\n\\n"])
def test_white_space_at_the_end_does_not_matter(sealed: Cluster, end: str) -> None:
    restart_with(sealed, {"pgseal.key_command": put(sealed, "command", f"#!/bin/sh\nprintf '{KEY}{end}'\n", 0o700)})
    assert_all_is_well(sealed)


def test_a_held_key_goes_on_sealing_while_the_system_is_down(sealed: Cluster) -> None:
    """Also after a reload, and after a crash of a backend, which has the server begin anew by itself."""
    up = put(sealed, "up", "")
    path = put(sealed, "command", f"#!/bin/sh\ntest -e {up} || {{ echo down >&2; exit 7; }}\necho {KEY}\n", 0o700)
    restart_with(sealed, {"pgseal.key_command": path})
    database = Database(sealed, "sealed")
    database.run("CREATE TABLE g (n int); SELECT seal.attach('g')")
    try:
        (sealed.home / "up").unlink()
        database.run("INSERT INTO g VALUES (1)")
        sealed.reload()
        database.run("INSERT INTO g VALUES (2); ALTER TABLE g ADD COLUMN c int")
        sealed.kill_backend(database.connect().info.backend_pid)
        database.close()
        database.run("INSERT INTO g VALUES (3)")
        database.run("CREATE TABLE f (n int); SELECT seal.attach('f'); INSERT INTO f VALUES (1)")
        assert database.rows("SELECT verdict, entries FROM seal.verify_history(history => 'g')") == [("intact", 3)]
        # Only a start needs it again.
        sealed.stop()
        fatal, _ = refused_as_it_is(sealed)
        assert fatal == "pgseal has no usable key: pgseal.key_command ended with exit status 7: down"
        put(sealed, "up", "")
        sealed.start()
        database.run("INSERT INTO g VALUES (4)")
        assert database.rows("SELECT verdict, entries FROM seal.verify_history(history => 'g')") == [("intact", 4)]
        (sealed.home / "up").unlink()
        restart_with(sealed, {"pgseal.key_command": path, "pgseal.require_key": False})
        said = refusal(database, "INSERT INTO g VALUES (5)")
        assert said.detail == "Setting pgseal.key_command ended with exit status 7: down."
        restart_with(sealed, {"pgseal.key_file": str(sealed.key_file)})
        assert database.rows("SELECT verdict, entries FROM seal.verify_history(history => 'g')") == [("intact", 4)]
    finally:
        database.close()
