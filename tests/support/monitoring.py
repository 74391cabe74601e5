"""What a monitoring system sees: the sample files of docs/monitoring, the two views, recorded runs, a real exporter.

    record_run(db, "h", "intact", age="2 days")
    of_history(db, "h")["verified_age_seconds"]
    with Exporter(db, role) as exporter: exporter.scrape()[("pgseal_database_up", ("app", None))]
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from support.cluster import ROOT
from support.database import Database

DOCS = ROOT / "docs" / "monitoring"
QUERIES = DOCS / "postgres_exporter-queries.yaml"
RULES = DOCS / "alert-rules.yaml"
README = DOCS / "README.md"
VIEWS = {"pgseal_history": "seal.metrics", "pgseal_database": "seal.database_metrics"}
START_TIMEOUT = 30.0
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Sample = tuple[str, tuple[str, str | None]]
"""Name of a metric; its database and history."""


def tool(name: str) -> Path:
    """A program that `make python` fetches, unless the system has it."""
    found = shutil.which(name, path=f"{ROOT / 'target' / 'monitoring'}{os.pathsep}{os.environ.get('PATH', '')}")
    assert found, f"there is no {name}: run tools/monitoring.sh"
    return Path(found)


def queries() -> dict[str, dict[str, Any]]:
    """The sample queries by their names."""
    loaded = yaml.safe_load(QUERIES.read_text())
    assert isinstance(loaded, dict)
    return loaded


def declared(name: str) -> dict[str, str]:
    """The columns of a query with their usage, in their order."""
    return {column: facts["usage"] for metric in queries()[name]["metrics"] for column, facts in metric.items()}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def metric_names() -> set[str]:
    """Every metric that the exporter makes of the queries."""
    return {f"{name}_{column}" for name in queries() for column, usage in declared(name).items() if usage != "LABEL"}


def record_run(
    db: Database, table: str, verdict: str, *, age: str = "0", findings: int = 0, new: int = 0, before_window: int = 0
) -> None:
    """A run of this history as it is recorded, ended so long ago."""
    db.run(
        """INSERT INTO seal.run (id, record)
           SELECT nextval('seal.run_id'), jsonb_build_object(
                  'history_id', history_id, 'history', relation::text, 'started', t.at, 'finished', t.at, 'how', 'schedule',
                  'who', 'postgres', 'verdict', %(verdict)s::text, 'entries', 7, 'findings', %(findings)s::int,
                  'findings_new', %(new)s::int, 'findings_before_window', %(before)s::int, 'found', '[]', 'keys', '["1"]')
             FROM seal.history,
                  (SELECT (extract(epoch FROM now() - %(age)s::interval) * 1000000)::bigint - 946684800000000 AS at) t
            WHERE relation = %(table)s::regclass AND detached_at IS NULL""",
        {"table": table, "verdict": verdict, "age": age, "findings": findings, "new": new, "before": before_window},
    )


def of_history(db: Database, table: str = "h") -> dict[str, Any]:
    (row,) = db.records("SELECT * FROM seal.metrics WHERE history = %s", [f"public.{table}"])
    return row


def of_database(db: Database) -> dict[str, Any]:
    (row,) = db.records("SELECT * FROM seal.database_metrics")
    return row


def counted(db: Database, since: dict[str, Any] | None = None) -> dict[str, int]:
    """The counters that rose since an earlier answer of `of_database`."""
    now, before = of_database(db), since or {}
    risen = {name: value - before.get(name, 0) for name, value in now.items() if name.endswith("_total")}
    return {name.removesuffix("_total"): value for name, value in risen.items() if value}


class Exporter:
    """A real postgres_exporter with the sample queries and nothing else, on a port of its own."""

    def __init__(self, db: Database, role: str) -> None:
        self._port = db.cluster.free_port()
        source = f"host={db.cluster.sockets} port={db.cluster.port} user={role} dbname={db.name} sslmode=disable"
        self._log = db.cluster.home / "exporter.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(tool("prometheus-postgres-exporter")), f"--web.listen-address=127.0.0.1:{self._port}",
                    f"--extend.query-path={QUERIES}", "--disable-default-metrics", "--disable-settings-metrics",
                    "--no-collector.database", "--no-collector.bgwriter",
                ],
                env={"DATA_SOURCE_NAME": source}, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def __enter__(self) -> Exporter:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def text(self) -> str:
        """What stands at /metrics; waits until the exporter answers."""
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=20) as answer:
                    return str(answer.read().decode())
            except OSError:
                assert self._process.poll() is None and time.monotonic() < deadline, self.log()
                time.sleep(0.05)

    def scrape(self) -> dict[Sample, float]:
        """The samples of pgseal."""
        return samples(self.text())


def samples(text: str) -> dict[Sample, float]:
    """The samples of pgseal in the answer of an exporter."""
    found = {}
    for name, labels, value in re.findall(r"^(pgseal_\w+)\{(.*)\} (\S+)$", text, re.MULTILINE):
        known = {label: re.sub(r"\\(.)", r"\1", content) for label, content in LABEL.findall(labels)}
        found[name, (known["database"], known.get("history"))] = float(value)
    return found


def types(text: str) -> dict[str, str]:
    """What the exporter says each metric of pgseal is."""
    return dict(re.findall(r"^# TYPE (pgseal_\w+) (\w+)$", text, re.MULTILINE))
