"""Each way in which a library can fail to give the key: what is said, and that nothing is sealed or called tampered."""

from __future__ import annotations

import pytest

from support.cluster import Cluster, Setting
from support.database import Database
from support.providing import secret_of
from support.refusal import NOT_IN_STATE, refusal

SECRET = secret_of("1").hex()
GAVE_NO_KEY = 'The key provider "testprovider" gave no key: '
REGISTERED = "The library that registered itself as key provider "
NO_NAME = f'{REGISTERED}has no name of 1 to 63 printable ASCII characters that does not begin with "pgseal.".'
CAUSE = 'Remove the cause, as the documentation of "testprovider" says, then restart the server.'
LENGTH = (
    "A secret has 32 to 1024 bytes, raw and not as text. "
    'Have "testprovider" give such a one, then restart the server.'
)
HEADER = "Build the provider with the pgseal_key_provider.h of this pgseal, then restart the server."

FAULTS = {
    "down": (f"{GAVE_NO_KEY}it returned 7: the vault is sealed, call [31mthe operator.", CAUSE),
    "speechless": (f"{GAVE_NO_KEY}it returned -1.", CAUSE),
    "endless": (f"{GAVE_NO_KEY}it returned 7: {512 * '!'}.", CAUSE),
    "raises": (f"{GAVE_NO_KEY}it raised an error: token went away.", CAUSE),
    "talkative": (f"{GAVE_NO_KEY}it returned 7: secret *** and *** and *** is wrong.", CAUSE),
    "raises the key": (f"{GAVE_NO_KEY}it raised an error: token went away with ***.", CAUSE),
    "silent": (f"{GAVE_NO_KEY}the key is empty.", LENGTH),
    "short": (f"{GAVE_NO_KEY}the key has 31 bytes, at least 32 are needed.", LENGTH),
    "too long": (f"{GAVE_NO_KEY}the key has 1025 bytes, at most 1024 are allowed.", LENGTH),
    "zeros": (f"{GAVE_NO_KEY}it wrote nothing but zeros.", LENGTH),
    "other version": (f"{REGISTERED}speaks version 2 of the interface, this pgseal speaks version 1.", HEADER),
    "no name": (NO_NAME, HEADER),
    "blank name": (NO_NAME, HEADER),
    "odd name": (NO_NAME, HEADER),
    "long name": (NO_NAME, HEADER),
    "name of a setting": (NO_NAME, HEADER),
    "no function": (f"{REGISTERED}has no function that gives the key.", HEADER),
}


def restart_with(server: Cluster, settings: dict[str, Setting | None]) -> str:
    mark = server.log_position()
    server.configure(settings, restart=True)
    return server.log(mark)


def assert_nothing_works_but_nothing_is_called_tampered(server: Cluster, log: str, detail: str, remedy: str) -> None:
    assert "WARNING:  pgseal has no usable key" in log
    assert f"DETAIL:  {detail}\n" in log and f"HINT:  {remedy}\n" in log
    database = Database(server, "sealed")
    try:
        refused = refusal(database, "INSERT INTO h VALUES (2)")
        assert (refused.state, refused.detail, refused.hint) == (NOT_IN_STATE, detail, remedy)
        assert refused.message == 'cannot seal a row of history "public.h" without a key'
        assert database.value("SELECT verdict FROM seal.verify_history()") == "unverifiable"
        assert {kind for (kind,) in database.rows("SELECT kind FROM seal.findings()")} == {"unknown_key"}
        assert database.rows("SELECT ok FROM seal.check_setup() WHERE item = 'key'") == [(False,)]
    finally:
        database.close()


@pytest.mark.parametrize("mode", FAULTS)
def test_a_fault(server: Cluster, mode: str) -> None:
    log = restart_with(server, {"testprovider.mode": mode})
    assert_nothing_works_but_nothing_is_called_tampered(server, log, *FAULTS[mode])
    # Not even ten digits of it.
    assert not any(SECRET[start : start + 10] in log.lower() for start in range(55))


@pytest.mark.parametrize("setting", ["pgseal.key_command", "pgseal.key_file", "pgseal.key"])
def test_beside_a_setting(server: Cluster, setting: str) -> None:
    path = server.write_key(SECRET)
    value = {"pgseal.key_command": f"cat {path}", "pgseal.key_file": str(path), "pgseal.key": SECRET}[setting]
    log = restart_with(server, {"testprovider.mode": "good", setting: value})
    server.configure({setting: None})
    detail = (
        f'Setting {setting} is set, and the key provider "testprovider" is loaded, but a key has exactly one source.'
    )
    remedy = (
        f"Take {setting} out of postgresql.conf, or the provider's library out of shared_preload_libraries, "
        "then restart the server."
    )
    assert_nothing_works_but_nothing_is_called_tampered(server, log, detail, remedy)
    assert "testprovider was asked" not in log


def test_a_provider_that_cannot_be_asked_is_an_error_beside_a_setting_too(server: Cluster) -> None:
    path = str(server.write_key(SECRET))
    log = restart_with(server, {"testprovider.mode": "other version", "pgseal.key_file": path})
    server.configure({"pgseal.key_file": None})
    assert_nothing_works_but_nothing_is_called_tampered(server, log, *FAULTS["other version"])


def test_a_library_that_registers_nothing_is_no_source(server: Cluster) -> None:
    log = restart_with(server, {"testprovider.mode": "absent"})
    assert "DETAIL:  None of pgseal.key_command, pgseal.key_file and pgseal.key is set.\n" in log
    log = restart_with(server, {"pgseal.key_file": str(server.write_key(SECRET))})
    assert "no usable key" not in log
    restart_with(server, {"pgseal.key_file": None})


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
