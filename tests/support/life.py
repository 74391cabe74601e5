"""One statement after the other on a history, and what each must come to: sealed as before, or refused with a HINT.

    outcome.check(life, "ALTER TABLE h SET LOGGED")

`life` is a database with a fresh history `life.h` (made by `born`), first in the session's search path, in one chain,
with ROWS entries, all of the tenant acme. Statements are separated by "; ", what is judged is the last of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.database import Database
from support.journal import forget, sentences
from support.refusal import NOT_IN_STATE, refusal, refused_without_trace

ROWS = 5
# How pgseal answers what would break a history, and how PostgreSQL itself what it does not allow.
SERVERS_OWN = ""

ENTRIES = "INSERT INTO h (id, tenant, p) SELECT g, 'acme', jsonb_build_object('n', g) FROM generate_series(48, 52) g"


@contextmanager
def born(db: Database, *tables: str) -> Iterator[Database]:
    """A history made of these statements; it and all that a test makes beside it goes with the block."""
    db.run("CREATE SCHEMA life; SET search_path = life")
    try:
        for statement in tables:
            db.run(statement)
        db.run("SELECT seal.attach('h', tenant_column => 'tenant', max_chains => 1)")
        db.run(ENTRIES)
        forget(db)
        yield db
    finally:
        db.run("RESET ALL")
        for (table,) in db.rows("SELECT relation::text FROM seal.history WHERE detached_at IS NULL"):
            db.run(f"ALTER TABLE {table} REPLICA IDENTITY DEFAULT; SELECT seal.detach('{table}')")
            db.run(f"DROP TABLE {table} CASCADE")
        for schema in ("life", "elsewhere"):
            db.run(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


def _first_ones(db: Database, statements: str) -> str:
    *before, last = statements.split("; ")
    for statement in before:
        db.run(statement)
    forget(db)
    return last


@dataclass(frozen=True)
class Sealed:
    """The statement is done, journaled as this, the entries verify, the next one is sealed, the guard stands."""

    journaled: str = ""
    """Behind "ALTER TABLE changed life.h: " and the like; empty: nothing is journaled."""
    epoch: int = 1
    insert: str = "INSERT INTO {h} (id, tenant) VALUES (20, 'acme')"

    def check(self, db: Database, statements: str) -> None:
        db.run(_first_ones(db, statements))
        assert [sentence.partition(" changed life.h: ")[2] for sentence in sentences(db)] == [self.journaled] * bool(
            self.journaled
        )
        ((table, epoch, oid),) = db.rows(
            "SELECT relation::text, epoch, relation::oid FROM seal.history WHERE detached_at IS NULL"
        )
        assert epoch == self.epoch
        assert db.value("SELECT seal.is_intact(history => %s)", [oid]) is True
        db.run(self.insert.format(h=table))
        assert_sealed(db, oid, ROWS + 1)
        assert db.value(f"SELECT seal_epoch FROM {table} WHERE seal_seq = {ROWS + 1}") == epoch
        assert refusal(db, f"DELETE FROM {table}").state == NOT_IN_STATE


@dataclass(frozen=True)
class Refused:
    """The statement is refused in these words, leaves nothing behind, and sealing goes on."""

    state: str
    message: str
    hint: str
    """What the HINT must have in it; SERVERS_OWN where PostgreSQL itself refuses."""
    then: str = field(default="INSERT INTO h (id, tenant) VALUES (20, 'acme')")

    def check(self, db: Database, statements: str) -> None:
        refused = refused_without_trace(db, "h", _first_ones(db, statements))
        assert (refused.state, refused.message) == (self.state, self.message), refused
        assert self.hint in refused.hint and bool(self.hint) == bool(refused.hint), refused
        assert sentences(db) == []
        db.run(self.then)
        assert_sealed(db, db.value("SELECT 'h'::regclass::oid"), ROWS + 1)


Outcome = Sealed | Refused


def assert_sealed(db: Database, oid: int, entries: int) -> None:
    """Intact, all of it and its tenant's; one chain without a gap."""
    query = "SELECT verdict, entries, findings FROM seal.verify_history(%s, %s::oid::regclass)"
    for tenant in (None, "acme"):
        found = "SELECT kind, position, detail FROM seal.findings(history => %s)"
        assert db.rows(query, [tenant, oid]) == [("intact", entries, 0)], db.rows(found, [oid])
    table = db.value("SELECT %s::regclass::text", [oid])
    assert db.rows(f"SELECT count(DISTINCT seal_chain), max(seal_seq) FROM {table}") == [(1, entries)]
