"""The demo's side of psql: SQL in, Python values and the server's own times out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from support.cluster import Cluster

SQL = Path(__file__).parent / "sql"


class Session:
    """A database, asked as superuser."""

    def __init__(self, cluster: Cluster, database: str) -> None:
        self.cluster = cluster
        self.database = database

    def run(self, script: str) -> str:
        return self.cluster.psql(script, self.database).stdout.strip()

    def run_file(self, name: str) -> str:
        return self.run((SQL / name).read_text())

    def refusal(self, script: str) -> str | None:
        """The server's message, when it refuses the statement."""
        done = self.cluster.psql(script, self.database, check=False)
        found = re.search(r"ERROR:\s+(.*)", done.stderr)
        return found.group(1) if found and done.returncode else None

    def timed(self, query: str) -> tuple[str, float]:
        """The answer, and the milliseconds that psql measured for it."""
        answer, _, timing = self.run(f"\\timing on\n{query}").rpartition("Time: ")
        return answer.strip(), float(timing.split()[0])

    def rows(self, query: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.run(f"SELECT coalesce(json_agg(r), '[]') FROM ({query}) AS r"))
        return rows

    def verify(self) -> tuple[dict[str, Any], float]:
        """The one row of verify_history, and its time."""
        answer, milliseconds = self.timed("SELECT row_to_json(v) FROM seal.verify_history() AS v;")
        return json.loads(answer), milliseconds
