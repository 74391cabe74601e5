"""Random transactions of inserts, savepoints and skipped rows, against a model that only counts what stays."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.database import Database
from support.sealing import assert_whole, history, ids, partitioned, run

Step = tuple[str, int]

STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.sampled_from(
            ["insert", "skip", "skip_last", "skip_first", "single", "savepoint", "rollback", "release", "block"]
        ),
        st.integers(0, 2),
    ),
    max_size=14,
)
END = st.sampled_from(["COMMIT", "COMMIT", "ROLLBACK", "PREPARE", "PREPARE-ROLLBACK"])
FEW = settings(
    max_examples=120, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Model:
    """The ids that a transaction has stored, and a stack of them for its savepoints."""

    def __init__(self, db: Database, table: str, leaves: int, first_id: int) -> None:
        self.db, self.table, self.leaves = db, table, leaves
        self.stored: list[int] = []
        self.saved: list[list[int]] = []
        self.next_id = first_id

    def row(self, number: int) -> str:
        return f"({number}, {number % self.leaves}, 'x')" if self.leaves else f"({number}, 'x')"

    def new(self) -> str:
        self.next_id += 1
        self.stored.append(self.next_id)
        return self.row(self.next_id)

    def insert(self, rows: list[str], clause: str = "") -> None:
        self.run(f"INSERT INTO {self.table} VALUES {', '.join(rows)} {clause}")

    def run(self, statement: str) -> None:
        run(self.db.connection, statement)

    def take(self, kind: str, which: int) -> None:
        taken = self.row(0)  # stands in the table from the start
        skip = [
            "ON CONFLICT DO NOTHING",
            "ON CONFLICT DO NOTHING",
            "ON CONFLICT ({}) DO UPDATE SET p = 'y' WHERE false",
        ]
        clause = skip[which].format("id, k" if self.leaves else "id")
        match kind:
            case "insert":
                self.insert([self.new() for _ in range(which + 1)])
            case "single":
                self.run(f"INSERT INTO {self.table} VALUES {self.new()} ON CONFLICT DO NOTHING")
            case "skip":
                self.insert([taken] * (which + 1), clause)
            case "skip_last":
                self.insert([self.new(), self.new(), taken], clause)
            case "skip_first":
                self.insert([taken, self.new(), taken, self.new()], clause)
            case "savepoint":
                self.saved.append(list(self.stored))
                self.run(f"SAVEPOINT s{len(self.saved)}")
            case "rollback" if self.saved:
                depth = max(1, len(self.saved) - which)
                self.stored = list(self.saved[depth - 1])
                del self.saved[depth:]
                self.run(f"ROLLBACK TO s{depth}")
            case "release" if self.saved:
                depth = max(1, len(self.saved) - which)
                del self.saved[depth - 1 :]
                self.run(f"RELEASE s{depth}")
            case "block":
                lost = self.row(self.next_id + 1)
                self.run(
                    f"DO $$ BEGIN INSERT INTO {self.table} VALUES {lost}; "
                    f"INSERT INTO {self.table} VALUES {taken} {clause}; RAISE division_by_zero; "
                    "EXCEPTION WHEN division_by_zero THEN NULL; END $$"
                )


def follow(db: Database, table: str, leaves: int, programs: list[tuple[list[Step], str]]) -> None:
    expected = ids(db, table)
    for steps, end in programs:
        model = Model(db, table, leaves, max(expected))
        model.run("BEGIN")
        for kind, which in steps:
            model.take(kind, which)
        if end.startswith("PREPARE"):
            model.run("PREPARE TRANSACTION 'p'")
            model.run("ROLLBACK PREPARED 'p'" if end.endswith("ROLLBACK") else "COMMIT PREPARED 'p'")
        else:
            model.run(end)
        if "ROLLBACK" not in end:
            expected += model.stored
        assert ids(db, table) == expected
    assert_whole(db, table, entries=len(expected))


PROGRAMS = st.lists(st.tuples(STEPS, END), min_size=1, max_size=3)


def test_any_program_leaves_one_whole_chain(db: Database) -> None:
    history(db, options="max_chains => 1")
    db.run("INSERT INTO h VALUES (0, 'x')")

    @FEW
    @given(PROGRAMS)
    def check(programs: list[tuple[list[Step], str]]) -> None:
        follow(db, "h", 0, programs)

    check()


def test_any_program_leaves_one_whole_chain_over_partitions(db: Database) -> None:
    partitioned(db, leaves=3, options="max_chains => 1")
    db.run("INSERT INTO h VALUES (0, 0, 'x')")

    @FEW
    @given(PROGRAMS)
    def check(programs: list[tuple[list[Step], str]]) -> None:
        follow(db, "h", 3, programs)

    check()
