"""Each way in which a library can fail to give the key: the server does not start and says why; where no key is required
nothing is sealed, and nothing is called tampered."""

from __future__ import annotations

import pytest

from support.cluster import Cluster
from support.database import Database
from support.providing import secret_of
from support.starting import Fault, closed, restart_with

SECRET = secret_of("1").hex()
CAUSE = 'Remove the cause, as the documentation of "testprovider" says, then restart the server.'
LENGTH = (
    "A secret has 32 to 1024 bytes, raw and not as text. "
    'Have "testprovider" give such a one, then restart the server.'
)
HEADER = "Build the provider with the pgseal_key_provider.h of this pgseal, then restart the server."


def failed(how: str) -> Fault:
    return Fault(f'the key provider "testprovider" gave no key: it {how}', CAUSE)


def unfit(what: str) -> Fault:
    return Fault(f'the key provider "testprovider" gave no key: {what}', LENGTH)


def wrongly_built(how: str) -> Fault:
    return Fault(f"the library that registered itself as key provider {how}", HEADER)


NO_NAME = wrongly_built('has no name of 1 to 63 printable ASCII characters that does not begin with "pgseal."')

FAULTS = {
    "down": failed("returned 7: the vault is sealed, call [31mthe operator"),
    "speechless": failed("returned -1"),
    "endless": failed(f"returned 7: {512 * '!'}"),
    "raises": failed("raised an error: token went away"),
    "talkative": failed("returned 7: secret *** and *** and *** is wrong"),
    "raises the key": failed("raised an error: token went away with ***"),
    "silent": unfit("the key is empty"),
    "short": unfit("the key has 31 bytes, at least 32 are needed"),
    "too long": unfit("the key has 1025 bytes, at most 1024 are allowed"),
    "zeros": unfit("it wrote nothing but zeros"),
    "other version": wrongly_built("speaks version 2 of the interface, this pgseal speaks version 1"),
    "no name": NO_NAME,
    "blank name": NO_NAME,
    "odd name": NO_NAME,
    "long name": NO_NAME,
    "name of a setting": NO_NAME,
    "no function": wrongly_built("has no function that gives the key"),
}


@pytest.mark.parametrize("mode", FAULTS)
def test_a_fault(server: Cluster, mode: str) -> None:
    mark = server.log_position()
    closed(server, {"testprovider.mode": mode}, FAULTS[mode])
    # Not even ten digits of it.
    log = server.log(mark).lower()
    assert not any(SECRET[start : start + 10] in log for start in range(55))


@pytest.mark.parametrize("setting", ["pgseal.key_command", "pgseal.key_file", "pgseal.key"])
def test_beside_a_setting(server: Cluster, setting: str) -> None:
    path = server.write_key(SECRET)
    value = {"pgseal.key_command": f"cat {path}", "pgseal.key_file": str(path), "pgseal.key": SECRET}[setting]
    mark = server.log_position()
    fault = Fault(
        f'{setting} is set, and the key provider "testprovider" is loaded, but a key has exactly one source',
        f"Take {setting} out of postgresql.conf, or the provider's library out of shared_preload_libraries, "
        "then restart the server.",
    )
    closed(server, {"testprovider.mode": "good", setting: value}, fault)
    assert "testprovider was asked" not in server.log(mark)


def test_a_provider_that_cannot_be_asked_is_an_error_beside_a_setting_too(server: Cluster) -> None:
    path = str(server.write_key(SECRET))
    closed(server, {"testprovider.mode": "other version", "pgseal.key_file": path}, FAULTS["other version"])


def test_a_library_that_registers_nothing_is_no_source(server: Cluster) -> None:
    none = Fault("none of pgseal.key_command, pgseal.key_file and pgseal.key is set", "openssl rand -hex 32")
    closed(server, {"testprovider.mode": "absent"}, none)
    log = restart_with(server, {"pgseal.key_file": str(server.write_key(SECRET))})
    assert "no usable key" not in log


def test_afterwards_all_is_well_again(server: Cluster) -> None:
    log = restart_with(server, {"testprovider.mode": "good"})
    assert "no usable key" not in log
    database = Database(server, "sealed")
    try:
        database.run("INSERT INTO h VALUES (2)")
        assert database.rows("SELECT verdict, entries FROM seal.verify_history()") == [("intact", 2)]
        assert database.rows("SELECT ok FROM seal.check_setup() WHERE item = 'key'") == [(True,)]
    finally:
        database.close()
