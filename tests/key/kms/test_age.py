"""age: the secret lies on the server's disk, encrypted for an identity of the server's and for the escrow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.kms import secret_of
from support.kms.files import AgeFile
from support.kms.stories import KeyFromKms


@pytest.fixture(scope="module")
def kms() -> Iterator[AgeFile]:
    with AgeFile() as started:
        yield started


class TestAgeFile(KeyFromKms):
    """What holds with every KMS."""


def test_who_keeps_the_escrow_can_decrypt_it(kms: AgeFile) -> None:
    opened = kms.shell(f"age --decrypt --identity {kms.own}/escrow.txt {kms.keys}/1.sign.age")
    assert secret_of(opened.stdout) == kms.fetch("1")


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_private_key_that_others_may_read(kms: AgeFile, mode: int) -> None:
    key = kms.own / "server.txt"
    key.chmod(mode)
    asked = kms.ask("1")
    key.chmod(0o600)
    assert (asked.returncode, asked.stdout) == (77, "")
    assert asked.stderr == f"age-file: {key} has mode {mode:o}; say: chmod 600 {key}\n"


@pytest.mark.parametrize("place", [-1, -20, -40])
def test_a_file_that_somebody_changed(kms: AgeFile, place: int) -> None:
    kms.make_key("6")
    file = kms.keys / "6.sign.age"
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)
    asked = kms.ask("6")
    assert asked.returncode not in (0, 64, 66) and asked.stdout == ""
