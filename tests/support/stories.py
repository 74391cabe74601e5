"""Random histories, by many hands: what hypothesis draws, and a table to which it has happened.

    @given(stories(runs=False))                         what many hands do
    tale = tell(database, story)                        table h, sealed; tables honest and abandoned beside it

`honest` is h as it was sealed, out of an attacker's sight, `kept` what seal.checkpoint had, `older` what it had before
the newest run. `abandoned` has every row that an INSERT … RETURNING
handed out and a rollback then took back: validly sealed, at positions that were used again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from support.database import Database
from support.sealing import Session, run
from support.witnessing import anchored

TENANTS = ["acme", "globex", "initech"]
HANDS = 3
LEAVES = 2

Step = tuple[int, str, Any]
"""Which session, what it does, and with what. Some things are done by nobody in particular."""

# Every history begins with these: entries of each tenant and of nobody in two chains, some that were never committed in
# both, and a new epoch.
BEGINNING: list[Step] = [
    *[(0, "insert", tenant) for tenant in (*TENANTS, None, "acme", "globex")],
    (0, "commit", None),
    *[(0, "insert", tenant) for tenant in TENANTS],
    (0, "rollback", None),
    (0, "insert", "initech"),
    *[(1, "insert", tenant) for tenant in ("acme", "globex")],
    (1, "savepoint", None),
    *[(1, "insert", tenant) for tenant in ("acme", "initech")],
    (1, "back", None),
    *[(1, "insert", tenant) for tenant in ("acme", None)],
    (1, "commit", None),
    (0, "commit", None),
    (0, "column", True),
]

INSERT = "INSERT INTO h (id, k, tenant, payload, note) VALUES (%s, %s, %s, %s, %s) RETURNING row_to_json(h)::text"
TOPS = """SELECT DISTINCT ON (seal_chain) seal_chain, seal_seq, encode(seal_mac, 'hex') FROM h
           ORDER BY seal_chain, seal_seq DESC"""


@dataclass
class Story:
    partitioned: bool
    steps: list[Step]


@dataclass
class Tale:
    """What has become of a story."""

    heads: list[tuple[str, int, str]]
    """Chain, position and mac of the newest entries."""
    checkpoint: dict[str, int]
    """Last position by chain when the newest recorded run ended; empty without a run."""


def stories(*, runs: bool) -> st.SearchStrategy[Story]:
    """Stories of histories; with `runs` there are two recorded runs in each, with something before and after each."""
    some = st.lists(_scene(), min_size=1 if runs else 2, max_size=3).map(_joined)
    record: list[Step] = [(0, "run", None)]
    steps = st.tuples(some, some, some).map(lambda parts: parts[0] + record + parts[1] + record + parts[2])
    return st.builds(Story, st.booleans(), steps if runs else some)


def _scene() -> st.SearchStrategy[list[Step]]:
    """Something that begins and mostly ends: one transaction, or several of which one lasts longer than the others."""
    hand = st.integers(0, HANDS - 1)
    single = hand.flatmap(_transaction)
    beside = st.tuples(_transaction(0, ends=False), st.lists(_transaction(1), min_size=1, max_size=2), _end(0)).map(
        lambda parts: [*parts[0], *_joined(parts[1]), *parts[2]]
    )
    left_open = _transaction(2, ends=False)
    column = st.booleans().map(lambda has_default: [(0, "column", has_default)])
    return st.one_of(single, beside, beside, left_open, column)


def _transaction(hand: int, *, ends: bool = True) -> st.SearchStrategy[list[Step]]:
    """Some rows, some of them perhaps taken back."""
    rows = st.lists(st.sampled_from([*TENANTS, None]), min_size=1, max_size=2).map(
        lambda tenants: [(hand, "insert", tenant) for tenant in tenants]
    )
    back = rows.map(lambda steps: [(hand, "savepoint", None), *steps, (hand, "back", None)])
    parts = st.one_of(st.tuples(rows), st.tuples(rows, back), st.tuples(rows, back, rows)).map(_joined)
    return st.tuples(parts, _end(hand) if ends else st.just([])).map(_joined)


def _end(hand: int) -> st.SearchStrategy[list[Step]]:
    return st.sampled_from(["commit", "commit", "rollback"]).map(lambda how: [(hand, how, None)])


def _joined(parts: Iterable[list[Step]]) -> list[Step]:
    return [step for part in parts for step in part]


@dataclass
class _Hand:
    session: Session
    savepoints: int = 0
    is_writing: bool = False


@dataclass
class _Telling:
    database: Database
    hands: list[_Hand]
    rows: int = 0
    defaults: dict[str, int | None] = field(default_factory=dict)
    handed_out: list[str] = field(default_factory=list)
    checkpoint: dict[str, int] = field(default_factory=dict)

    def step(self, step: Step) -> None:
        number, deed, what = step
        getattr(self, deed)(self.hands[number], what)

    def insert(self, hand: _Hand, tenant: str | None) -> None:
        if not hand.is_writing:
            run(hand.session, "BEGIN")
            hand.is_writing = True
        row = [self.rows, self.rows % LEAVES, tenant, json.dumps({"n": self.rows}), f"note {self.rows}"]
        self.rows += 1
        returned = hand.session.execute(INSERT, row)
        self.handed_out += [text for (text,) in returned]

    def commit(self, hand: _Hand, _: None = None) -> None:
        self._end(hand, "COMMIT")

    def rollback(self, hand: _Hand, _: None) -> None:
        self._end(hand, "ROLLBACK")

    def savepoint(self, hand: _Hand, _: None) -> None:
        if hand.is_writing:
            hand.savepoints += 1
            run(hand.session, f"SAVEPOINT s{hand.savepoints}")

    def back(self, hand: _Hand, _: None) -> None:
        if hand.savepoints:
            run(hand.session, f"ROLLBACK TO s{hand.savepoints}")
            hand.savepoints -= 1

    def column(self, _: _Hand, has_default: bool) -> None:
        """A new epoch, for which nobody may be writing."""
        for hand in self.hands:
            self.commit(hand)
        number = len(self.defaults) + 1
        self.defaults[f"c{number}"] = number if has_default else None
        self.database.run(f"ALTER TABLE h ADD COLUMN c{number} int" + (f" DEFAULT {number}" if has_default else ""))

    def run(self, _: _Hand, __: None) -> None:
        """A recorded run, which leaves a checkpoint in the place of the one before, while others write."""
        self.database.run("DROP TABLE IF EXISTS older; CREATE TABLE older AS TABLE seal.checkpoint")
        verdict = self.database.value("SELECT verdict FROM seal.verify_and_prune('h')")
        assert verdict == "intact"
        self.checkpoint = {chain: position for chain, position, _ in tops(self.database)}

    def _end(self, hand: _Hand, how: str) -> None:
        if hand.is_writing:
            run(hand.session, how)
        hand.is_writing, hand.savepoints = False, 0


def tell(database: Database, story: Story) -> Tale:
    """Makes the history anew and has the story happen to it; then everything is anchored."""
    forget(database)
    how = " PARTITION BY LIST (k)" if story.partitioned else " WITH (parallel_workers = 2)"
    database.run(f"CREATE TABLE h (id int, k int, tenant text, payload jsonb, note text){how}")
    for leaf in range(LEAVES if story.partitioned else 0):
        database.run(f"CREATE TABLE h{leaf} PARTITION OF h FOR VALUES IN ({leaf}) WITH (parallel_workers = 2)")
    database.run("CREATE INDEX ON h (tenant)")
    database.run("SELECT seal.attach('h', tenant_column => 'tenant')")
    with ExitStack() as sessions:
        hands = [_Hand(sessions.enter_context(closing(database.connect()))) for _ in range(HANDS)]
        telling = _Telling(database, hands)
        for step in BEGINNING + story.steps:
            telling.step(step)
        for hand in hands:
            telling.commit(hand)
    anchored(database)
    database.run("CREATE TABLE honest AS TABLE h; CREATE TABLE abandoned AS TABLE h WITH NO DATA")
    database.run("CREATE TABLE kept AS TABLE seal.checkpoint")
    _abandon(database, telling)
    return Tale(tops(database), telling.checkpoint)


def tops(database: Database) -> list[tuple[str, int, str]]:
    """Chain, position and mac of the newest entry of each chain."""
    return [(chain, position, mac) for chain, position, mac in database.rows(TOPS)]


def forget(database: Database) -> None:
    """Gives up the history of an earlier story."""
    if database.value("SELECT to_regclass('h') IS NOT NULL"):
        database.run("SELECT seal.detach('h'); DROP TABLE h; DROP TABLE IF EXISTS honest, abandoned, kept")


def _abandon(database: Database, telling: _Telling) -> None:
    """Stores what was handed out and never committed; columns that were added since show their default."""
    rows = [json.dumps({**telling.defaults, **json.loads(text)}) for text in telling.handed_out]
    insert = "INSERT INTO abandoned SELECT (jsonb_populate_record(NULL::abandoned, %s)).*"
    with database.connection.cursor() as cursor:
        cursor.executemany(insert, [[row] for row in rows])
    database.run("DELETE FROM abandoned USING honest WHERE abandoned.id = honest.id")
