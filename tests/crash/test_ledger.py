"""What a crash may do to transactions, and what it must not: the judge of `make torture` says so of each."""

from __future__ import annotations

import pytest

from support.ledger import Fate, Ledger, LedgerError, Row, Transaction

A: Row = ("plain", 1)
B: Row = ("plain", 2)
C: Row = ("single", 3)


def transaction(fate: Fate, *rows: Row, gid: str | None = None, synchronous: bool = True) -> Transaction:
    return Transaction(synchronous, set(rows), fate, gid)


def prepared(fate: Fate, *rows: Row) -> Transaction:
    return transaction(fate, *rows, gid="p")


def lazy(*rows: Row) -> Transaction:
    return transaction(Fate.COMMITTED, *rows, synchronous=False)


@pytest.mark.parametrize(
    ("log", "stored", "open_ones", "after"),
    [
        ([transaction(Fate.COMMITTED, A, B)], {A, B}, set(), {A, B}),
        ([transaction(Fate.COMMITTING, A, B)], {A, B}, set(), {A, B}),
        ([transaction(Fate.COMMITTING, A, B)], set(), set(), set()),
        ([transaction(Fate.OPEN, A)], set(), set(), set()),
        ([prepared(Fate.PREPARING, A)], set(), set(), set()),
        ([prepared(Fate.PREPARING, A)], set(), {"p"}, set()),
        ([prepared(Fate.PREPARED, A)], set(), {"p"}, set()),
        ([prepared(Fate.ENDING_KEPT, A)], set(), {"p"}, set()),
        ([prepared(Fate.ENDING_KEPT, A)], {A}, set(), {A}),
        ([prepared(Fate.ENDING_LOST, A)], set(), {"p"}, set()),
        ([prepared(Fate.ENDING_LOST, A)], set(), set(), set()),
        ([lazy(A), lazy(B)], {A}, set(), {A}),
        ([lazy(A), lazy(B)], set(), set(), set()),
    ],
)
def test_what_may_be(log: list[Transaction], stored: set[Row], open_ones: set[str], after: set[Row]) -> None:
    ledger = Ledger()
    ledger.close_round([log], stored, open_ones)
    assert ledger.expected == after
    assert {open_one.gid for open_one in ledger.prepared} == open_ones


@pytest.mark.parametrize(
    ("log", "stored", "open_ones", "fault"),
    [
        ([transaction(Fate.COMMITTED, A)], set(), set(), "acknowledged, and lost: ('plain', 1)"),
        ([transaction(Fate.COMMITTED, A, B)], {A}, set(), "missing from a transaction that was committed"),
        ([transaction(Fate.COMMITTING, A, C)], {C}, set(), "missing from a transaction that was on its way"),
        ([transaction(Fate.ROLLED_BACK, A)], {A}, set(), "stored, and never committed: ('plain', 1)"),
        ([transaction(Fate.OPEN, A)], {A}, set(), "stored, and never committed"),
        ([], {A}, set(), "stored, and never committed"),
        ([prepared(Fate.PREPARED, A)], set(), set(), "p was prepared, and is gone"),
        ([prepared(Fate.PREPARED, A)], {A}, set(), "p was prepared, and is gone"),
        ([prepared(Fate.PREPARED, A)], {A}, {"p"}, "stored, and never committed"),
        ([prepared(Fate.ENDING_KEPT, A)], set(), set(), "p was prepared, on its way to be committed, and is gone"),
        ([prepared(Fate.ENDING_LOST, A)], {A}, set(), "stored, and never committed"),
        ([prepared(Fate.COMMITTED, A)], {A}, {"p"}, "p is prepared, and was committed"),
        ([], set(), {"foreign"}, "prepared, and nobody has prepared it: foreign"),
        ([lazy(A), lazy(B)], {B}, set(), "lost, while a later transaction of the same session was kept"),
        ([lazy(A, B)], {B}, set(), "missing from a transaction that was committed"),
    ],
)
def test_what_must_not_be(log: list[Transaction], stored: set[Row], open_ones: set[str], fault: str) -> None:
    with pytest.raises(LedgerError) as caught:
        Ledger().close_round([log], stored, open_ones)
    assert fault in str(caught.value)


def test_a_prepared_one_goes_on_over_the_next_crash() -> None:
    ledger = Ledger()
    ledger.close_round([[prepared(Fate.PREPARED, A)]], set(), {"p"})
    ledger.close_round([], set(), {"p"})
    (open_one,) = ledger.prepared
    ledger.decide(open_one, keep=True)
    ledger.compare({A})
    ledger.close_round([[transaction(Fate.COMMITTED, B)]], {A, B}, set())
    with pytest.raises(LedgerError, match=r"1 acknowledged, and lost: \('plain', 1\)"):
        ledger.close_round([], {B}, set())
