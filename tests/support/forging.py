"""Forges sums: which entries to copy so that others can be deleted and every plain sum over the table stays the same.

A check that only adds up what is stored (the number of entries, their positions, previous mac minus mac modulo 2^256)
is satisfied by what `forge` returns. It needs no key: lattice reduction finds the copies in seconds.
"""

from __future__ import annotations

import importlib
import multiprocessing
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction

MODULUS = 1 << 256
WEIGHT = 1 << 24  # makes the sums count more than the size of the numbers of copies

Vector = list[int]


@dataclass(frozen=True)
class Entry:
    position: int
    step: int
    """Previous mac minus mac, modulo 2^256."""


@dataclass(frozen=True)
class Forgery:
    deleted: set[int]
    copies: dict[int, int]
    """How many copies of the entry of a position are inserted."""


def forge(entries: Sequence[Entry], unwanted: set[int], choices: int, fillers: int) -> Forgery:
    """
    unwanted    positions that the attacker wants to be gone
    choices     among how many entries the copies are chosen
    fillers     how many entries are deleted altogether; each is replaced by a copy
    """
    for seed in range(7):
        forgery = _attempt(entries, unwanted, choices, fillers, random.Random(seed))
        if min(forgery.copies.values()) >= 0:
            return forgery
    raise AssertionError("no forgery found: take more fillers")


def _attempt(
    entries: Sequence[Entry], unwanted: set[int], choices: int, fillers: int, chance: random.Random
) -> Forgery:
    by_position = {entry.position: entry for entry in entries}
    inner = sorted(set(by_position) - unwanted - {min(by_position), max(by_position)})
    chosen = sorted(chance.sample(inner, choices))
    others = [position for position in inner if position not in set(chosen)]
    deleted = _balanced(sorted(unwanted), others, fillers, sum(chosen) / choices, chance)
    middle = chosen[choices // 2]
    target = [
        fillers,
        sum(position - middle for position in deleted),
        sum(by_position[position].step for position in deleted) % MODULUS,
    ]
    basis = _reduced([(position - middle, by_position[position].step) for position in chosen])
    numbers = _near(basis, target, choices, fillers / choices)
    return Forgery(set(deleted), dict(zip(chosen, numbers, strict=True)))


def _balanced(unwanted: Vector, others: Vector, count: int, centre: float, chance: random.Random) -> Vector:
    """`count` positions with about this mean, the unwanted ones among them."""
    picked = unwanted + chance.sample(others, count - len(unwanted))
    taken = set(picked)
    for _ in range(200_000):
        off = sum(picked) / count - centre
        if abs(off) < 1:
            break
        place = chance.randrange(len(unwanted), count)
        candidate = chance.choice(others)
        if candidate not in taken and abs(off + (candidate - picked[place]) / count) < abs(off):
            taken.remove(picked[place])
            taken.add(candidate)
            picked[place] = candidate
    return picked


def _reduced(columns: Sequence[tuple[int, int]]) -> list[Vector]:
    """A short basis of all numbers of copies, each with the three sums it gives in its last places."""
    size = len(columns)
    rows = []
    for row, (position, step) in enumerate(columns):
        sums = [WEIGHT, WEIGHT * position, WEIGHT * step]
        rows.append([int(row == place) for place in range(size)] + sums)
    rows.append([0] * (size + 2) + [WEIGHT * MODULUS])
    # fpylll takes over the process's signal handlers, so it gets a process of its own.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        return other.submit(_lll, rows).result()


def _lll(rows: list[Vector]) -> list[Vector]:
    fpylll = importlib.import_module("fpylll")
    matrix = fpylll.IntegerMatrix.from_matrix(rows)
    fpylll.LLL.reduction(matrix)
    return [[int(value) for value in row] for row in matrix]


def _near(basis: list[Vector], target: Vector, size: int, centre: float) -> Vector:
    """Numbers of copies that give the sums of `target`, each near `centre` (Babai's nearest plane)."""
    kernel = [row[:size] for row in basis if not any(row[size:])]
    rest = [row for row in basis if any(row[size:])]
    factors = _solve([[value // WEIGHT for value in row[size:]] for row in rest], target)
    numbers = [sum(factor * row[place] for factor, row in zip(factors, rest, strict=True)) for place in range(size)]
    planes = _orthogonal(kernel)
    moved = True
    while moved:
        moved = False
        for row, plane in zip(reversed(kernel), reversed(planes), strict=True):
            length = sum(value * value for value in plane)
            off = sum(
                Fraction(value) * (number - Fraction(centre)) for value, number in zip(plane, numbers, strict=True)
            )
            times = round(off / Fraction(length))
            if times:
                moved = True
                numbers = [number - times * value for number, value in zip(numbers, row, strict=True)]
    return numbers


def _orthogonal(rows: list[Vector]) -> list[list[float]]:
    """Gram-Schmidt."""
    planes: list[list[float]] = []
    for row in rows:
        plane = [float(value) for value in row]
        for other in planes:
            times = sum(a * b for a, b in zip(plane, other, strict=True)) / sum(value * value for value in other)
            plane = [a - times * b for a, b in zip(plane, other, strict=True)]
        planes.append(plane)
    return planes


def _solve(rows: list[Vector], target: Vector) -> Vector:
    """Whole factors with which the rows add up to the target."""
    size = len(target)
    system = [[Fraction(row[place]) for row in rows] + [Fraction(target[place])] for place in range(size)]
    for column in range(size):
        pivot = next(row for row in range(column, size) if system[row][column])
        system[column], system[pivot] = system[pivot], system[column]
        system[column] = [value / system[column][column] for value in system[column]]
        for row in range(size):
            if row != column and system[row][column]:
                times = system[row][column]
                system[row] = [a - times * b for a, b in zip(system[row], system[column], strict=True)]
    assert all(row[-1].denominator == 1 for row in system), "no whole solution"
    return [int(row[-1]) for row in system]
