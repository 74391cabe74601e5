"""systemd-creds: the secret lies on the server's disk as a credential, by a host key, as tests have no TPM."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.kms.files import SystemdCredential
from support.kms.stories import KeyFromKms


@pytest.fixture(scope="module")
def kms() -> Iterator[SystemdCredential]:
    with SystemdCredential() as started:
        yield started


class TestSystemdCredential(KeyFromKms):
    """What holds with every KMS."""


@pytest.mark.parametrize(("key_id", "purpose"), [("3", "sign"), ("3", "verify")])
def test_a_credential_does_for_its_own_id_and_purpose_only(kms: SystemdCredential, key_id: str, purpose: str) -> None:
    kms.shell(f"cp {kms.keys}/1.sign.cred {kms.keys}/{key_id}.{purpose}.cred")
    asked = kms.ask(key_id, purpose)
    assert asked.returncode != 0 and asked.stdout == ""
    assert "Embedded credential name 'pgseal-1-sign' does not match" in asked.stderr


def test_a_credential_that_somebody_changed(kms: SystemdCredential) -> None:
    kms.make_key("6")
    file = kms.keys / "6.sign.cred"
    text = file.read_text().rstrip()
    file.write_text(text[:-9] + ("A" if text[-9] != "A" else "B") + text[-8:])
    asked = kms.ask("6")
    assert asked.returncode not in (0, 64, 66) and asked.stdout == ""
