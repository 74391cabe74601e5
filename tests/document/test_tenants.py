"""The tenant in the mac is the output text of its type under pinned settings, whatever the inserting session says."""

from __future__ import annotations

import importlib.util
import struct

import pytest

from support.database import Database
from support.proof import FORMAT
from support.rendering import apply, verdict

# Type of the tenant column → value, and its text in the mac.
TENANTS = {
    "bool": ("true", "t"),
    "char(5)": ("ä", "ä    "),
    "text": ("", ""),
    "varchar(20)": ("a\x01\u2028", "a\x01\u2028"),
    "int4": ("-7", "-7"),
    "numeric": ("1.10", "1.10"),
    "float8": ("-0", "-0"),
    "float4": ("1e20", "1e+20"),
    "uuid": ("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "timestamptz": ("2024-07-01 00:00:00.5+02", "2024-06-30 22:00:00.5+00"),
    "date": ("0044-03-15 BC", "0044-03-15 BC"),
    "interval": ("1 year -1 day 3 sec", "1 year -1 days +00:00:03"),
    "bytea": ("\\x00ff", "\\x00ff"),
    "inet": ("1.2.3.4", "1.2.3.4"),
    "mood": ("happy, ja", "happy, ja"),
    "label": ("x", "x"),
    "part": ("(1,b,0.1234567890123456,2024-07-01 00:00+02)", '(1,b,0.1234567890123456,"2024-06-30 22:00:00+00")'),
    "jsonb": ('{"a":1.10}', '{"a": 1.10}'),
}
ABROAD = {
    "TimeZone": "Asia/Kathmandu",
    "DateStyle": "German",
    "IntervalStyle": "iso_8601",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
}


@pytest.mark.parametrize("kind", TENANTS)
def test_the_text_of_a_tenant(types_db: Database, kind: str) -> None:
    spec = importlib.util.spec_from_file_location("verify", FORMAT.parent / "verify.py")
    assert spec and spec.loader
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    db, value, text = types_db, *TENANTS[kind]
    table = f"tenant_{list(TENANTS).index(kind)}"
    db.run(f"CREATE TABLE {table} (who {kind})")
    db.rows("SELECT seal.attach(%s::regclass, tenant_column => 'who')", (table,))
    abroad = db.connect()
    apply(abroad, ABROAD)
    abroad.execute(f"INSERT INTO {table} VALUES (%s)".encode(), (value,))
    [entry] = db.records(f"""
        SELECT seal_chain AS chain, seal_seq AS position, seal_epoch AS epoch, seal_anchor AS anchor, seal_mac AS mac,
               encode(timestamptz_send(seal_at), 'hex') AS sealed_at, encode(seal_prev, 'hex') AS prev,
               seal.document(h) AS document, uuid_send(history_id) AS id, sha256(record::text::bytea) AS digest
          FROM {table} h, seal.history s JOIN seal.epoch USING (history_id)
         WHERE s.relation = '{table}'::regclass""")
    secret = bytes.fromhex(db.cluster.key or "")
    salt_key = program.derive(secret, entry["id"], b"pgseal salt")
    key = program.derive(secret, entry["id"], b"pgseal epoch" + struct.pack(">I", 1) + entry["digest"])
    assert program.mac(key, program.preimage(entry["id"], salt_key, {**entry, "tenant": text})) == entry["mac"]
    # And the auditor asks by that text, in any session.
    asked = f"SELECT verdict, entries FROM seal.verify_history(%s, '{table}'::regclass)".encode()
    assert abroad.execute(asked, (text,)).fetchone() == ("intact", 1)
    assert db.rows(asked.decode(), (text + "x",)) == [("nothing_sealed", 0)]
    assert verdict(abroad, table) == ("intact", 1)
    abroad.close()
