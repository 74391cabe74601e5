"""PgBouncer in transaction mode before a server of the tests.

    with Bouncer(cluster, pool_size=3) as bouncer:
        with bouncer.connect("db1") as session: ...
"""

from __future__ import annotations

import os
import shutil
import time
from types import TracebackType
from typing import Any

import psycopg

from support.cluster import ROOT, Cluster

START_TIMEOUT = 60.0
FETCHED = ROOT / "target" / "pgbouncer"


class Bouncer:
    """Every transaction gets one of `pool_size` sessions of the server, any of them."""

    def __init__(self, cluster: Cluster, *, pool_size: int, settings: str = "") -> None:
        program = shutil.which("pgbouncer", path=f"{FETCHED}{os.pathsep}{os.environ['PATH']}{os.pathsep}/usr/sbin")
        assert program, "there is no pgbouncer: run tools/pgbouncer.sh"
        self.port = cluster.free_port()
        # Its user need not be able to read the folder of the project.
        copy = cluster.home / "pgbouncer"
        shutil.copy(program, copy)
        self._log = cluster.sockets / "pgbouncer.log"
        configuration = cluster.home / "pgbouncer.ini"
        configuration.write_text(
            f"""[databases]
* = host={cluster.sockets} port={cluster.port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
logfile = {self._log}
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 200
ignore_startup_parameters = extra_float_digits, options
{settings}
"""
        )
        self._process = cluster.popen(str(copy), "-q", configuration)

    def __enter__(self) -> Bouncer:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                self.connect("pgbouncer").close()
                return self
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.end()
                    raise AssertionError(f"pgbouncer does not answer:\n{self.log()}") from None
                time.sleep(0.05)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        self._process.kill()
        self._process.wait(START_TIMEOUT)
        if self._process.stderr:
            self._process.stderr.close()

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def connect(self, database: str, *, autocommit: bool = True, **options: Any) -> psycopg.Connection[Any]:
        """A client. Prepares nothing by itself: the next transaction may be in another session of the server."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, dbname=database, user="postgres", autocommit=autocommit,
            **{"prepare_threshold": None, "connect_timeout": 30, **options},
        )  # fmt: skip
