"""Who has stolen all that a server has: its key, its state file and its tables. He forges whatever they let him.

    thief = Thief(db, evolving)
    thief.run("UPDATE h SET p = 'x' WHERE id = 1")         as superuser, triggers off
    thief.reseal("h")                                      every entry links to the one before it again
    thief.write_closing(…)                                 under the secret of today, which is all that he has
    thief.rewrite()                                        journal and anchors fit, too; the server forgets what it knew
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import struct
from collections.abc import Callable
from typing import Any

from support.cluster import ROOT
from support.database import Database
from support.evolving import JOURNAL, Evolving
from support.tampering import triggers_off

_SPEC = importlib.util.spec_from_file_location("pgseal_format", ROOT / "docs" / "verify.py")
assert _SPEC and _SPEC.loader
_FORMAT = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_FORMAT)

ANCHORS = b"pgseal anchors\x00\x00"
MICROSECONDS = "((extract(epoch FROM {0})::numeric - 946684800) * 1000000)::bigint"
GENESIS = bytes(32)

Row = tuple[Any, ...]
OF_RECORD = "history_id = %s AND number = %s"


def u64(number: int) -> bytes:
    return struct.pack(">Q", number)


def i64(number: int) -> bytes:
    return struct.pack(">q", number)


class Thief:
    def __init__(self, db: Database, evolving: Evolving) -> None:
        assert db.cluster.key
        self.db = db
        self.evolving = evolving
        self.key = bytes.fromhex(db.cluster.key)
        self.state = evolving.state()

    def run(self, *statements: str, table: str = "h") -> None:
        connection = self.db.connection
        with triggers_off(connection, table):
            for statement in statements:
                connection.execute(statement.encode())

    # -- entries ------------------------------------------------------------------------------------------------

    def reseal(self, table: str = "h") -> None:
        """Signs every entry anew over the one before it, in the order of positions, which are made contiguous."""
        history = self.history(table)
        salt_key = _FORMAT.derive(self.key, history, b"pgseal salt")
        epochs = {
            number: _FORMAT.derive(
                self.key, history, b"pgseal epoch" + struct.pack(">I", number) + bytes.fromhex(digest)
            )
            for number, digest in self.db.rows(
                "SELECT epoch, encode(sha256(convert_to(record::text, 'UTF8')), 'hex')"
                " FROM seal.epoch WHERE history_id = %s",
                [history.hex()],
            )
        }
        rows = self.db.rows(
            f"SELECT ctid::text, seal_chain, seal_epoch, seal_anchor, {MICROSECONDS.format('seal_at')},"
            f" seal.document(h) FROM {table} h ORDER BY seal_chain, seal_seq"
        )
        chains: dict[str, list[Any]] = {}
        for row in rows:
            chains.setdefault(row[1], []).append(row)
        statements = []
        for chain, members in chains.items():
            prev = GENESIS
            for position, (ctid, _, epoch, anchor, at, document) in enumerate(members, 1):
                entry = {
                    "chain": chain, "position": position, "tenant": None, "epoch": epoch, "anchor": anchor,
                    "sealed_at": i64(at).hex(), "prev": prev.hex(), "document": document,
                }  # fmt: skip
                mac = _FORMAT.mac(epochs[epoch], _FORMAT.preimage(history, salt_key, entry))
                statements.append((position, prev, mac, ctid))
                prev = mac
        connection = self.db.connection
        with triggers_off(connection, table):
            # Nobody is in anybody's way while all positions change, and each row is still known by its old place.
            connection.execute("BEGIN")
            values = ", ".join(
                f"('{ctid}'::tid, {position}, '\\x{prev.hex()}'::bytea, '\\x{mac.hex()}'::bytea)"
                for position, prev, mac, ctid in statements
            )
            columns = "SELECT h.*, v.position, v.prev, v.mac"
            connection.execute(
                f"CREATE TEMP TABLE stolen AS {columns} FROM {table} h"
                f" JOIN (VALUES {values}) v (place, position, prev, mac) ON v.place = h.ctid".encode()
            )
            connection.execute(
                b"UPDATE stolen SET seal_seq = position, seal_prev = prev, seal_mac = mac;"
                b" ALTER TABLE stolen DROP COLUMN position, DROP COLUMN prev, DROP COLUMN mac"
            )
            put_back = f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM stolen; DROP TABLE stolen"
            connection.execute(put_back.encode())
            connection.execute("COMMIT")

    def history(self, table: str = "h") -> bytes:
        text = self.db.value("SELECT history_id::text FROM seal.history WHERE relation = %s::regclass", [table])
        return bytes.fromhex(text.replace("-", ""))

    # -- what pgseal keeps about itself ---------------------------------------------------------------------------

    def rewrite(self) -> None:
        """Journal and anchors are signed anew, with heads as the tables have them; then the server starts anew."""
        self._resign_journal()
        self._resign_anchors()
        # Nothing of what the server remembers is left.
        self.db.cluster.restart("immediate")

    def _resign_journal(self) -> None:
        key = _FORMAT.derive(self.key, _FORMAT.JOURNAL, b"pgseal record")
        rows = self.db.rows(
            f"SELECT ctid::text, chain, {MICROSECONDS.format('at')}, who, kind, history_id::text, history, sentence,"
            " details::text, anchor, key FROM seal.journal ORDER BY chain, seq"
        )
        self._resign(
            "seal.journal", "seq", rows,
            lambda chain, position, row, prev: _FORMAT.record_mac(
                key, "journal", _FORMAT.JOURNAL, chain.encode() + u64(position),
                [
                    i64(row[2]), row[3].encode(), row[4].encode(),
                    bytes.fromhex(row[5].replace("-", "")) if row[5] else None,
                    row[6].encode() if row[6] is not None else None,
                    row[7].encode(), row[8].encode(), u64(row[9]), row[10].encode(), prev,
                ],
            ),
        )  # fmt: skip

    def _resign_anchors(self) -> None:
        self._refit_heads()
        key = _FORMAT.derive(self.key, ANCHORS, b"pgseal record")
        rows = self.db.rows(
            f"SELECT ctid::text, chain, {MICROSECONDS.format('at')}, complete, heads::text, boot, boot_time, key"
            " FROM seal.anchor ORDER BY chain, number"
        )
        self._resign(
            "seal.anchor", "number", rows,
            lambda chain, number, row, prev: _FORMAT.record_mac(
                key, "anchor", ANCHORS, chain.encode() + u64(number),
                [
                    i64(row[2]), bytes([row[3]]), row[4].encode(), row[5].encode(), i64(row[6]), row[7].encode(), prev,
                ],
            ),
        )  # fmt: skip

    def _refit_heads(self) -> None:
        """Each head that an anchor has gets the mac that stands at its position now, or at the highest below."""
        for chain, number, heads in self.db.rows("SELECT chain, number, heads FROM seal.anchor"):
            for history, chains in heads.items():
                for name, head in chains.items():
                    table, seq, own = self._chain(history)
                    found = self.db.rows(
                        f"SELECT {seq}, encode({own[1]}, 'hex') FROM {table} WHERE {own[0]} = %s AND {seq} <= %s"
                        f" ORDER BY {seq} DESC LIMIT 1",
                        [name, head[0]],
                    )
                    if found:
                        chains[name] = list(found[0])
            update = "UPDATE seal.anchor SET heads = %s WHERE chain = %s AND number = %s"
            self.db.run(update, [json.dumps(heads), chain, number])

    def _chain(self, history: str) -> tuple[str, str, tuple[str, str]]:
        if history == "journal":
            return "seal.journal", "seq", ("chain", "mac")
        table = self.db.value("SELECT relation::regclass::text FROM seal.history WHERE history_id = %s", [history])
        return str(table), "seal_seq", ("seal_chain", "seal_mac")

    def _resign(self, table: str, number: str, rows: list[Row], sign: Callable[[str, int, Row, bytes], bytes]) -> None:
        newest: dict[str, tuple[int, bytes]] = {}
        self.db.run("BEGIN")
        self.db.run(f"UPDATE {table} SET {number} = {number} + 1000000")
        # The rows moved with their order.
        places = [place for (place,) in self.db.rows(f"SELECT ctid::text FROM {table} ORDER BY chain, {number}")]
        for place, row in zip(places, rows, strict=True):
            position, prev = newest.get(row[1], (0, GENESIS))
            mac = sign(row[1], position + 1, row, prev)
            update = f"UPDATE {table} SET {number} = %s, prev = %s, mac = %s WHERE ctid = %s::tid"
            self.db.run(update, [position + 1, prev, mac, place])
            newest[row[1]] = (position + 1, mac)
        self.db.run("COMMIT")

    # -- closings -------------------------------------------------------------------------------------------------

    def sign_closing(self, subject: str, number: int) -> None:
        """Signs a record under the secret of today, whatever period it says."""
        history = bytes.fromhex(subject.replace("-", ""))
        key = _FORMAT.derive(bytes.fromhex(self.state["secret"]), history, b"pgseal record")
        record = self.db.value(f"SELECT record::text FROM seal.closing WHERE {OF_RECORD}", [subject, number])
        mac = _FORMAT.record_mac(key, "closing", history, u64(number), [record.encode()])
        self.db.run(f"UPDATE seal.closing SET mac = %s WHERE {OF_RECORD}", [mac, subject, number])

    def relink(self, subject: str, start: int = 1) -> None:
        """Numbers a subject's records anew, links each to the one before, and signs those from `start` on."""
        self.db.run("BEGIN")
        self.db.run("UPDATE seal.closing SET number = number + 1000000 WHERE history_id = %s", [subject])
        numbers = self.db.rows("SELECT number FROM seal.closing WHERE history_id = %s ORDER BY 1", [subject])
        for number, (former,) in enumerate(numbers, 1):
            self.db.run(f"UPDATE seal.closing SET number = %s WHERE {OF_RECORD}", [number, subject, former])
            if number >= start:
                previous = self._digest(subject, number - 1)
                linked = "jsonb_set(record, '{previous}', coalesce(to_jsonb(%s::text), 'null'))"
                self.db.run(f"UPDATE seal.closing SET record = {linked} WHERE {OF_RECORD}", [previous, subject, number])
                self.sign_closing(subject, number)
        self.db.run("COMMIT")

    def _digest(self, subject: str, number: int) -> str | None:
        rows = self.db.rows(f"SELECT record::text, mac FROM seal.closing WHERE {OF_RECORD}", [subject, number])
        return hashlib.sha256(u64(number) + rows[0][1] + rows[0][0].encode()).hexdigest() if rows else None

    @property
    def subjects(self) -> list[str]:
        return [JOURNAL, str(self.db.value("SELECT history_id::text FROM seal.history WHERE relation = 'h'::regclass"))]
