"""How many instructions a statement takes, counted by valgrind: the same figure however busy the machine is."""

from __future__ import annotations

import re
import shutil

from server import BenchmarkError
from support.cluster import Cluster

FEW, MANY = 100, 600


def each(server: Cluster, database: str, statement: str) -> float:
    """Of one statement in a transaction of its own; `{n}` in it is 1, 2, 3 … The server must be stopped.

    What a start and the first statements cost is the same for few statements as for many, and so not in the difference.
    """
    return (_collected(server, database, statement, MANY) - _collected(server, database, statement, FEW)) / (MANY - FEW)


def _collected(server: Cluster, database: str, statement: str, count: int) -> int:
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise BenchmarkError("valgrind is not installed: apt-get install valgrind")
    script = "".join(statement.replace("{n}", str(n)) + "\n" for n in range(1, count + 1))
    done = server.run(
        valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null",
        server.bin / "postgres", "--single", "-D", server.data, database, stdin=script, timeout=1200,
    )  # fmt: skip
    found = re.search(r"Collected : (\d+)", done.stderr)
    if not found or "ERROR" in done.stderr:
        raise BenchmarkError(done.stderr[-2000:])
    return int(found.group(1))
