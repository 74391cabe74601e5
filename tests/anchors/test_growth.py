"""How much journal and anchors grow: a day in fifty seconds' steps, projected."""

from __future__ import annotations

import time

from support.anchoring import add, make, newest, settle
from support.database import Database

MEGABYTE = 1024 * 1024
SIZE = "SELECT pg_total_relation_size('seal.journal') + pg_total_relation_size('seal.anchor')"
SPEED = 50
"""The interval is 100 ms instead of 5 s, and there are so many inserts in a second instead of one."""


def test_one_insert_per_second_for_a_day(fresh: Database) -> None:
    make(fresh, "h")
    settle(fresh)
    for _ in range(3):
        add(fresh, "h")
        settle(fresh, "h")
    size, number = fresh.value(SIZE), newest(fresh)
    begin = time.monotonic()
    inserted = 0
    while (elapsed := time.monotonic() - begin) < 4:
        if inserted < elapsed * SPEED:
            fresh.run("INSERT INTO h VALUES (%s, 'x')", [1000 + inserted])
            inserted += 1
    grown, anchors = settle(fresh, "h") - number, newest(fresh) - number
    assert grown == anchors
    elapsed = time.monotonic() - begin
    assert 10 <= anchors <= elapsed / 0.1 + 1
    a_day = (fresh.value(SIZE) - size) * 86_400 / (elapsed * SPEED)
    assert a_day < 20 * MEGABYTE, f"{a_day / MEGABYTE:.1f} MB a day, {anchors} anchors in {elapsed:.1f} s"
