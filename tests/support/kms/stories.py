"""What must hold with every KMS: a class of tests for the files of tests/key/kms, each of which has a fixture `kms`.

`server` takes its key from `kms` and nowhere else; a history h is in its database `sealed`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from support.cluster import Cluster, Settings
from support.database import Database
from support.evolving import wait_until_opened
from support.kms import Kms, give, secret_of
from support.refusal import NOT_IN_STATE, refusal
from support.servers import assert_no_alarms, watched
from support.starting import NO_WAY_OUT, refused_as_it_is
from support.witnessing import AT_ONCE, until

BY_HAND = "Run the command by hand as the server's user; it must print the key and end with status 0."
# Every program that a command may start.
TOOLS = ["aws", "pkcs11-tool", "age", "openssl", "systemd-creds", "od", "tr", "cat", "stat", "id"]


@contextmanager
def keyed_server(kms: Kms) -> Iterator[Cluster]:
    """A server whose log is searched for the secret at the end."""
    with watched({"pgseal.key_command": kms.line, "pgseal.require_key": True}, key=None) as server:
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


def restart(server: Cluster, command: str) -> None:
    """Restarts with this command, and with a key."""
    server.stop()
    server.configure({"pgseal.key_command": command, "pgseal.require_key": True})
    server.start()


def assert_does_not_start(server: Cluster, command: str, complaint: str) -> None:
    """The last line of the log has the KMS's own words, which begin with the complaint."""
    server.stop()
    server.configure({"pgseal.key_command": command, "pgseal.require_key": True})
    fatal, hint = refused_as_it_is(server)
    assert fatal.startswith(f"pgseal has no usable key: pgseal.key_command {complaint.rstrip('.')}"), fatal
    assert hint.startswith(BY_HAND) and hint.endswith(NO_WAY_OUT), hint


def assert_does_not_seal(server: Cluster, command: str, complaint: str) -> None:
    """Where no key is required, the server starts, says the same, seals nothing, and calls nothing tampered."""
    assert_does_not_start(server, command, complaint)
    server.configure({"pgseal.require_key": False})
    mark = server.log_position()
    server.start()
    log, detail = server.log(mark), f"Setting pgseal.key_command {complaint}"
    assert "WARNING:  pgseal has no usable key" in log and detail in log
    with opened(server) as database:
        refused = refusal(database, "INSERT INTO h DEFAULT VALUES")
        assert refused.state == NOT_IN_STATE
        assert refused.message == 'cannot seal a row of history "public.h" without a key'
        assert refused.detail.startswith(detail) and refused.hint.startswith(BY_HAND)
        assert database.value("SELECT verdict FROM seal.verify_history()") == "unverifiable"
        assert database.rows("SELECT DISTINCT kind FROM seal.findings()") == [("unknown_key",)]


def make_second(kms: Kms) -> None:
    """Makes key 2, unless another test has."""
    if kms.ask("2").returncode != 0:
        kms.make_key("2")


def make_root(kms: Kms) -> None:
    """Makes the key 1 for `verify`, unless another test has."""
    if kms.ask_verifier("1").returncode != 0:
        kms.make_key("1", "verify")


@contextmanager
def evolving_server(kms: Kms, line: str, name: str) -> Iterator[Cluster]:
    """A server of its own, with its state file in a folder of this name; not started."""
    folder = kms.home / name
    folder.mkdir()
    give(folder)
    settings: Settings = {
        "pgseal.key_command": line, "pgseal.require_key": True,
        "pgseal.key_evolution": "day", "pgseal.key_state_file": f"{folder}/state",
    }  # fmt: skip
    server = Cluster({**AT_ONCE, **settings}, key=None)
    server.key = kms.fetch("1").hex()
    try:
        server.create()
        yield server
        assert_no_alarms(server)
    finally:
        server.destroy()


def seal_and_close(server: Cluster) -> str:
    """A history that is open for its first period; the basis on which verification calls it intact."""
    with opened(server, server.createdb(name="sealed")) as database:
        database.run("CREATE EXTENSION pgseal; CREATE TABLE h (n serial); SELECT seal.attach('h')")
        database.run("INSERT INTO h DEFAULT VALUES")
        wait_until_opened(database, "h")
        ((verdict, basis),) = database.rows("SELECT verdict, basis FROM seal.verify_history()")
        assert verdict == "intact"
        return str(basis)


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
            assert_does_not_seal(server, kms.line, kms.complaint)
        restart(server, kms.line)
        assert seal_one(server) == before

    def test_a_stranger_gets_nothing(self, kms: Kms, server: Cluster) -> None:
        before = seal_one(server)
        asked = kms.ask("1", line=kms.strangers_line)
        assert asked.returncode not in (0, 64) and asked.stdout == ""
        assert kms.strangers_complaint in asked.stderr
        assert_does_not_seal(server, kms.strangers_line, f"ended with exit status {asked.returncode}: ")
        restart(server, kms.line)
        assert seal_one(server) == before

    def test_the_next_key_and_the_other_purpose_have_secrets_of_their_own(self, kms: Kms) -> None:
        make_second(kms)
        make_root(kms)
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

    def test_the_other_purpose_is_the_root_of_secrets_that_evolve(self, kms: Kms) -> None:
        """Fetched when a stream begins and when it is verified; it stays nowhere."""
        make_root(kms)
        root = secret_of(kms.ask_verifier("1").stdout).hex()
        with evolving_server(kms, kms.verifiers_line, "evolving") as server:
            server.start()
            basis = seal_and_close(server)
            assert "signatures of closing records judged" in basis
            state = (kms.home / "evolving" / "state").read_text()
            assert root not in state and root not in server.log()
            with kms.down(), opened(server) as database:
                ((verdict, basis),) = database.rows("SELECT verdict, basis FROM seal.verify_history()")
                assert verdict == "intact" and "signatures of closing records not judged" in basis

    def test_rotation(self, kms: Kms, server: Cluster) -> None:
        """The last one of the class: from here on the key in force is the second."""
        make_second(kms)
        before = seal_one(server)
        with opened(server) as database:
            with kms.down():
                refused = refusal(database, "SELECT seal.rotate_key()")
                assert (refused.state, refused.message) == (NOT_IN_STATE, "there is no next key to rotate to")
                assert "pgseal.key_command ended with exit status " in refused.detail
            assert seal_one(server) == before
            said = database.value("SELECT seal.rotate_key()")
        after = seal_one(server)
        assert after != before
        assert said == f"key 2 with fingerprint {after} seals from now on: epoch 2 of public.h"
        kept = server.data / "pgseal.key_id"
        until(lambda: kept.exists() and kept.read_text().strip() == "2", "the next start knows of key 2")
        server.restart()
        with kms.down(), opened(server) as database:
            database.run("INSERT INTO h DEFAULT VALUES")
            assert database.rows("SELECT verdict FROM seal.verify_history()") == [("unverifiable",)]
            assert database.rows("SELECT DISTINCT kind FROM seal.findings()") == [("unknown_key",)]
        assert seal_one(server) == after
        with opened(server) as database:
            assert database.rows("SELECT seal_epoch FROM h GROUP BY 1 ORDER BY 1") == [(1,), (2,)]
            keys = database.rows("SELECT id, fingerprint, source, state FROM seal.keys")
        assert keys == [
            ("1", before, "pgseal.key_command", "verifies what it sealed"),
            ("2", after, "pgseal.key_command", "in force"),
        ]
        assert not any(kms.fetch(key_id).hex()[:16] in server.log() for key_id in ("1", "2"))
