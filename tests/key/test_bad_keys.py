"""Every way not to have a key, by setting and by file: the server does not start, or seals nothing, and says why."""

from __future__ import annotations

import base64
import os

import psycopg
import pytest

from support.cluster import Cluster, Setting
from support.database import Database
from support.refusal import NOT_IN_STATE, refusal
from support.starting import KEY, SOURCES, Fault, assert_all_is_well, closed, put, restart_with

MAKE_ONE = "openssl rand -hex 32"


def test_no_source_at_all(sealed: Cluster) -> None:
    closed(sealed, {}, Fault("none of pgseal.key_command, pgseal.key_file and pgseal.key is set", MAKE_ONE))


@pytest.mark.parametrize("both", [SOURCES[:2], SOURCES[1:], [SOURCES[0], SOURCES[2]]])
def test_two_sources(sealed: Cluster, both: list[str]) -> None:
    values: dict[str, Setting] = {
        "pgseal.key": KEY,
        "pgseal.key_file": str(sealed.key_file),
        "pgseal.key_command": f"cat {sealed.key_file}",
    }
    names = " and ".join(sorted(both, key=["pgseal.key_command", "pgseal.key_file", "pgseal.key"].index))
    fault = Fault(f"{names} are both set, but a key has exactly one source", "Keep one of the two in postgresql.conf")
    closed(sealed, {name: values[name] for name in both}, fault)


SHORT = "the key has 31 bytes, at least 32 are needed"
NO_TEXT = "the key is neither hexadecimal nor base64 text"
CONTENTS: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "the key is empty"),
    "blank": ("\n", "the key is empty"),
    "short": (KEY[:62], SHORT),
    "short base64": (base64.b64encode(b"k" * 31).decode() + "\n", SHORT),
    "long": ("ab" * 1025, "the key has 1025 bytes, at most 1024 are allowed"),
    "odd": (KEY + "0", NO_TEXT),
    "not hex": ("correct horse battery staple, twenty-one times over!", NO_TEXT),
    "one digit that is none": (KEY[:-1] + "!", NO_TEXT),
    "binary": (bytes(range(128, 192)), NO_TEXT),
    "two lines": (f"{KEY}\n{KEY}\n", NO_TEXT),
}
MODES = {"world-readable": 0o604, "group-readable": 0o640, "group-writable": 0o620, "world-executable": 0o601}


@pytest.mark.parametrize("fault", CONTENTS)
def test_a_file_with_something_else(sealed: Cluster, fault: str) -> None:
    content, said = CONTENTS[fault]
    closed(sealed, {"pgseal.key_file": put(sealed, "bad", content)}, Fault(f"pgseal.key_file: {said}", MAKE_ONE))


@pytest.mark.parametrize("fault", MODES)
def test_a_file_that_others_can_use(sealed: Cluster, fault: str) -> None:
    path = put(sealed, "bad", KEY, MODES[fault])
    said = f'the key file "{path}" has mode {MODES[fault]:04o}: others than its owner can use it'
    closed(sealed, {"pgseal.key_file": path}, Fault(said, f'Run: chmod 600 "{path}"'))


@pytest.mark.parametrize("fault", ["missing", "unreadable", "directory", "fifo"])
def test_a_file_that_cannot_be_read(sealed: Cluster, fault: str) -> None:
    path = sealed.home / fault
    said = {"missing": "cannot be read: No such file or directory (os error 2)",
            "unreadable": "cannot be read: Permission denied (os error 13)"}  # fmt: skip
    match fault:
        case "unreadable":
            put(sealed, fault, KEY, 0)
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
            sealed.give(path)
    reason = f'the key file "{path}" {said.get(fault, "is not a regular file")}'
    closed(sealed, {"pgseal.key_file": str(path)}, Fault(reason, "Let pgseal.key_file name a regular file"))


GOOD = {
    "hex": KEY, "HEX": KEY.upper(), "newline": KEY + "\n", "windows": KEY + "\r\n", "spaces": f"  {KEY}  \n",
    "base64": base64.b64encode(bytes.fromhex(KEY)).decode(),
    "base64 with newline": base64.b64encode(bytes.fromhex(KEY)).decode() + "\n",
}  # fmt: skip


@pytest.mark.parametrize("form", GOOD)
def test_the_same_key_in_another_form(sealed: Cluster, form: str) -> None:
    log = restart_with(sealed, {"pgseal.key_file": put(sealed, "good", GOOD[form], 0o400)})
    assert "no usable key" not in log
    assert_all_is_well(sealed)


def test_from_a_command_or_file_with_the_id_in_the_place_of_percent_k(sealed: Cluster) -> None:
    put(sealed, "secret-1", KEY)
    restart_with(sealed, {"pgseal.key_command": f"cat {sealed.home}/secret-%k"})
    assert_all_is_well(sealed)
    restart_with(sealed, {"pgseal.key_file": f"{sealed.home}/secret-%k"})
    assert_all_is_well(sealed)


def test_inline(sealed: Cluster) -> None:
    restart_with(sealed, {"pgseal.key": KEY})
    assert_all_is_well(sealed, but="key")
    database = Database(sealed, "sealed")
    line = database.rows("SELECT ok, fix FROM seal.check_setup() WHERE item = 'key'")
    database.close()
    assert line[0][0] is False and "pgseal.key_file" in line[0][1]


def test_inline_but_not_hex(sealed: Cluster) -> None:
    fault = Fault("pgseal.key is not hexadecimal text", "Write at least 64 hexadecimal digits")
    closed(sealed, {"pgseal.key": GOOD["base64"]}, fault)
    assert GOOD["base64"][:12] not in sealed.log()


@pytest.mark.parametrize("source", SOURCES)
def test_another_key_is_named_as_such_and_seals_nothing(sealed: Cluster, source: str) -> None:
    """It is a usable key: only a database knows that it is not the one of last time."""
    other = "ab" * 32
    path = put(sealed, "other", other)
    restart_with(sealed, {source: {"pgseal.key": other, "pgseal.key_file": path}.get(source, f"cat {path}")})
    database = Database(sealed, "sealed")
    try:
        said = refusal(database, "INSERT INTO h VALUES (2)")
        assert said.state == NOT_IN_STATE
        assert said.message == 'cannot seal a row of history "public.h" without a key'
        have = database.value("SELECT problem FROM seal.check_setup() WHERE item = 'key'").split()[4]
        wanted = database.value("SELECT record ->> 'fingerprint' FROM seal.epoch")
        assert have != wanted
        reason = "The history was sealed with another key than this server has"
        assert said.detail == f"{reason} (fingerprint {wanted}, here {have})."
        assert said.hint.startswith("Put the key that sealed it back where pgseal fetches it, then restart the server.")
        (answer,) = database.records("SELECT verdict, next_step FROM seal.verify_history()")
        assert answer["verdict"] == "unverifiable" and "key" in answer["next_step"]
        assert {kind for (kind,) in database.rows("SELECT kind FROM seal.findings()")} == {"unknown_key"}
        assert database.value("SELECT count(*) FROM h") == 1
        assert database.rows("SELECT ok FROM seal.status") == [(False,)]
        with pytest.raises(psycopg.Error):
            database.run("ALTER TABLE h ADD COLUMN c int")
    finally:
        database.close()
    restart_with(sealed, {"pgseal.key_file": str(sealed.key_file)})
    assert_all_is_well(sealed)
