"""Random tampering with a history that `support.stories` has told, and its repair.

    @given(mischief())                                  some deeds, and who asks afterwards
    with spoilt(session, mischief): ...                 inside, it is done and committed; afterwards all is as before

Everything is done by a superuser with triggers off. Rows are named by their id, which tampering leaves alone: a deed
may name one that never was, or was removed before. `loose` mischief takes away the unique index too, so that rows may
stand twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from hypothesis import strategies as st
from psycopg import errors

from support.sealing import Session, run
from support.stories import TENANTS
from support.tampering import SEAL_COLUMNS, triggers_off

IDS = [0, 1, 2, 3, 4, 5, 9, 10, 11, 14, 15, *range(16, 22)]
"""Of rows that every story has, and most have."""

VALUES = {
    "k": ["1 - k"],
    "tenant": ["'acme'", "'globex'", "NULL", "'x'", "''", "tenant || ' '"],
    "payload": ["'{}'", "payload || '{\"n\": -1}'", "NULL"],
    "note": ["''", "note || ' '", "NULL"],
    "c1": ["NULL", "99"],
    "seal_chain": ["'x'", "seal_chain || '/1'", "(SELECT min(seal_chain) FROM honest)"],
    "seal_seq": ["seal_seq + 1", "seal_seq - 1", "1", "5", "100", "0", "-1", "9223372036854775807"],
    "seal_epoch": ["1", "2", "seal_epoch + 1", "0", "-1"],
    "seal_anchor": ["0", "1", "-1", "seal_anchor + 1"],
    "seal_at": ["seal_at + interval '1 microsecond'", "seal_at - interval '2 years'", "'-infinity'"],
    "seal_prev": ["sha256('x')", "'\\x00'", "seal_mac", "decode(repeat('00', 32), 'hex')"],
    "seal_mac": ["sha256('x')", "''", "seal_prev"],
}
COLUMNS = list(VALUES)
AGAIN = "INSERT INTO h SELECT (jsonb_populate_record(o, jsonb_build_object({}))).* FROM honest o WHERE id = {}".format
FORGED = ["", "'seal_seq', seal_seq + 100", "'tenant', 'globex'", "'seal_chain', 'x'", "'seal_seq', seal_seq - 1"]
CONTENT = ["tenant", "payload", "note"]
PLACE = ["seal_chain", "seal_seq"]
MACS = ["seal_prev", "seal_mac"]

INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename ~ '^h[0-9]*$' AND indexdef LIKE '%seal_chain%'"
OF_H = "c.history_id = (SELECT history_id FROM seal.history WHERE relation = 'h'::regclass AND detached_at IS NULL)"
CHAIN = "(SELECT min(seal_chain) FROM honest)"
CHECKPOINTS = [
    f"DELETE FROM seal.checkpoint c WHERE {OF_H}",
    f"UPDATE seal.checkpoint c SET record = o.record FROM older o WHERE {OF_H} AND o.history_id = c.history_id",
    f"UPDATE seal.checkpoint c SET record = record #- ARRAY['chains', {CHAIN}] WHERE {OF_H}",
    f"UPDATE seal.checkpoint c SET record = record #- ARRAY['chains', {CHAIN}, 'census', '0'] WHERE {OF_H}",
]
IMPOSSIBLE = (
    errors.UniqueViolation,
    errors.CheckViolation,
    errors.NotNullViolation,
    errors.NumericValueOutOfRange,
)

ID = st.sampled_from(IDS)


def _among(texts: Sequence[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(texts)


def _exchanged(columns: Sequence[str]) -> st.SearchStrategy[list[str]]:
    """Two rows exchange these columns. One stands aside while the unique index would mind."""
    taken = ", ".join(f"{column} = o.{column}" for column in columns)

    def statements(one: int, other: int) -> list[str]:
        put = f"UPDATE h SET {taken} FROM honest o WHERE h.id = {{}} AND o.id = {{}}"
        aside = [f"UPDATE h SET seal_seq = -9 - id WHERE id = {one}"] if "seal_seq" in columns else []
        return [*aside, put.format(other, one), put.format(one, other)] if one != other else []

    return st.builds(statements, ID, ID)


def _abandoned(which: str) -> st.SearchStrategy[list[str]]:
    """Rows of abandoned branches, in the place of those that stand there or beside them."""
    mine = f"(SELECT seal_chain, seal_seq FROM abandoned WHERE {which})"
    remove = f"DELETE FROM h WHERE (seal_chain, seal_seq) IN {mine}"
    # Of several branches at one place, one.
    insert = f"""INSERT INTO h SELECT (a).* FROM (SELECT DISTINCT ON (seal_chain, seal_seq) a
                   FROM abandoned a WHERE {which} ORDER BY seal_chain, seal_seq, id) one"""
    return st.sampled_from([[remove, insert], [insert]])


def _deed() -> st.SearchStrategy[list[str]]:
    """One thing that is done, as statements."""
    update = "UPDATE h SET {} = {} WHERE id = {}".format
    taken = "UPDATE h SET {0} = o.{0} FROM honest o WHERE h.id = {1} AND o.id = {2}".format
    one = st.one_of(
        _among(COLUMNS).flatmap(lambda column: st.builds(update, st.just(column), _among(VALUES[column]), ID)),
        st.builds(update, _among(["seal_epoch", "c1"]), _among(["1", "2"]), ID),
        st.builds(taken, _among(COLUMNS), ID, ID),
        st.builds("DELETE FROM h WHERE id = {}".format, ID),
        st.builds(AGAIN, _among(FORGED), ID),
    )
    many = st.one_of(
        st.builds("DELETE FROM h WHERE seal_seq > {}".format, st.integers(0, 8)),
        st.builds("DELETE FROM h WHERE tenant = '{}'".format, _among(TENANTS)),
        st.builds("DELETE FROM h WHERE seal_chain = (SELECT seal_chain FROM honest WHERE id = {})".format, ID),
        st.builds("UPDATE h SET tenant = 'globex' WHERE tenant = '{}'".format, _among(TENANTS)),
        st.builds("UPDATE h SET seal_seq = seal_seq + 50 WHERE seal_seq > {}".format, st.integers(0, 8)),
        st.builds("UPDATE h SET seal_prev = seal_mac, seal_mac = seal_prev WHERE id = {}".format, ID),
    )
    exchanged = [CONTENT, PLACE, MACS, [*PLACE, *MACS], list(SEAL_COLUMNS)]
    abandoned = ["true", *(f"id = (SELECT id FROM abandoned ORDER BY id OFFSET {row} LIMIT 1)" for row in range(6))]
    return st.one_of(
        one.map(lambda statement: [statement]),
        one.map(lambda statement: [statement]),
        many.map(lambda statement: [statement]),
        st.sampled_from(exchanged).flatmap(_exchanged),
        _among(abandoned).flatmap(_abandoned),
    )


@dataclass(frozen=True)
class Mischief:
    deeds: list[list[str]]
    loose: bool
    tenants: list[str]
    """Whom somebody asks for afterwards."""
    record: str | None = None
    """What is done to the checkpoint."""


def mischief() -> st.SearchStrategy[Mischief]:
    tenants = st.permutations([*TENANTS, "nobody"]).map(lambda tenants: list(tenants[:2]))
    strict = st.builds(Mischief, st.lists(_deed(), min_size=1, max_size=4), st.just(False), tenants)
    twice = ID.map(lambda row: [AGAIN("", row)])
    loose = st.builds(
        lambda deeds, copy, tenants: Mischief([*deeds, copy], True, tenants),
        st.lists(_deed(), max_size=3),
        st.one_of(twice, _abandoned("true")),
        tenants,
    )
    return st.one_of(strict, strict, strict, loose)


def with_records() -> st.SearchStrategy[Mischief]:
    """Mischief that now and then is to be hidden by a changed checkpoint."""
    record = st.sampled_from([None, None, None, *CHECKPOINTS])
    return st.builds(replace, mischief(), record=record)


@contextmanager
def spoilt(session: Session, mischief: Mischief) -> Iterator[None]:
    """Inside, it is done and committed. A deed that an index or a partition forbids is left out."""
    indexes = session.execute(INDEXES.encode()).fetchall()
    with session.transaction(), triggers_off(session, "h"):
        if mischief.loose:
            run(session, *(f"DROP INDEX {name}" for name, _ in indexes))
        for deed in mischief.deeds:
            try:
                with session.transaction():
                    run(session, *deed)
            except IMPOSSIBLE:
                continue
        run(session, *filter(None, [mischief.record]))
    try:
        yield
    finally:
        with session.transaction(), triggers_off(session, "h"):
            run(session, "DELETE FROM h", "INSERT INTO h TABLE honest")
            run(session, "DELETE FROM seal.checkpoint", "INSERT INTO seal.checkpoint TABLE kept")
            if mischief.loose:
                run(session, *(definition for _, definition in indexes))
