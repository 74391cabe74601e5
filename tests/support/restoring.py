"""A database with all that pgseal keeps, ways to dump and restore it, and what must be the same afterwards.

    original = furnish(server.createdb())
    copy = FORMS["custom"](original)
    assert_same(original, copy)
    assert_goes_on(original, copy)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from support.database import Database
from support.sealing import history, partitioned, wait_for
from support.witnessing import anchored

HISTORIES = {"public.plain": 4, "public.p": 4, "public.one": 2}

# Rows as text; the table of a history by its name, since its oid is another one.
STATE = {
    "seal.journal": "SELECT t::text FROM seal.journal t ORDER BY chain, seq",
    "seal.anchor": "SELECT t::text FROM seal.anchor t ORDER BY chain, number",
    "seal.history": "SELECT t::text FROM seal.history t WHERE detached_at IS NULL ORDER BY history_id",
    "seal.epoch": "SELECT t::text FROM seal.epoch t ORDER BY history_id, epoch",
    "plain": "SELECT t::text FROM plain t ORDER BY seal_chain, seal_seq",
    "p": "SELECT t::text FROM p t ORDER BY seal_chain, seal_seq",
    "one": "SELECT t::text FROM one t ORDER BY seal_chain, seal_seq",
}
FINDINGS = "SELECT history, kind, chain, position, last_position, detail FROM seal.findings()"


def furnish(db: Database) -> Database:
    """Three histories, one with two epochs and one with leaves, and one that was detached; all in anchors."""
    db.run("CREATE EXTENSION pgseal")
    history(db, "plain", options="tenant_column => 'p', window_months => 24")
    partitioned(db, "p")
    history(db, "one", options="max_chains => 1")
    history(db, "gone")
    db.run("INSERT INTO plain VALUES (1, 'acme'), (2, 'umbrella'), (3, NULL)")
    db.run("INSERT INTO p SELECT g, g % 2, 'x' FROM generate_series(1, 4) g")
    anchored(db)
    db.run("INSERT INTO one SELECT g, 'x' FROM generate_series(1, 2) g; INSERT INTO gone VALUES (1, 'x')")
    db.run("ALTER TABLE plain ADD COLUMN added int DEFAULT 5")
    db.run("INSERT INTO plain (id, p) VALUES (4, 'acme')")
    anchored(db)
    db.run("SELECT seal.detach('gone'); DROP TABLE gone; ALTER TABLE one RENAME COLUMN p TO payload")
    anchored(db)
    settle(db)
    return db


def settle(db: Database) -> None:
    """Waits until the journal too is in an anchor, so that nothing is written any more."""
    wait_for(
        db,
        """SELECT coalesce(bool_and(
                    (SELECT max(seq) FROM seal.journal j WHERE j.chain = newest.chain)
                    = (SELECT max((heads -> 'journal' -> chain ->> 0)::int)
                         FROM seal.anchor a WHERE a.chain = newest.chain)), false)
             FROM (SELECT chain FROM seal.anchor ORDER BY at DESC LIMIT 1) newest""",
    )
    anchored(db)


def archive(db: Database, name: str, *options: str) -> Path:
    """A dump of the database, in a place that the server's user can write."""
    path = db.cluster.sockets / f"{db.name}-{name}"
    db.cluster.run("pg_dump", "-d", db.name, *options, "-f", path)
    return path


def restore(db: Database, source: Path, *options: str, replica: bool = False) -> None:
    """pg_restore, which stops at the first error and warns of nothing."""
    server = db.cluster
    if replica:
        server.env["PGOPTIONS"] = "-c session_replication_role=replica"
    try:
        done = server.run("pg_restore", "-d", db.name, "--exit-on-error", *options, source)
    finally:
        server.env.pop("PGOPTIONS", None)
    assert done.stderr == ""


def _plain(original: Database, copy: Database) -> None:
    copy.psql(original.cluster.run("pg_dump", "-d", original.name).stdout)


def _inserts(original: Database, copy: Database) -> None:
    copy.psql(original.cluster.run("pg_dump", "-d", original.name, "--inserts").stdout)


def _custom(original: Database, copy: Database) -> None:
    restore(copy, archive(original, "custom", "-Fc"))


def _directory(original: Database, copy: Database) -> None:
    restore(copy, archive(original, "directory", "-Fd", "-j", "2"), "-j", "2")


def _triggers_disabled(original: Database, copy: Database) -> None:
    source = archive(original, "disabled", "-Fc")
    restore(copy, source, "--schema-only")
    restore(copy, source, "--data-only", "--disable-triggers")


def _replica(original: Database, copy: Database) -> None:
    source = archive(original, "replica", "-Fc")
    restore(copy, source, "--schema-only")
    restore(copy, source, "--data-only", replica=True)


FORMS: dict[str, Callable[[Database, Database], None]] = {
    "plain": _plain,
    "inserts": _inserts,
    "custom": _custom,
    "directory, in parallel": _directory,
    "data only, triggers disabled": _triggers_disabled,
    "data only, as a replica": _replica,
}


def state(db: Database) -> dict[str, list[str]]:
    return {name: [text for (text,) in db.rows(query)] for name, query in STATE.items()}


def assert_intact(db: Database, more: int = 0) -> None:
    """Every history intact, with its entries and so many more."""
    assert db.rows(FINDINGS) == []
    answer = db.rows("SELECT history, verdict, entries, findings FROM seal.verify_history() ORDER BY 1")
    assert answer == sorted((name, "intact", entries + more, 0) for name, entries in HISTORIES.items())


def tag_of(db: Database, table: str, row: int) -> str:
    """Name of the place where an entry was sealed."""
    return str(db.value(f"SELECT split_part(seal_chain, '/', 1) FROM {table} WHERE id = {row}"))


def insert_everywhere(db: Database, row: int) -> None:
    db.run(f"INSERT INTO plain (id, p) VALUES ({row}, 'acme')")
    db.run(f"INSERT INTO p VALUES ({row}, {row % 2}, 'x')")
    db.run(f"INSERT INTO one VALUES ({row}, 'x')")


def adopted(db: Database, place: str) -> dict[str, dict[str, list[str]]]:
    """What the first anchor of a place says; it must be complete."""
    ((complete, heads),) = db.rows("SELECT complete, heads FROM seal.anchor WHERE chain = %s AND number = 1", [place])
    assert complete
    assert isinstance(heads, dict)
    return heads


def assert_adopted(db: Database, old: str, new: str) -> None:
    """The first anchor of the new place has the ends of all the old place's chains, its anchors' and journal's too."""
    heads = adopted(db, new)
    newest = "SELECT {0}, encode(mac, 'hex') FROM seal.{1} WHERE chain = %s ORDER BY 1 DESC LIMIT 1"
    assert heads["anchors"][old] == list(db.rows(newest.format("number", "anchor"), [old])[0])
    assert heads["journal"][old] == list(db.rows(newest.format("seq", "journal"), [old])[0])
    for table in ("plain", "p", "one"):
        which = db.value("SELECT history_id::text FROM seal.history WHERE relation = %s::regclass", [table])
        tops = db.rows(
            f"SELECT DISTINCT ON (seal_chain) seal_chain, seal_seq, encode(seal_mac, 'hex') FROM {table}"
            " WHERE split_part(seal_chain, '/', 1) = %s ORDER BY seal_chain, seal_seq DESC",
            [old],
        )
        assert tops
        assert {chain: head for chain, head in heads[which].items() if chain.split("/")[0] == old} == {
            chain: [position, mac] for chain, position, mac in tops
        }

