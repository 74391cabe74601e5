"""Runs a server under valgrind twice, as PostgreSQL alone and with pgseal at work, and compares what valgrind says.

An error that the first run has as well is PostgreSQL's own (its memory contexts, padding that it writes to disk). What
only the second one has is shown, and what the server did while pgseal had called it; an error fails the run where
pgseal did it. Minutes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import stacks
import work

import support.cluster
from support.cluster import Cluster, Settings, bindir
from support.clock import Clock, travelling_server

OPTIONS = [
    "--leak-check=no",  # a session's memory goes with its contexts and its process
    "--num-callers=40",
    "--error-limit=no",
    "--trace-children=yes",
    "--trace-children-skip=/bin/*,/usr/bin/*",
]
SETTINGS: Settings = {
    "shared_buffers": "16MB",
    "pgseal.anchor_interval": "1s",
    "min_parallel_table_scan_size": 0,
    "parallel_setup_cost": 0,
    "parallel_tuple_cost": 0,
    "max_parallel_workers_per_gather": 2,
    "jit": False,
}
PATIENCE = 900.0


def wrapped_programs(folder: Path, logs: Path) -> Path:
    """PostgreSQL's programs, with valgrind around the server; returns the pg_config that leads to them."""
    real = bindir()
    for program in real.iterdir():
        if program.name not in ("postgres", "pg_config"):
            (folder / program.name).symlink_to(program)
    scripts = {
        "postgres": f'exec valgrind {" ".join(OPTIONS)} --log-file={logs}/%p.log {real}/postgres "$@"',
        "pg_config": f"echo {folder}",
    }
    for name, line in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    return folder / "pg_config"


@contextmanager
def server_under_valgrind(preload: bool) -> Iterator[tuple[Cluster, Clock, Path]]:
    """The server, its clock, and the folder with valgrind's logs."""
    folder = Path(tempfile.mkdtemp(prefix="pgv-", dir="/tmp"))
    logs = folder / "logs"
    logs.mkdir()
    folder.chmod(0o755)
    logs.chmod(0o777)
    before = os.environ.get("PG_CONFIG")
    config = wrapped_programs(folder, logs)
    os.environ["PG_CONFIG"] = str(config)
    settings = SETTINGS if preload else {k: v for k, v in SETTINGS.items() if not k.startswith("pgseal.")}
    try:
        with travelling_server(settings, preload=preload) as (server, clock):
            yield server, clock, logs
    finally:
        if before is None:
            del os.environ["PG_CONFIG"]
        else:
            os.environ["PG_CONFIG"] = before
        shutil.rmtree(folder)


def errors(preload: bool, task: Callable[[Cluster, Clock], None]) -> Counter[stacks.Error]:
    with server_under_valgrind(preload) as (server, clock, logs):
        task(server, clock)
        server.stop()
        files = sorted(logs.iterdir())
        found = Counter(error for file in files for error in stacks.read(file.read_text(errors="replace")))
    print(f"{'with pgseal' if preload else 'PostgreSQL alone'}: {len(files)} processes, {sum(found.values())} errors")
    return found


def main() -> int:
    for name in ("START_TIMEOUT", "STOP_TIMEOUT", "PROGRAM_TIMEOUT"):
        setattr(support.cluster, name, PATIENCE)
    support.cluster.STATEMENT_TIMEOUT_MS = int(PATIENCE * 1000)
    print(subprocess.run(["valgrind", "--version"], check=True, capture_output=True, text=True).stdout.strip())
    own = errors(False, work.plain)
    with_pgseal = errors(True, work.sealed)
    known = {error.place for error in own}
    new = {error for error in with_pgseal if error.place not in known}
    shown = {error for error in with_pgseal if error in new or error.is_through_ours}
    for error in sorted(shown, key=lambda error: (not error.is_ours, error not in new)):
        where = "in pgseal" if error.is_ours else "only with pgseal" if error in new else "as without pgseal"
        print(f"\n{with_pgseal[error]} times, {where}: {error.text()}")
    ours = sum(error.is_ours or (error in new and error.is_through_ours) for error in with_pgseal)
    through = sum(error.is_through_ours for error in with_pgseal)
    print(
        f"\n{len(known)} places of PostgreSQL's own, {len({error.place for error in new})} that only the run with"
        f" pgseal has, {through} stacks through pgseal, {ours} in pgseal"
    )
    return 1 if ours else 0


if __name__ == "__main__":
    sys.exit(main())
