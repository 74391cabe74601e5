"""PKCS#11: the token computes the secret, under a key that never leaves it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.kms.stories import KeyFromKms, assert_has_no_key, restart, seal_one
from support.kms.token import PIN, Pkcs11Token


@pytest.fixture(scope="module")
def kms() -> Iterator[Pkcs11Token]:
    with Pkcs11Token() as started:
        yield started


class TestPkcs11Token(KeyFromKms):
    """What holds with every KMS."""


def test_the_key_of_the_token_stays_there(kms: Pkcs11Token) -> None:
    objects = kms.tool("--list-objects").stdout
    assert "pgseal-1-sign" in objects and "sensitive, always sensitive, never extractable, local" in objects
    read = kms.tool("--read-object --type secrkey --label pgseal-1-sign", check=False)
    assert read.returncode != 0 and read.stdout == "" and "CKR_ATTRIBUTE_SENSITIVE" in read.stderr


def test_another_key_is_never_taken_for_one_that_is_not_there(kms: Pkcs11Token) -> None:
    """pkcs11-tool signs with any key when it is asked for one by its label: here is one with the label alone."""
    kms.tool("--keygen --key-type GENERIC:32 --sensitive --usage-sign --label pgseal-5-sign --id 05")
    asked = kms.ask("5")
    assert (asked.returncode, asked.stdout) == (69, "")
    assert "error: Could not find key of type: Secret" in asked.stderr


def test_the_pin_is_nobodys_argument(kms: Pkcs11Token) -> None:
    noted = kms.home / "arguments"
    spy = f'#!/bin/sh\necho "$*" >> {noted}\nexec /usr/bin/pkcs11-tool "$@"\n'
    kms.write("pkcs11-tool", spy, 0o755)
    assert kms.ask("1", PATH=f"{kms.home}:/usr/bin:/bin").returncode == 0
    assert "--id 70677365616c2d312d7369676e" in noted.read_text() and PIN not in noted.read_text()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_pin_that_others_may_read(kms: Pkcs11Token, mode: int) -> None:
    kms.write("open-pin", PIN, mode)
    asked = kms.ask("1", line=kms.line_with("open-pin"))
    assert (asked.returncode, asked.stdout) == (77, "")
    assert asked.stderr == f"pkcs11: {kms.home}/open-pin has mode {mode:o}; say: chmod 600 {kms.home}/open-pin\n"


def test_no_pin(kms: Pkcs11Token) -> None:
    asked = kms.ask("1", line=kms.line_with("no-pin"))
    assert (asked.returncode, asked.stdout) == (66, "")


def test_a_library_that_is_not_there(kms: Pkcs11Token, server: Cluster) -> None:
    before = seal_one(server)
    log = restart(server, kms.setting.replace("libsofthsm2", "libnothing"))
    assert_has_no_key(server, log, "ended with exit status 69: sc_dlopen failed: ")
    restart(server, kms.setting)
    assert seal_one(server) == before
