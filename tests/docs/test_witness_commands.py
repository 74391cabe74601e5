"""The witness commands in pgrx-config take a line from standard input to where they say, or fail.

append-only-file and remote-syslog do it for real. mail gives what it sends to a small `sendmail` of the test, which
stores it: the real one belongs to a mail server, and what that does with it is not tried here.
"""

from __future__ import annotations

import email
import json
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path

import pytest

from support.cluster import ROOT

COMMANDS = ROOT / "pgrx-config" / "witness-commands"
VECTORS = json.loads((ROOT / "crates" / "chain" / "tests" / "vectors.json").read_text("utf-8"))
LINES: list[str] = [vector["line"] for vector in VECTORS["witnesses"]]
LINE = LINES[0]


def start(command: str, *arguments: object, path: str | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMANDS / command, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": path or os.environ["PATH"]},
    )


def run(command: str, *arguments: object, line: str = LINE + "\n", path: str | None = None) -> tuple[int, str]:
    """Exit status and standard error."""
    with start(command, *arguments, path=path) as process:
        printed, complaint = process.communicate(line, timeout=10)
    assert printed == ""
    return process.returncode, complaint


@pytest.mark.parametrize("line", ["", "\n", "hello\n", "pgseal-anchor\n", f"x{LINE}\n"])
@pytest.mark.parametrize("command", ["append-only-file", "remote-syslog", "mail"])
def test_what_is_no_line_goes_nowhere(tmp_path: Path, command: str, line: str) -> None:
    file = tmp_path / "lines"
    file.touch()
    status, complaint = run(command, {"append-only-file": file}.get(command, "127.0.0.1"), line=line)
    assert (status, complaint) == (65, f"{command}: there is no witness line on standard input\n")
    assert file.read_text() == ""


@pytest.mark.parametrize("command", ["append-only-file", "remote-syslog", "mail"])
@pytest.mark.parametrize("arguments", [[], ["a", "b", "c", "d"]])
def test_wrong_arguments(command: str, arguments: list[str]) -> None:
    status, complaint = run(command, *arguments)
    assert status == 64 and complaint.startswith(f"usage: {command} ")


# --- append-only-file ---


def test_lines_are_appended(tmp_path: Path) -> None:
    file = tmp_path / "my lines"
    file.write_text("before\n")
    for line in LINES:
        assert run("append-only-file", file, line=line + "\n") == (0, "")
    assert run("append-only-file", file, line=LINE) == (0, "")
    assert file.read_text() == "".join(line + "\n" for line in ["before", *LINES, LINE])


