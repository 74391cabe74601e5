"""KMIP: a key of a key server, which knows by TLS certificates who asks, and is known by its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.kms.kmip import KmipServer
from support.kms.stories import KeyFromKms, assert_has_no_key, restart, seal_one


@pytest.fixture(scope="module")
def kms() -> Iterator[KmipServer]:
    with KmipServer() as started:
        yield started


class TestKmipServer(KeyFromKms):
    """What holds with every KMS."""


def test_a_client_of_another_authority(kms: KmipServer) -> None:
    asked = kms.ask("1", line=kms.line_of("outsider"))
    assert (asked.returncode, asked.stdout) == (69, "")
    assert asked.stderr.startswith("kmip: ") and asked.stderr.count("\n") == 1


def test_a_server_of_another_authority(kms: KmipServer) -> None:
    text = (kms.home / "database.conf").read_text().replace("/authority.pem", "/other-authority.pem")
    kms.write("other.conf", text)
    asked = kms.ask("1", line=kms.line_of("other"))
    assert (asked.returncode, asked.stdout) == (69, "")
    assert "CERTIFICATE_VERIFY_FAILED" in asked.stderr


def test_a_server_with_another_name(kms: KmipServer) -> None:
    """Its certificate is for 127.0.0.1."""
    text = (kms.home / "database.conf").read_text().replace("host = 127.0.0.1", "host = localhost")
    kms.write("named.conf", text)
    asked = kms.ask("1", line=kms.line_of("named"))
    assert (asked.returncode, asked.stdout) == (69, "")
    assert "Hostname mismatch" in asked.stderr


def test_two_keys_with_one_name(kms: KmipServer) -> None:
    kms.make_key("4")
    assert len(kms.fetch("4")) == 32
    kms.make_key("4")
    asked = kms.ask("4")
    assert (asked.returncode, asked.stdout) == (69, "")
    assert asked.stderr == "kmip: the server shows this client 2 symmetric keys with the name pgseal-4-sign\n"


def test_a_private_key_that_others_may_read(kms: KmipServer) -> None:
    key = kms.home / "database.key"
    key.chmod(0o640)
    asked = kms.ask("1")
    key.chmod(0o600)
    assert (asked.returncode, asked.stdout) == (77, "")
    assert asked.stderr == f"kmip: {key} has mode 640; say: chmod 600 {key}\n"


@pytest.mark.parametrize("line", ["host", "ca", "certificate", "key"])
def test_a_configuration_that_lacks_something(kms: KmipServer, line: str) -> None:
    text = (kms.home / "database.conf").read_text()
    kms.write("lacking.conf", "".join(one + "\n" for one in text.splitlines() if not one.startswith(f"{line} =")))
    asked = kms.ask("1", line=kms.line_of("lacking"))
    assert (asked.returncode, asked.stdout) == (78, "")
    assert asked.stderr == f"kmip: {kms.home}/lacking.conf does not say '{line}'\n"


def test_a_server_that_hangs(kms: KmipServer, server: Cluster) -> None:
    before = seal_one(server)
    with kms.service.hanging():
        log = restart(server, kms.setting)
        assert_has_no_key(server, log, "ended with exit status 69: kmip: ")
        assert "timed out" in log
    restart(server, kms.setting)
    assert seal_one(server) == before
