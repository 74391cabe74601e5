"""What the worker writes: numbers, chain, complete and delta anchors; what rows say of them; going on after a loss."""

from __future__ import annotations

import pytest

from support.anchoring import add, faults, forge, make, newest, numbers, place, settle, signature, stored
from support.database import Database
from support.sealing import chains, run, wait_for
from support.tampering import History, assert_intact, triggers_off

HEADS = """SELECT number, complete, (SELECT array_agg(r.relation::text ORDER BY r.relation::text) FROM seal.history r
                                      WHERE a.heads ? r.history_id::text), heads ? 'journal'
             FROM seal.anchor a WHERE number > %s ORDER BY number"""


def test_numbers_without_gap_each_over_the_one_before(fresh: Database) -> None:
    make(fresh, "h")
    for _ in range(6):
        add(fresh, "h")
        settle(fresh, "h")
    fresh.cluster.restart()
    add(fresh, "h")
    last = settle(fresh, "h")
    assert last >= 7
    assert numbers(fresh) == list(range(1, last + 1))
    broken = fresh.value(
        "SELECT count(*) FROM (SELECT *, lag(mac, 1, decode(repeat('00', 32), 'hex')) OVER (ORDER BY number) AS before,"
        " lag(at) OVER (ORDER BY number) AS earlier FROM seal.anchor) a WHERE prev <> before OR at < earlier"
    )
    assert broken == 0
    assert fresh.rows("SELECT DISTINCT chain FROM seal.anchor") == [(place(fresh),)]
    assert fresh.rows("SELECT DISTINCT boot FROM seal.anchor") == [(open_boot_id(),)]
    assert fresh.value("SELECT count(DISTINCT boot_time) FROM seal.anchor") == last


def open_boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def test_its_signature_is_what_is_documented(fresh: Database) -> None:
    """Over all columns, under the key for anchors; heads as the server prints jsonb."""
    make(fresh, "h")
    add(fresh, "h")
    for number in range(1, settle(fresh, "h") + 1):
        anchor = stored(fresh, number)
        assert signature(bytes.fromhex(fresh.cluster.key or ""), anchor) == anchor["mac"]


@pytest.mark.parametrize("how", ["fast", "crash"])
def test_complete_after_a_start_otherwise_what_changed(fresh: Database, how: str) -> None:
    make(fresh, "h", "g")
    add(fresh, "g")
    before = settle(fresh, "g")
    assert fresh.value("SELECT complete FROM seal.anchor WHERE number = 1") is True
    add(fresh, "h")
    settle(fresh, "h")
    assert fresh.rows(HEADS, [before]) == [(before + 1, False, ["h"], False)]
    if how == "crash":
        fresh.cluster.crash()
    else:
        fresh.cluster.restart()
    add(fresh, "h")
    settle(fresh, "h")
    add(fresh, "g")
    settle(fresh, "g")
    assert fresh.rows(HEADS, [before + 1]) == [
        (before + 2, True, ["g", "h"], True),
        (before + 3, False, ["g"], False),
    ]


def test_heads_are_the_newest_entries(fresh: Database) -> None:
    make(fresh, "h")
    add(fresh, "h", 3)
    number = settle(fresh, "h")
    history_id = fresh.value("SELECT history_id::text FROM seal.history")
    (head,) = fresh.rows("SELECT seal_chain, seal_seq, encode(seal_mac, 'hex') FROM h ORDER BY seal_seq DESC LIMIT 1")
    assert fresh.value("SELECT heads -> %s FROM seal.anchor WHERE number = %s", [history_id, number]) == {
        head[0]: [head[1], head[2]]
    }
    (entry,) = fresh.rows("SELECT chain, seq, encode(mac, 'hex') FROM seal.journal ORDER BY seq DESC LIMIT 1")
    journal = fresh.rows("SELECT heads -> 'journal' FROM seal.anchor WHERE heads ? 'journal' ORDER BY number DESC")
    assert journal[0] == ({entry[0]: [entry[1], entry[2]]},)


def test_rows_name_the_newest_anchor(fresh: Database) -> None:
    """The newest when their transaction came to own its chain, and 0 before there is one."""
    run(fresh.connection, "BEGIN")
    make(fresh, "h")
    add(fresh, "h")
    fresh.run("COMMIT")
    named = [0]
    for _ in range(3):
        named.append(settle(fresh, "h"))
        add(fresh, "h")
    assert [number for (number,) in fresh.rows("SELECT seal_anchor FROM h ORDER BY seal_seq")] == named
    with fresh.connect(autocommit=False) as writer:
        settle(fresh, "h")
        writer.execute("INSERT INTO h VALUES (100, 'x')")
        before = newest(fresh)
        fresh.run("INSERT INTO h VALUES (101, 'x')")
        wait_for(fresh, "SELECT max(number) > %s FROM seal.anchor", [before])
        writer.execute("INSERT INTO h VALUES (102, 'x')")
        writer.commit()
    assert fresh.rows("SELECT id, seal_anchor FROM h WHERE id >= 100 ORDER BY id") == [
        (100, before),
        (101, before),
        (102, before),
    ]
    assert_intact(fresh)