def test_a_line_that_was_cut_off_gets_an_end(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_text(f"{LINE}\n{LINE[:50]}")
    assert run("append-only-file", file) == (0, "")
    assert file.read_text() == f"{LINE}\n{LINE[:50]}\n{LINE}\n"


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    file = tmp_path / "nowhere"
    assert run("append-only-file", file) == (66, f"append-only-file: there is no file {file}\n")
    assert not file.exists()
    assert run("append-only-file", tmp_path)[0] == 66


def test_a_full_disk_is_a_failure(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.touch()
    limited = ["sh", "-c", 'ulimit -f 0; "$@"', "sh", COMMANDS / "append-only-file", file]
    assert subprocess.run(limited, input=LINE + "\n", text=True, capture_output=True, timeout=10).returncode != 0
    assert file.read_text() == ""


def test_writers_at_the_same_time_leave_whole_lines(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.touch()
    lines = [LINE.replace("number=17", f"number={number}") for number in range(20)]
    processes = [start("append-only-file", file) for _ in lines]
    for process, line in zip(processes, lines, strict=True):
        assert process.stdin
        process.stdin.write(line + "\n")
        process.stdin.close()
    for process in processes:
        with process:
            assert process.wait(timeout=30) == 0
    assert sorted(line for line in file.read_text().split("\n") if line) == sorted(lines)


def test_a_file_with_the_append_only_attribute(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.touch()
    chattr = shutil.which("chattr", path=f"{os.environ['PATH']}:/usr/bin:/sbin:/usr/sbin")
    if not chattr or subprocess.run([chattr, "+a", file], capture_output=True).returncode != 0:
        pytest.skip("only root can set the attribute, and not every file system has it")
    try:
        assert run("append-only-file", file) == (0, "")
        assert run("append-only-file", file) == (0, "")
        with pytest.raises(PermissionError):
            file.write_text("")
        assert file.read_text() == f"{LINE}\n{LINE}\n"
    finally:
        subprocess.run([chattr, "-a", file], check=True)


# --- remote-syslog ---

MESSAGE = re.compile(r"<37>1 \S+T\S+ \S+ pgseal - - (?:-|\[timeQuality [^]]*\]) (.*)\n?")


@contextmanager
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """A TCP port of this machine, and what one connection to it brings, complete at the end of the block."""
    received: list[bytes] = []

    def accept() -> None:
        connection, _ = server.accept()
        with connection:
            while part := connection.recv(65536):
                received.append(part)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1], received
        finally:
            thread.join()


def assert_is_message(data: bytes, line: str) -> None:
    found = MESSAGE.fullmatch(data.decode("ascii"))
    assert found and found[1] == line, data


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("protocol", [[], ["tcp"]])
def test_a_line_goes_over_tcp(protocol: list[str], line: str) -> None:
    with listener() as (port, received):
        assert run("remote-syslog", "127.0.0.1", port, *protocol, line=line + "\n") == (0, "")
    assert_is_message(b"".join(received), line)


@pytest.mark.parametrize("line", LINES)
def test_a_line_goes_over_udp(line: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        assert run("remote-syslog", "127.0.0.1", server.getsockname()[1], "udp", line=line + "\n") == (0, "")
        assert_is_message(server.recv(65536), line)


def test_a_long_line_is_one_message() -> None:
    """The longest names of database and node, and a key id longer than anybody's."""
    name = "%C3%BC" * 31
    line = LINE.replace("=shop", f"={name}").replace("=main", f"={name}").replace("key=1", f"key={'k' * 600}")
    with listener() as (port, received):
        assert run("remote-syslog", "127.0.0.1", port, line=line + "\n") == (0, "")
    assert_is_message(b"".join(received), line)


def test_nobody_listening_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    status, complaint = run("remote-syslog", "127.0.0.1", port)
    assert status != 0 and str(port) in complaint


def test_another_protocol_is_refused() -> None:
    assert run("remote-syslog", "127.0.0.1", 514, "sctp")[0] == 64


# --- mail ---


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    """A folder to stand first in PATH: its `sendmail` and `mailx` store there what they get."""
    for name in ["sendmail", "mailx"]:
        program = tmp_path / name
        program.write_text(
            f'#!/bin/sh\nPATH=/usr/bin:/bin\nprintf \'%s\\n\' "$@" > "{tmp_path}/{name}.arguments"\n'
            f'cat > "{tmp_path}/{name}.input"\ncat "{tmp_path}/fault" >&2 2>/dev/null && exit 75\nexit 0\n'
        )
        program.chmod(0o755)
    return tmp_path


def sent(outbox: Path) -> Message:
    assert (outbox / "sendmail.arguments").read_text() == "-i\n-t\n"
    return email.message_from_bytes((outbox / "sendmail.input").read_bytes())


def with_path(outbox: Path) -> str:
    return f"{outbox}:{os.environ['PATH']}"


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_mailed(outbox: Path, line: str) -> None:
    assert run("mail", "auditor@example.org", line=line + "\n", path=with_path(outbox)) == (0, "")
    mail = sent(outbox)
    assert mail["To"] == "auditor@example.org" and mail["From"] is None
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain" and not mail.defects
    assert mail.get_payload() == line + "\n"
    assert max(map(len, (outbox / "sendmail.input").read_text().split("\n"))) <= 998
    assert not (outbox / "mailx.input").exists()


def test_the_subject_names_the_anchor(outbox: Path) -> None:
    assert run("mail", "a@example.org", "pgseal@db1.example.org", path=with_path(outbox)) == (0, "")
    assert sent(outbox)["Subject"] == "pgseal: anchor 17 of shop"
    assert sent(outbox)["From"] == "pgseal@db1.example.org"


def test_what_sendmail_complains_about_is_a_failure(outbox: Path) -> None:
    (outbox / "fault").write_text("no queue\n")
    assert run("mail", "a@example.org", path=with_path(outbox)) == (75, "no queue\n")


no_sendmail = pytest.mark.skipif(
    shutil.which("sendmail", path="/usr/sbin:/usr/lib") is not None, reason="this machine would send a mail"
)


@no_sendmail
def test_without_sendmail_by_mailx(outbox: Path) -> None:
    (outbox / "sendmail").unlink()
    assert run("mail", "a@example.org", "b@example.org", path=str(outbox)) == (0, "")
    arguments = (outbox / "mailx.arguments").read_text().splitlines()
    assert arguments == ["-r", "b@example.org", "-s", "pgseal: anchor 17 of shop", "a@example.org"]
    assert (outbox / "mailx.input").read_text() == LINE + "\n"


@no_sendmail
def test_without_any_of_them(tmp_path: Path) -> None:
    status, complaint = run("mail", "a@example.org", path=str(tmp_path))
    assert (status, complaint) == (69, "mail: there is neither sendmail nor mailx on this machine\n")
