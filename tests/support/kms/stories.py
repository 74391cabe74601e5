"""What must hold with every KMS: a class of tests for the files of tests/key/kms, each of which has a fixture `kms`.

`server` takes its key from `kms` and nowhere else; a history h is in its database `sealed`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from support.cluster import Cluster
from support.database import Database
from support.kms import Kms, secret_of
from support.refusal import NOT_IN_STATE, refusal
from support.servers import watched

# Every program that a command may start.
TOOLS = ["aws", "pkcs11-tool", "age", "openssl", "systemd-creds", "od", "tr", "cat", "stat", "id"]


@contextmanager
def keyed_server(kms: Kms) -> Iterator[Cluster]:
    """A server whose log is searched for the secret at the end."""
    with watched({"pgseal.key_command": kms.setting, "pgseal.require_key": False}, key=None) as server:
        server.key = kms.fetch("1").hex()
        with opened(server, server.createdb(name="sealed")) as database:
            database.run("CREATE EXTENSION pgseal; CREATE TABLE h (n serial); SELECT seal.attach('h')")
        yield server


@contextmanager
def opened(server: Cluster, database: Database | None = None) -> Iterator[Database]:
    """The database `sealed`, without a connection from before or after the block."""
    database = database or Database(server, "sealed")
    try:
        yield database
    finally:
        database.close()


def seal_one(server: Cluster) -> str:
    """Seals an entry, finds everything intact; the fingerprint of the key that is in force."""
    with opened(server) as database:
        count = database.value("SELECT count(*) FROM h")
        database.run("INSERT INTO h DEFAULT VALUES")
        assert database.rows("SELECT verdict, entries FROM seal.verify_history()") == [("intact", count + 1)]
        return str(database.value("SELECT key_fingerprint FROM seal.status"))


def restart(server: Cluster, command: str) -> str:
    """Restarts with this command; what the log says of it."""
    mark = server.log_position()
    server.configure({"pgseal.key_command": command}, restart=True)
    return server.log(mark)


def assert_has_no_key(server: Cluster, log: str, complaint: str) -> None:
    """The log has the KMS's own words, whoever inserts gets them, nothing is sealed and nothing called tampered."""
    detail = f"Setting pgseal.key_command {complaint}"
    assert "pgseal has no usable key" in log and detail in log
    with opened(server) as database:
        refused = refusal(database, "INSERT INTO h DEFAULT VALUES")
        assert (refused.state, refused.message) == (
            NOT_IN_STATE, 'cannot seal a row of history "public.h" without a key',
        )  # fmt: skip
        assert detail in refused.detail
        assert "Run the command by hand as the server's user" in refused.hint
        assert database.value("SELECT verdict FROM seal.verify_history()") == "unverifiable"


class KeyFromKms:
    def test_the_key_is_the_same_after_a_restart(self, server: Cluster) -> None:
        before = seal_one(server)
        server.restart()
        assert seal_one(server) == before

    def test_a_server_that_has_its_key_does_without_the_kms(self, kms: Kms, server: Cluster) -> None:
        """Also when it starts all its processes anew after a crash of one."""
        before = seal_one(server)
        with kms.down():
            assert seal_one(server) == before
            with opened(server) as database:
                server.kill_backend(database.connect().info.backend_pid)
            assert seal_one(server) == before

    def test_a_kms_that_is_down_when_the_server_starts(self, kms: Kms, server: Cluster) -> None:
        before = seal_one(server)
        with kms.down():
            log = restart(server, kms.setting)
            assert_has_no_key(server, log, kms.complaint)
        server.restart()
        assert seal_one(server) == before

    def test_a_stranger_gets_nothing(self, kms: Kms, server: Cluster) -> None:
        before = seal_one(server)
        asked = kms.ask("1", line=kms.strangers_line)
        assert asked.returncode not in (0, 64) and asked.stdout == ""
        assert kms.strangers_complaint in asked.stderr
        log = restart(server, kms.strangers_line.replace("%p", "sign"))
        assert_has_no_key(server, log, f"ended with exit status {asked.returncode}: ")
        restart(server, kms.setting)
        assert seal_one(server) == before

    def test_the_next_key_and_the_other_purpose_have_secrets_of_their_own(self, kms: Kms) -> None:
        kms.make_key("2")
        kms.make_key("1", "verify")
        first = kms.fetch("1")
        secrets = {first, kms.fetch("2"), secret_of(kms.ask_verifier("1").stdout)}
        assert len(secrets) == 3 and {len(secret) for secret in secrets} == {32}
        assert kms.fetch("1") == first

    def test_a_key_that_nobody_made(self, kms: Kms) -> None:
        asked = kms.ask("17")
        assert asked.returncode not in (0, 64) and asked.stdout == ""
        assert "17.sign" in asked.stderr or "17-sign" in asked.stderr

    def test_a_call_of_another_form(self, kms: Kms) -> None:
        asked = kms.shell(f"{kms.script} one", check=False)
        assert (asked.returncode, asked.stdout) == (64, "")
        assert asked.stderr.startswith(f"usage: {kms.command} ") and asked.stderr.endswith(" ID PURPOSE\n")

    def test_no_program_gets_the_secret_as_argument_or_in_its_environment(self, kms: Kms) -> None:
        """Every program that the command starts is a small script that notes what it was given, and becomes it."""
        noted, folder = kms.home / "noted", kms.home / "spies"
        folder.mkdir(exist_ok=True)
        for tool in TOOLS:
            note = f'#!/bin/sh\n{{ echo "{tool}: $*"; /usr/bin/env; }} >> {noted}\nexec /usr/bin/{tool} "$@"\n'
            kms.write(f"spies/{tool}", note, 0o755)
        asked = kms.ask("1", PATH=f"{folder}:/usr/bin:/bin")
        secret = secret_of(asked.stdout)
        assert secret == kms.fetch("1")
        text = noted.read_text() if noted.exists() else ""
        started = {line.split(":")[0] for line in text.splitlines()} & {*TOOLS}
        assert kms.tools <= started and bool(started) == bool(kms.tools), text
        assert secret.hex() not in text and asked.stdout.strip() not in text
        assert secret.hex() not in asked.stderr and asked.stdout.strip() not in asked.stderr
