"""AWS KMS: the secret lies on the server's disk as ciphertext, which KMS decrypts for the server's own identity."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.kms import secret_of
from support.kms.aws import AwsKms
from support.kms.stories import KeyFromKms, assert_has_no_key, restart, seal_one


@pytest.fixture(scope="module")
def kms() -> Iterator[AwsKms]:
    with AwsKms() as started:
        yield started


class TestAwsKms(KeyFromKms):
    """What holds with every KMS."""


@pytest.mark.parametrize(("key_id", "purpose"), [("3", "sign"), ("1", "verify"), ("3", "verify")])
def test_ciphertext_does_for_its_own_id_and_purpose_only(kms: AwsKms, key_id: str, purpose: str) -> None:
    """The same master key, so that nothing but the encryption context is otherwise."""
    moved = kms.keys / f"{key_id}.{purpose}.kms"
    kms.shell(f"cp {kms.keys}/1.sign.kms {moved}")
    asked = kms.ask(key_id, purpose, line=kms.line.replace("alias/pgseal-%p", "alias/pgseal-sign"))
    moved.unlink()
    assert asked.returncode != 0 and asked.stdout == ""
    assert "InvalidCiphertextException" in asked.stderr


def test_ciphertext_that_somebody_changed(kms: AwsKms) -> None:
    shutil.copy(kms.keys / "1.sign.kms", kept := kms.home / "kept")
    data = bytearray(kept.read_bytes())
    data[-1] ^= 1
    try:
        (kms.keys / "1.sign.kms").write_bytes(data)
        asked = kms.ask("1")
        assert asked.returncode != 0 and asked.stdout == ""
    finally:
        shutil.copy(kept, kms.keys / "1.sign.kms")


def test_the_way_by_secrets_manager(kms: AwsKms) -> None:
    """The one-line command of docs/keys.md."""
    kms.client("secretsmanager").create_secret(Name="pgseal/1/sign", SecretString="ab" * 32)
    words = kms.named_command("secrets manager")
    key_id, secret = kms.make_user("reader", "secretsmanager:GetSecretValue")
    kms.write("reader.aws", f"[default]\naws_access_key_id = {key_id}\naws_secret_access_key = {secret}\n")
    asked = kms.ask("1", line=kms.at_endpoint("reader", words))
    assert secret_of(asked.stdout) == bytes.fromhex("ab" * 32), asked.stderr
    refused = kms.ask("1", line=kms.at_endpoint("stranger", words))
    assert refused.returncode != 0 and refused.stdout == ""


def test_a_kms_that_hangs(kms: AwsKms, server: Cluster) -> None:
    """The CLI gives up, before or after the time that pgseal leaves it."""
    before = seal_one(server)
    with kms.service.hanging():
        server.configure({"pgseal.key_command_timeout": 30})
        assert_has_no_key(server, restart(server, kms.setting), "ended with exit status 255: Read timeout on endpoint")
        server.configure({"pgseal.key_command_timeout": 1})
        assert_has_no_key(server, restart(server, kms.setting), "gave no key within 1 s and was killed.")
        server.configure({"pgseal.key_command_timeout": 30})
    restart(server, kms.setting)
    assert seal_one(server) == before


def test_a_kms_that_is_gone_for_good(kms: AwsKms, server: Cluster) -> None:
    """The last test of this file: what moto held went with it."""
    before = seal_one(server)
    kms.service.stop()
    assert seal_one(server) == before
    log = restart(server, kms.setting)
    assert_has_no_key(server, log, "ended with exit status 255: Connection was closed before we received a valid")
