"""docs/format.md and docs/verify.py agree with the known answers of the crate, and with pgseal's own records."""

from __future__ import annotations

import importlib.util
import json
import struct
from types import ModuleType
from typing import Any

import pytest

from support.cluster import ROOT
from support.database import Database
from support.markdown import named
from support.proof import FORMAT

VECTORS = json.loads((ROOT / "crates" / "chain" / "tests" / "vectors.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify", FORMAT.parent / "verify.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_vector_in_format_md_is_one_of_the_crates() -> None:
    assert json.loads(named(FORMAT, "vector")) in VECTORS["entries"]


@pytest.mark.parametrize("vector", VECTORS["entries"], ids=lambda vector: vector["note"])
def test_the_program_makes_what_the_crate_makes(program: ModuleType, vector: dict[str, Any]) -> None:
    secret, history = bytes.fromhex(vector["secret"]), bytes.fromhex(vector["history"])
    salt_key = program.derive(secret, history, b"pgseal salt")
    info = b"pgseal epoch" + struct.pack(">I", vector["epoch"]) + bytes.fromhex(vector["record_digest"])
    epoch_key = program.derive(secret, history, info)
    assert (salt_key.hex(), epoch_key.hex()) == (vector["salt_key"], vector["epoch_key"])
    preimage = program.preimage(
        history, salt_key, {**vector, "sealed_at": struct.pack(">q", vector["sealed_at"]).hex()}
    )
    assert preimage.hex() == vector["preimage"]
    assert program.mac(epoch_key, preimage).hex() == vector["mac"]
    assert program.mac(secret, b"pgseal fingerprint")[:8].hex() == vector["fingerprint"]


@pytest.mark.parametrize("vector", VECTORS["records"], ids=lambda vector: vector["label"])
def test_the_program_makes_the_crates_record_macs(program: ModuleType, vector: dict[str, Any]) -> None:
    secret, history = bytes.fromhex(vector["secret"]), bytes.fromhex(vector["history"])
    fields = [None if field is None else bytes.fromhex(field) for field in vector["fields"]]
    key = program.derive(secret, history, b"pgseal record")
    mac = program.record_mac(key, vector["label"], history, bytes.fromhex(vector["record_id"]), fields)
    assert mac.hex() == vector["mac"]


def test_a_secret_in_base64(program: ModuleType) -> None:
    assert program.read_secret("/+8AAQ==") == program.read_secret("/+8AAQ") == program.read_secret("FFef0001")


def test_a_detachment_has_the_mac_that_format_md_says(db: Database, program: ModuleType) -> None:
    db.run("CREATE TABLE t (a int)")
    db.rows("SELECT seal.attach('t')")
    db.rows("SELECT seal.detach('t')")
    history, at, user, mac = db.rows(
        "SELECT uuid_send(history_id), timestamptz_send(detached_at), detached_by, detach_mac FROM seal.history"
    )[0]
    key = program.derive(bytes.fromhex(db.cluster.key or ""), history, b"pgseal record")
    assert program.record_mac(key, "detach", history, history, [at, user.encode()]) == mac


def test_names_of_chains_and_the_members_of_an_epoch(db: Database) -> None:
    db.run("CREATE TABLE t (a int, who text)")
    db.rows("SELECT seal.attach('t', tenant_column => 'who')")
    db.run("INSERT INTO t VALUES (1, 'x'); ALTER TABLE t ADD COLUMN b int DEFAULT 7;")
    assert db.value("""
        SELECT seal_chain = 'main.' || encode(substr(sha256(int8send(system_identifier)
               || int4send(timeline_id) || int4send(d.oid::int)), 1, 4), 'hex')
          FROM t, pg_control_system(), pg_control_checkpoint(), pg_database d WHERE datname = current_database()""")
    first, second = (row[0] for row in db.rows("SELECT record FROM seal.epoch ORDER BY epoch"))
    members = {"id", "key", "fingerprint", "columns", "tenant", "baseline"}
    assert (first.keys(), second.keys()) == (members, members | {"previous"})
    assert [column.keys() - {"id", "name", "type"} for column in second["columns"]] == [set(), set(), {"default"}]
    assert db.value("""SELECT record ->> 'previous' = (SELECT encode(sha256(record::text::bytea), 'hex')
                         FROM seal.epoch WHERE epoch = 1) FROM seal.epoch WHERE epoch = 2""")


def test_verify_py_is_a_page() -> None:
    assert len((FORMAT.parent / "verify.py").read_text("utf-8").splitlines()) <= 150
