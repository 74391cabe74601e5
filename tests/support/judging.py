"""The slow model of crates/chain as a judge over a history that stands in a real table, told by `support.stories`.

    judge = Judge()                                           builds the program and starts it
    judgement = judge.of(case(database, tale, ["acme"]))      what a verification of table h has to say
    judge.close()

What a judgement holds stands at the top of crates/chain/examples/judge/main.rs. The documents that are signed are made
by the server's own means, not by pgseal: the columns are of types for which that is `to_jsonb`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.cluster import ROOT
from support.database import Database
from support.stories import Tale

BUILD_TIMEOUT = 600.0

Record = dict[str, Any]

# Rows come in the order in which the ordered pass of a verification reads them, equal places alike.
ROWS = """
SELECT coalesce(jsonb_agg(jsonb_build_object(
           'key', jsonb_build_object('ctid', t.ctid::text),
           'chain', t.seal_chain, 'position', t.seal_seq, 'epoch', t.seal_epoch, 'anchor', t.seal_anchor,
           'sealed_at', encode(timestamptz_send(t.seal_at), 'hex'), 'tenant', t.tenant,
           'prev', encode(t.seal_prev, 'hex'), 'mac', encode(t.seal_mac, 'hex'), 'documents', documents.of,
           'columns', jsonb_build_array({columns}))
           ORDER BY t.seal_chain COLLATE "C" NULLS LAST, t.seal_seq NULLS LAST), '[]')::text
  FROM {table} t
 CROSS JOIN LATERAL (
       SELECT jsonb_object_agg(e.epoch, signed.document) AS of
         FROM seal.epoch e
        CROSS JOIN LATERAL (
              SELECT coalesce(jsonb_object_agg(value.name, value.signed), '{{}}')::text AS document
                FROM (VALUES {values}) AS value (name, signed)
               WHERE value.signed IS NOT NULL
                 AND e.record -> 'columns' @> jsonb_build_array(jsonb_build_object('name', value.name))) AS signed
        WHERE e.history_id = %(history)s) AS documents
"""
HISTORY = "SELECT history_id FROM seal.history WHERE relation = 'h'::regclass AND detached_at IS NULL"
EPOCHS = "SELECT record::text FROM seal.epoch WHERE history_id = %s ORDER BY epoch"
COLUMNS = """SELECT quote_ident(attname) FROM pg_attribute
              WHERE attrelid = 'h'::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT LIKE 'seal\\_%'
              ORDER BY attnum"""


def executable() -> Path:
    """Builds the judge, in seconds if the crate was built before."""
    command = ["cargo", "build", "--quiet", "--package", "pgseal-chain", "--example", "judge"]
    done = subprocess.run(
        [*command, "--message-format", "json"], cwd=ROOT, capture_output=True, text=True, timeout=BUILD_TIMEOUT
    )
    assert done.returncode == 0, done.stderr
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    (path,) = {message["executable"] for message in messages if message.get("executable")}
    return Path(path)


def case(database: Database, tale: Tale, tenants: Sequence[str]) -> str:
    """The line for the judge about a history as it stands; the table `honest` has it as it was sealed."""
    history = database.value(HISTORY)
    names = [name for (name,) in database.rows(COLUMNS)]
    columns = ", ".join(f"jsonb_build_array('{name}', t.{name}::text)" for name in names)
    values = ", ".join(f"('{name}', to_jsonb(t.{name}))" for name in names)

    def rows(of: str) -> Any:
        return json.loads(database.value(ROWS.format(table=of, columns=columns, values=values), {"history": history}))

    return json.dumps(
        {
            "secret": database.cluster.key,
            "history": history.hex,
            "epochs": [record for (record,) in database.rows(EPOCHS, [history])],
            "heads": tale.heads,
            "cuts": [],
            "checkpoint": tale.checkpoint,
            "honest": rows("honest"),
            "rows": rows("h"),
            "tenants": tenants,
        }
    )


class Judge:
    """A process that answers line by line; one for as many cases as there are."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [executable()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PATH": os.defpath}
        )

    def of(self, case: str) -> Record:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(case + "\n")
        self._process.stdin.flush()
        judgement: Record = json.loads(self._process.stdout.readline())
        return judgement

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(timeout=10) == 0
