"""The harness itself: that its servers start, crash, restart and end, and that it notices what must not be in a log."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest

from support.cluster import Cluster, ClusterError
from support.servers import Servers, watched


@pytest.fixture
def plain(own_cluster: Servers) -> Cluster:
    """A server without pgseal."""
    return own_cluster(preload=False)


def is_alive(pid: int) -> bool:
    """False for a process that has ended, also when nobody has collected it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_committed_row_survives_a_crash_and_an_open_transaction_does_not(plain: Cluster) -> None:
    database = plain.createdb()
    database.run("CREATE TABLE t (n int)")
    database.run("INSERT INTO t VALUES (1)")
    writer = database.connect(autocommit=False)
    writer.execute("INSERT INTO t VALUES (2)")
    backend, postmaster = writer.info.backend_pid, plain.pid
    plain.crash()
    assert not is_alive(backend) and not is_alive(postmaster)
    assert "was not properly shut down" in plain.log()
    assert database.rows("SELECT n FROM t") == [(1,)]


def test_a_killed_backend_takes_the_others_with_it_and_the_server_comes_back(plain: Cluster) -> None:
    database = plain.createdb()
    victim = database.connect()
    plain.kill_backend(victim.info.backend_pid)
    assert database.value("SELECT 1") == 1
    assert plain.is_running()


def test_only_processes_of_the_server_can_be_killed(plain: Cluster) -> None:
    with pytest.raises(ClusterError, match="not of this server"):
        plain.kill_backend(os.getpid(), signal.SIGTERM)


def test_settings_change_by_reload_and_by_restart(plain: Cluster) -> None:
    plain.configure({"work_mem": "8MB"})
    assert plain.psql("SHOW work_mem").stdout == "8MB\n"
    plain.configure({"max_connections": 50}, restart=True)
    assert plain.psql("SHOW max_connections").stdout == "50\n"
    plain.configure({"work_mem": None})
    assert plain.psql("SHOW work_mem").stdout == "4MB\n"


def test_a_server_that_does_not_start_says_why_and_leaves_nothing() -> None:
    broken = Cluster({"shared_buffers": "nonsense"}, preload=False)
    with pytest.raises(ClusterError, match="invalid value for parameter"), broken:
        raise AssertionError("it started")
    assert not broken.home.exists()


def test_the_key_file_is_for_the_servers_user_alone(plain: Cluster) -> None:
    path = plain.write_key("ab" * 32)
    status = path.stat()
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_uid == (plain.owner.pw_uid if plain.owner else os.geteuid())


def test_no_port_is_opened_unless_asked_for(own_cluster: Servers) -> None:
    assert own_cluster(preload=False).psql("SHOW listen_addresses").stdout == "\n"
    heard = own_cluster(preload=False, listen=True)
    assert heard.connect(hostaddr="127.0.0.1").info.hostaddr == "127.0.0.1"


def test_a_standby_follows_and_a_copy_is_an_older_state(own_cluster: Servers) -> None:
    primary = own_cluster(preload=False)
    primary.psql("CREATE TABLE t (n int)")
    standby = own_cluster.adopt(primary.basebackup())
    assert standby.psql("SELECT pg_is_in_recovery()").stdout == "t\n"
    primary.stop()
    older = primary.copy()
    primary.start()
    primary.psql("INSERT INTO t VALUES (1)")
    own_cluster.adopt(older)
    assert older.psql("SELECT count(*) FROM t").stdout == "0\n"


@pytest.mark.parametrize("extension", [True, False])
def test_a_database_of_a_block_is_dropped_at_its_end(cluster: Cluster, extension: bool) -> None:
    with cluster.database(extension=extension) as database:
        assert database.value("SELECT count(*) FROM pg_extension WHERE extname = 'pgseal'") == int(extension)
    assert cluster.psql(f"SELECT count(*) FROM pg_database WHERE datname = '{database.name}'").stdout == "0\n"


def test_the_log_of_a_watched_server_is_read_at_its_end() -> None:
    with pytest.raises(AssertionError, match="PANIC: not really"), watched(preload=False) as server:
        server.psql("DO $$ BEGIN RAISE LOG 'PANIC: %', 'not really'; END $$")
    assert not server.home.exists()


def test_the_key_or_a_panic_in_the_log_is_an_alarm() -> None:
    key = "0123456789abcdef" * 4
    with Cluster(preload=False, key=key) as server:
        assert server.alarms() == []
        server.psql(f"DO $$ BEGIN RAISE WARNING '{key[3:19].upper()}'; END $$")
        assert server.alarms() == ["the key stands in the log"]
        server.psql("DO $$ BEGIN RAISE LOG 'PANIC: %', 'not really'; END $$")
        assert any("PANIC: not really" in alarm for alarm in server.alarms())
