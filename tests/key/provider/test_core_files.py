"""A library writes the secret to a place of pgseal's, which is wiped: no core file of the server has a byte of it."""

from __future__ import annotations

from support.cluster import Cluster
from support.leaking import Hidden, core_of
from support.providing import secret_of
from support.refusal import refusal

SECRETS = Hidden(secret_of("1").hex(), secret_of("2").hex())
ROTATE = "SELECT seal.rotate_key()"


def test_whether_it_gave_the_secret_or_failed_when_it_had_written_it(server: Cluster) -> None:
    server.configure({"shared_buffers": "16MB", "autovacuum": False}, restart=True)
    with server.database() as database:
        database.run("CREATE TABLE h (n int); SELECT seal.attach('h'); INSERT INTO h VALUES (1)")
        backend = database.connection.info.backend_pid
        server.configure({"testprovider.mode": "raises"})
        assert "token went away" in refusal(database, ROTATE).detail
        core = core_of(server, backend)
        assert b"token went away" in core
        assert SECRETS.in_bytes(core) == []
        server.configure({"testprovider.mode": "good"})
        database.run(ROTATE)
        database.run("INSERT INTO h VALUES (2)")
        assert database.rows("SELECT verdict FROM seal.verify_history()") == [("intact",)]
        for pid in (server.pid, backend):
            core = core_of(server, pid)
            assert b"testprovider.so" in core
            assert SECRETS.in_bytes(core) == []
