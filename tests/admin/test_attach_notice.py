"""Attach says beforehand what it will lock and rewrite, and what it does not sign."""

from __future__ import annotations

import re
import threading

from support.database import Database
from support.refusal import notices


def test_the_notice_names_table_size_and_lock(db: Database) -> None:
    db.run("CREATE TABLE h (n int, t text); INSERT INTO h SELECT i, repeat('x', 500) FROM generate_series(1, 400) i")
    with notices(db) as heard:
        db.run("SELECT seal.attach('h', existing => 'seal')")
    (notice,) = [notice for notice in heard if "attaching" in notice.message]
    size = re.fullmatch(r"attaching public\.h \((\d+) kB\)", notice.message)
    assert size and int(size[1]) >= 200
    assert "ACCESS EXCLUSIVE" in notice.detail
    assert "rewritten" in notice.detail


def test_it_is_said_while_attach_still_waits_for_the_lock(db: Database) -> None:
    db.run("CREATE TABLE h (n int)")
    reader = db.connect(autocommit=False)
    reader.execute("SELECT FROM h")
    said = threading.Event()
    attacher = db.connect()
    attacher.add_notice_handler(lambda notice: said.set())
    thread = threading.Thread(target=lambda: attacher.execute("SELECT seal.attach('h')"))
    thread.start()
    try:
        assert said.wait(20)
        assert thread.is_alive()
        assert db.value("SELECT count(*) FROM pg_attribute WHERE attrelid = 'h'::regclass AND attnum > 0") == 1
    finally:
        reader.commit()
        thread.join(30)
    assert not thread.is_alive()
    assert db.value("SELECT count(*) FROM seal.history") == 1


def test_generated_columns_are_named_as_not_signed(db: Database) -> None:
    db.run("CREATE TABLE h (n int, twice int GENERATED ALWAYS AS (n * 2) STORED)")
    with notices(db) as heard:
        db.run("SELECT seal.attach('h')")
    assert any("twice" in notice.text for notice in heard)
    assert "twice" in db.value("SELECT not_covered FROM seal.status")
