"""What has to start without a key although one is required: repairs, questions, pg_rewind and pg_upgrade."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.cluster import Cluster
from support.database import Database
from support.refusal import NOT_IN_STATE, refusal
from support.sealing import wait_for
from support.servers import Servers
from support.standby import COPIED, caught_up, promote
from support.starting import NO_WAY_OUT, put, refused_as_it_is

NO_KEY = "WARNING:  pgseal has no usable key"


def sealed(server: Cluster) -> Database:
    database = server.createdb(name="sealed")
    database.run("CREATE EXTENSION pgseal; CREATE TABLE h (n int); SELECT seal.attach('h'); INSERT INTO h VALUES (1)")
    return database


def assert_intact(database: Database, entries: int) -> None:
    assert database.rows("SELECT verdict, entries FROM seal.verify_history()") == [("intact", entries)]


def lose_key(server: Cluster) -> None:
    server.key_file.rename(server.home / "lost")


def find_key(server: Cluster) -> None:
    (server.home / "lost").rename(server.key_file)


def assert_refused(server: Cluster) -> None:
    fatal, hint = refused_as_it_is(server)
    missing = f'the key file "{server.key_file}" cannot be read: No such file or directory (os error 2)'
    assert fatal == f"pgseal has no usable key: {missing}"
    assert hint.endswith(NO_WAY_OUT)


def single_user(server: Cluster, script: str) -> subprocess.CompletedProcess[str]:
    """One statement a line, in a server that has no other process."""
    return server.run("postgres", "--single", "-D", server.data, "sealed", stdin=script)


def test_single_user_mode(own_cluster: Servers) -> None:
    server = own_cluster()
    database = sealed(server)
    database.close()
    server.stop()
    done = single_user(server, "INSERT INTO h VALUES (2)\n")
    assert NO_KEY not in done.stderr and "ERROR" not in done.stderr
    lose_key(server)
    assert_refused(server)
    done = single_user(server, "INSERT INTO h VALUES (3)\nSELECT sum(n) FROM h\n")
    assert NO_KEY in done.stderr
    assert 'ERROR:  cannot seal a row of history "public.h" without a key' in done.stderr
    assert 'sum = "3"' in done.stdout
    find_key(server)
    server.start()
    database.run("INSERT INTO h VALUES (3)")
    assert_intact(database, 3)


@pytest.mark.parametrize("name", ["data_directory", "shared_memory_size"])
def test_the_value_of_a_setting(own_cluster: Servers, name: str) -> None:
    """Those that the server computes load the libraries; none asks for the key, whatever that would cost."""
    server = own_cluster()
    server.stop()
    asked = server.home / "asked"
    command = put(server, "command", f"#!/bin/sh\ntouch {asked}\necho {server.key}\n", 0o700)
    server.configure({"pgseal.key_file": None, "pgseal.key_command": command})
    server.home.chmod(0o777)
    done = server.run("postgres", "-D", server.data, "-C", name)
    assert done.stderr == "" and len(done.stdout.splitlines()) == 1
    assert not asked.exists()
    server.start()
    assert asked.exists()


def test_pg_rewind(own_cluster: Servers) -> None:
    """The old primary was killed and has no key: pg_rewind starts it in single-user mode, and asks it with -C."""
    old = own_cluster({**COPIED, "wal_log_hints": True, "wal_keep_size": "64MB", "restore_command": "false"})
    database = sealed(old)
    new = own_cluster.adopt(old.basebackup())
    copy = Database(new, "sealed")
    database.run("INSERT INTO h VALUES (2)")
    caught_up(database, copy)
    promote(copy)
    copy.run("INSERT INTO h VALUES (3)")
    database.run("INSERT INTO h SELECT g FROM generate_series(10, 20) g")
    database.close()
    old.kill()
    lose_key(old)
    assert_refused(old)
    new.run("psql", "-d", "postgres", "-c", "CHECKPOINT")
    source = f"host={new.sockets} port={new.port} user=postgres dbname=postgres"
    arguments = ["--target-pgdata", old.data, "--source-server", source, "--write-recovery-conf", "--no-sync"]
    done = old.run("pg_rewind", *arguments, "--restore-target-wal")
    assert "Done!" in done.stderr
    find_key(old)
    old.start()
    caught_up(copy, database)
    assert_intact(database, 3)
    assert_intact(copy, 3)


def test_pg_upgrade(own_cluster: Servers) -> None:
    """Neither server has a key while it runs; with it the new one verifies, and goes on."""
    old = own_cluster()
    database = sealed(old)
    database.run("ALTER TABLE h ADD COLUMN c text DEFAULT 'x'; INSERT INTO h (n, c) VALUES (2, 'y')")
    wait_for(database, "SELECT unanchored = 0 FROM seal.status")
    database.close()
    old.stop()
    lose_key(old)
    new = own_cluster(key=old.key)
    new.stop()
    lose_key(new)
    assert_refused(old)
    assert_refused(new)
    new.give(new.home)  # where pg_upgrade writes its own files
    options = ["-b", new.bin, "-B", new.bin, "-d", old.data, "-D", new.data, "-U", "postgres", "-s", new.sockets]
    done = new.run("pg_upgrade", *options)
    assert "Upgrade Complete" in done.stdout
    find_key(new)
    new.start()
    database = Database(new, "sealed")
    assert_intact(database, 2)
    database.run("INSERT INTO h (n, c) VALUES (3, 'z')")
    assert_intact(database, 3)


def test_a_standby_needs_it_like_its_primary(own_cluster: Servers) -> None:
    """It will seal one day, and verifies already; who wants one without says so."""
    primary = own_cluster({**COPIED, "hot_standby": True})
    database = sealed(primary)
    standby = own_cluster.adopt(primary.basebackup())
    copy = Database(standby, "sealed")
    assert_intact(copy, 1)
    copy.close()
    standby.stop()
    lose_key(standby)
    assert_refused(standby)
    standby.settings["pgseal.require_key"] = False
    standby.start()
    database.run("INSERT INTO h VALUES (2)")
    caught_up(database, copy)
    assert copy.value("SELECT count(*) FROM h") == 2
    assert copy.rows("SELECT verdict FROM seal.verify_history()") == [("unverifiable",)]
    promote(copy)
    assert refusal(copy, "INSERT INTO h VALUES (3)").state == NOT_IN_STATE
    copy.close()
    standby.stop()
    find_key(standby)
    del standby.settings["pgseal.require_key"]
    standby.start()
    copy.run("INSERT INTO h VALUES (3)")
    assert_intact(copy, 3)


def test_the_folder_of_a_server_that_was_refused_is_as_it_was(own_cluster: Servers) -> None:
    """It ended before it touched anything: nothing to recover, no lock file left."""
    server = own_cluster()
    server.stop()
    lose_key(server)
    before = control(server)
    assert_refused(server)
    assert control(server) == before and "shut down" in before
    assert not (server.data / "postmaster.pid").exists()
    assert list(Path(server.sockets).iterdir()) == []


def control(server: Cluster) -> str:
    return server.run("pg_controldata", "-D", server.data).stdout
