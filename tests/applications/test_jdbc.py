"""JDBC, as Debian has it: batches, also rewritten, generated keys, prepared statements, CopyManager, cursors.

The program, Recorder.java, also tries what is refused and prints how.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.application import assert_recorded, journal
from support.bouncing import Bouncer
from support.cluster import Cluster
from support.database import Database
from support.servers import watched

DRIVER = Path("/usr/share/java/postgresql.jar")
SEAL_COLUMNS = (
    "[seal_chain text, seal_seq int8, seal_epoch int4, seal_anchor int8, seal_at timestamptz, seal_prev bytea,"
    " seal_mac bytea]"
)
APPEND_ONLY = (
    "Insert a new row that corrects the old one. To give the table up as a history: SELECT seal.detach('public.h')."
)
SAID = {
    "single": "12",
    "batch": "[100, 100, 100]",
    "keys of a batch": "50 ascending",
    "chosen keys": "true 32",
    "batch that fails": "[23514, 23514]",
    "savepoint": "23514, then 1",
    "copy": "2",
    "copy without a list": '428C9 COPY into history "public.h" needs a list of columns'
    " / Name the columns that the data has: COPY public.h (id, tenant, at, payload) FROM …, or \\copy in psql.",
    "update": f'55000 UPDATE is not allowed on history "public.h" / {APPEND_ONLY}',
    "rows of a result": "55000 55000",
    "cursor": "200",
    "all columns": SEAL_COLUMNS,
    "new column": "20",
}
STORED = 12 + 300 + 50 + 1 + 2 + 2 + 1 + 2 + 20
SIMPLE = "simple queries"
# With these, each row of a batch in autocommit is a transaction of its own: all but the one that fails are stored.
STORED_OF_FAILED_BATCH = 19
OPTIONS = {
    "defaults": "",
    "reWriteBatchedInserts": "reWriteBatchedInserts=true",
    "prepared at once": "prepareThreshold=-1&reWriteBatchedInserts=true",
    SIMPLE: "preferQueryMode=simple",
    "a savepoint for each statement": "autosave=always",
}


@pytest.fixture(scope="module")
def listening() -> Iterator[Cluster]:
    """The driver knows no sockets but those of TCP."""
    with watched(listen=True) as server:
        yield server


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    classes = tmp_path_factory.mktemp("classes")
    source = Path(__file__).with_name("Recorder.java")
    subprocess.run(["javac", "-Xlint:all", "-Werror", "-cp", DRIVER, "-d", classes, source], check=True, timeout=240)
    return classes


@pytest.fixture
def app(listening: Cluster) -> Iterator[Database]:
    with listening.database() as database:
        journal(database)
        yield database


def said(program: Path, port: int, database: str, options: str) -> dict[str, str]:
    """The lines of the program, by their names."""
    url = f"jdbc:postgresql://127.0.0.1:{port}/{database}?user=postgres&sslmode=disable&{options}"
    options_of_java = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{program}{os.pathsep}{DRIVER}"]
    done = subprocess.run(
        ["java", *options_of_java, "Recorder", url],
        capture_output=True, text=True, timeout=240, env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize("options", OPTIONS)
def test_what_applications_do(app: Database, program: Path, options: str) -> None:
    assert said(program, app.cluster.port, app.name, OPTIONS[options]) == SAID
    # The driver makes few statements of many rows, or does not.
    statements = app.value("SELECT count(DISTINCT (xmin::text, cmin::text)) FROM h")
    assert statements < 100 if "reWriteBatchedInserts" in OPTIONS[options] else statements > 350
    stored = STORED + (STORED_OF_FAILED_BATCH if options == SIMPLE else 0)
    assert app.value("SELECT count(*) FROM h WHERE origin = 'somewhere'") == stored
    assert_recorded(app, stored)


def test_through_pgbouncer(app: Database, program: Path) -> None:
    """Transactions share two server sessions; what is prepared in one would be missing in the other."""
    with Bouncer(app.cluster, pool_size=2) as bouncer:
        heard = said(program, bouncer.port, app.name, "prepareThreshold=0&reWriteBatchedInserts=true")
    assert heard == SAID
    assert_recorded(app, STORED)
