"""No byte of a key in what lies around: files, dumps, the log of other starts, and what commands are started with."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.cluster import Cluster, Setting, Settings
from support.leaking import Hidden
from support.refusal import refusal
from support.servers import Servers
from support.starting import put

KEY = "d15ea5edf005ba11b01dfaceca11ab1e7e1eca57fee15bad0ddba11ab5eedbed"
OTHER = "0b5e55edb0a7ba5eacce55ed5caff01dd15c0b01ca55e77edeafbeadfacade11"
SECRET = Hidden(KEY, OTHER)
CHATTY: Settings = {"log_min_messages": "debug5", "log_statement": "all", "log_min_duration_statement": 0,
                    "log_error_verbosity": "verbose"}  # fmt: skip
SOURCES = ["pgseal.key_file", "pgseal.key_command", "pgseal.key"]
WORK = "CREATE EXTENSION pgseal; CREATE TABLE h (n int); SELECT seal.attach('h'); INSERT INTO h VALUES (1)"


def chosen(server: Cluster, source: str, key: str) -> dict[str, Setting | None]:
    """The settings with which a key comes from this source."""
    path = put(server, "secret", key + "\n")
    value = {"pgseal.key_file": path, "pgseal.key_command": f"cat {path}", "pgseal.key": key}[source]
    return {**dict.fromkeys(SOURCES), source: value}


@pytest.mark.parametrize("source", SOURCES)
def test_the_log_of_a_reload_and_of_a_start_with_another_key(own_cluster: Servers, source: str) -> None:
    server = own_cluster(CHATTY, key=OTHER, env={"RUST_BACKTRACE": "1"})
    server.configure(chosen(server, source, KEY), restart=True)
    database = server.createdb()
    database.run(WORK)
    mark = server.log_position()
    server.configure(chosen(server, source, OTHER))
    if source == "pgseal.key":
        assert 'parameter "pgseal.key" cannot be changed without restarting the server' in server.log(mark)
    database.run("INSERT INTO h VALUES (2)")
    database.close()
    server.restart()
    said = refusal(database, "INSERT INTO h VALUES (3)")
    assert "another key than this server has" in said.detail and SECRET.in_text(said.text) == []
    assert database.value("SELECT verdict FROM seal.verify_history()") == "unverifiable"
    assert SECRET.in_text(repr(database.rows("SELECT * FROM seal.findings()"))) == []
    log = server.log()
    assert "DEBUG" in log and "INSERT INTO h VALUES (3)" in log and "LOCATION:" in log
    assert SECRET.in_text(log) == []


@pytest.mark.parametrize("source", SOURCES)
def test_the_data_folder_and_a_dump(own_cluster: Servers, source: str) -> None:
    server = own_cluster(key=OTHER)
    server.configure(chosen(server, source, KEY), restart=True)
    database = server.createdb()
    database.run(WORK)
    dump = server.run("pg_dumpall").stdout
    assert "CREATE TABLE public.h" in dump and SECRET.in_text(dump) == []
    database.close()
    server.stop()
    allowed = {server.data / "harness.conf"} if source == "pgseal.key" else set()
    files = [path for path in server.data.rglob("*") if path.is_file()]
    assert len(files) > 500
    assert {path for path in files if SECRET.in_bytes(path.read_bytes())} == allowed


def test_what_a_slow_command_is_started_with(own_cluster: Servers) -> None:
    """Neither its words nor its environment, nor those of the server while it waits."""
    server = own_cluster(key=KEY)
    server.stop()
    waiting, go = server.home / "waiting", server.home / "go"
    put(server, "waiting", "")
    script = f"#!/bin/sh\nread key < {server.key_file}\necho $$ > {waiting}\n"
    command = put(server, "slow", f"{script}until [ -e {go} ]; do sleep 0.1; done\necho $key\n", 0o700)
    server.configure({"pgseal.key_file": None, "pgseal.key_command": command, "pgseal.key_command_timeout": 60})
    with ThreadPoolExecutor(1) as threads:
        started = threads.submit(server.start)
        deadline = time.monotonic() + 30
        while not waiting.read_text().strip():
            assert time.monotonic() < deadline and not started.done()
            time.sleep(0.02)
        shell = int(waiting.read_text())
        seen = [told(pid) for pid in (shell, parent(shell), parent(parent(shell)))]
        go.touch()
        started.result(60)
    assert command.encode() in seen[0] and any(b"postgres" in text for text in seen)
    assert [SECRET.in_text(text) for text in seen] == [[]] * 3
    seen = [told(int(entry.name)) for entry in Path("/proc").glob("[0-9]*")]
    assert [SECRET.in_text(text) for text in seen if SECRET.in_text(text)] == []


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def told(pid: int) -> bytes:
    """Words and environment of a process; nothing of one that has ended, or that is not ours to look at."""
    try:
        return b"\n".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ", "comm"))
    except OSError:
        return b""
