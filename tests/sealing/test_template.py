"""A database made from a sealed one: its own chains, under its own tag, beside those it inherited."""

from __future__ import annotations

from support.cluster import Cluster
from support.database import Database
from support.sealing import assert_whole, history, run


def tags(db: Database) -> set[str]:
    return {tag for (tag,) in db.rows("SELECT DISTINCT split_part(split_part(seal_chain, '/', 1), '.', 2) FROM h")}


def test_the_copy_verifies_and_goes_on_under_a_new_tag(cluster: Cluster, db: Database) -> None:
    history(db, options="max_chains => 1")
    db.run("INSERT INTO h SELECT g, 'x' FROM generate_series(1, 5) g")
    old = tags(db)
    db.close()
    copy = cluster.createdb(template=db.name)
    try:
        assert_whole(copy, entries=5)
        copy.run("INSERT INTO h SELECT g, 'copy' FROM generate_series(6, 8) g")
        assert_whole(copy, entries=8)
        assert len(tags(copy)) == 2 and old < tags(copy)
        # Both go on; neither touches the other's heads.
        for number in range(10, 13):
            db.run(f"INSERT INTO h VALUES ({number}, 'x')")
            copy.run(f"INSERT INTO h VALUES ({number}, 'copy')")
        assert tags(db) == old
        run(copy.connection, "BEGIN", "INSERT INTO h VALUES (13, 'x')", "ROLLBACK")
        db.close()
        copy.close()
        second = cluster.createdb(template=copy.name)
        try:
            second.run("INSERT INTO h VALUES (13, 'second')")
            assert len(tags(second)) == 3
            assert_whole(second, entries=12)
        finally:
            second.drop()
        assert_whole(db, entries=8)
        assert_whole(copy, entries=11)
    finally:
        copy.drop()