def test_no_row_is_older_than_the_anchor_it_names(fresh: Database) -> None:
    make(fresh, "h")
    for _ in range(4):
        settle(fresh, "h")
        for _ in range(5):
            add(fresh, "h", 2)
    query = "SELECT count(*) FROM h JOIN seal.anchor a ON a.number = h.seal_anchor AND a.at > h.seal_at"
    assert fresh.value(query) == 0
    query = "SELECT count(*) FROM seal.journal j JOIN seal.anchor a ON a.number = j.anchor AND a.at > j.at"
    assert fresh.value(query) == 0
    assert fresh.value("SELECT count(DISTINCT seal_anchor) FROM h") > 1


def test_also_when_the_clock_was_ahead_at_the_anchor(fresh: Database) -> None:
    """Set back by an hour: rows, journal and anchors have the time of the newest anchor until the clock is there."""
    make(fresh, "h")
    add(fresh, "h")
    settle(fresh, "h")
    ahead = forge(fresh, "1 hour")
    fresh.cluster.restart()
    assert_intact(fresh)
    for _ in range(2):
        add(fresh, "h")
        settle(fresh, "h")
    make(fresh, "g")
    query = "SELECT seal_anchor >= %s, seal_at >= (SELECT at FROM seal.anchor WHERE number = %s) FROM h WHERE id > 1"
    assert fresh.rows(query, [ahead, ahead]) == [(True, True)] * 2
    soon = "at >= clock_timestamp() + interval '50 min'"
    assert fresh.value(f"SELECT bool_and({soon}) FROM seal.anchor WHERE number >= %s", [ahead]) is True
    assert fresh.value(f"SELECT {soon} FROM seal.journal ORDER BY seq DESC LIMIT 1") is True
    assert newest(fresh) > ahead
    assert_intact(fresh, history="h")


# -- after a loss -----------------------------------------------------------------------------------------------------


def notices(db: Database) -> list[tuple[str, str, str]]:
    """Fills with severity, message and detail of what this session is told."""
    heard: list[tuple[str, str, str]] = []
    db.connection.add_notice_handler(
        lambda notice: heard.append((notice.severity or "", notice.message_primary or "", notice.message_detail or ""))
    )
    return heard


@pytest.mark.parametrize("how", ["fast", "crash"])
def test_sealing_goes_on_after_the_anchored_position(fresh: Database, how: str) -> None:
    make(fresh, "h")
    add(fresh, "h", 5)
    settle(fresh, "h")
    history = History(fresh, "h")
    history.attack("DELETE FROM h WHERE seal_seq > 3")
    if how == "crash":
        fresh.cluster.crash()
    else:
        fresh.cluster.restart()
    history.expect(history.at("truncated", 4, 5))
    heard, mark = notices(fresh), fresh.cluster.log_position()
    fresh.run("INSERT INTO h VALUES (6, 'x')")
    assert heard == [
        (
            "WARNING",
            'entries of history "public.h" are gone',
            f"Chain {place(fresh)} ends at position 3, 5 entries were known."
            " Sealing goes on after 5, so that the gap stays visible.",
        )
    ]
    assert 'WARNING:  entries of history "public.h" are gone' in fresh.cluster.log(mark)
    assert chains(fresh) == [[1, 2, 3, 6]]
    history.expect(history.at("missing", 4, 5))
    settle(fresh, "h")
    fresh.cluster.restart()
    fresh.run("INSERT INTO h VALUES (7, 'x')")
    settle(fresh, "h")
    assert chains(fresh) == [[1, 2, 3, 6, 7]]
    history.expect(history.at("missing", 4, 5))
    history.restore()
    assert faults(fresh) == [("truncated", place(fresh), 6, 7)]


def test_after_all_was_removed(fresh: Database) -> None:
    make(fresh, "h")
    add(fresh, "h", 5)
    settle(fresh, "h")
    history = History(fresh, "h")
    history.attack("TRUNCATE h")
    fresh.cluster.crash()
    fresh.run("INSERT INTO h VALUES (6, 'x')")
    assert chains(fresh) == [[6]]
    settle(fresh, "h")
    history.expect(history.at("missing", 1, 5))


def test_a_rolled_back_insert_after_the_loss_hides_nothing(fresh: Database) -> None:
    """It looks at the chain, and leaves a memory of it behind."""
    make(fresh, "h", "g")
    add(fresh, "h", 5)
    settle(fresh, "h")
    with triggers_off(fresh.connection, "h"):
        fresh.run("DELETE FROM h WHERE seal_seq > 3")
    fresh.cluster.restart()
    run(fresh.connection, "BEGIN", "INSERT INTO h VALUES (6, 'x')", "ROLLBACK")
    add(fresh, "g")
    settle(fresh, "g")
    assert faults(fresh, "h") == [("truncated", place(fresh), 4, 5)]
    fresh.run("INSERT INTO h VALUES (6, 'x')")
    settle(fresh, "h")
    assert chains(fresh) == [[1, 2, 3, 6]]
    assert faults(fresh, "h") == [("missing", place(fresh), 4, 5)]
