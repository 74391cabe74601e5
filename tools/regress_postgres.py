#!/usr/bin/env python3
"""make regress-postgres: PostgreSQL's own tests, without pgseal, with pgseal preloaded, and with a history beside them.

The tests are those of the source of Debian's package, run by the pg_regress of postgresql-server-dev. What fails
without pgseal is this machine's or that version's affair; what is compared is the output of every test, byte for byte,
with that of the run without. Outputs and differences are kept in target/regress-postgres. Half an hour on 2 cores.
"""

from __future__ import annotations

import argparse
import difflib
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from support.cluster import ROOT, Cluster, bindir
from support.servers import watched

KEPT = ROOT / "target" / "regress-postgres"
TIMEOUT = 3600.0

# What pg_regress does to a database of its own.
PINNED = (
    "lc_messages = 'C'",
    "lc_monetary = 'C'",
    "lc_numeric = 'C'",
    "lc_time = 'C'",
    "bytea_output = 'hex'",
    "timezone_abbreviations = 'Default'",
)

# Tests that show what the database has: where pgseal is created, its objects are among it.
SHOWING = {"event_trigger", "opr_sanity"}

HISTORY = """
CREATE EXTENSION pgseal;
CREATE SCHEMA sealed;
CREATE TABLE sealed.history (id bigint PRIMARY KEY, tenant text, payload jsonb);
SELECT seal.attach('sealed.history', tenant_column => 'tenant');
INSERT INTO sealed.history (id, tenant, payload)
    SELECT n, 'acme', jsonb_build_object('n', n) FROM generate_series(1, 1000) n;
"""


@dataclass(frozen=True)
class Suite:
    """One of PostgreSQL's suites: where its files are, by which program and schedule it is run."""

    name: str
    folder: str
    program: str
    schedule: str
    database: str


SUITES = {
    "regress": Suite("regress", "src/test/regress", "regress/pg_regress", "parallel_schedule", "regression"),
    "isolation": Suite(
        "isolation",
        "src/test/isolation",
        "isolation/pg_isolation_regress",
        "isolation_schedule",
        "isolation_regression",
    ),
}


@dataclass(frozen=True)
class Run:
    """What is different between the runs of a suite."""

    name: str
    title: str
    preload: bool
    created: bool = False


RUNS = (
    Run("without", "without pgseal", preload=False),
    Run("preloaded", "pgseal preloaded, with a key", preload=True),
    Run("created", "pgseal created in the tests' database, with a history", preload=True, created=True),
)


@dataclass(frozen=True)
class Result:
    outputs: dict[str, str]
    failed: set[str]
    seconds: float


def pgxs() -> Path:
    """The folder of the files that PGXS installs."""
    makefile = subprocess.run([bindir() / "pg_config", "--pgxs"], check=True, capture_output=True, text=True).stdout
    return Path(makefile.strip()).parents[2]


def psql_folder(source: Path) -> Path:
    """Where the psql is that the tests were written for: beside them, where the server is of another minor version."""
    others = sorted(source.parent.glob("client/usr/lib/postgresql/*/bin"))
    return others[0] if others else bindir()


def libraries(source: Path, suite: Suite, folder: Path) -> None:
    """The libraries that the tests load: one is built from their source, two are of contrib."""
    if suite.name != "regress":
        return
    pg_config = bindir() / "pg_config"
    makefile = f"MODULES = regress\nPG_CONFIG = {pg_config}\nPGXS = {pgxs()}/src/makefiles/pgxs.mk\ninclude $(PGXS)\n"
    build = KEPT / "build"
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir(parents=True)
    shutil.copy(source / suite.folder / "regress.c", build)
    (build / "Makefile").write_text(makefile)
    done = subprocess.run(["make", "-C", build, "with_llvm=no"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the tests' library cannot be built:\n{done.stderr}")
    shutil.copy(build / "regress.so", folder)
    lib = subprocess.run([pg_config, "--pkglibdir"], check=True, capture_output=True, text=True).stdout.strip()
    for name in ("autoinc.so", "refint.so"):
        shutil.copy(Path(lib) / name, folder)


def run_suite(source: Path, suite: Suite, run: Run) -> Result:
    """Runs a suite on a server of its own; keeps what it printed."""
    kept = KEPT / suite.name / run.name
    shutil.rmtree(kept, ignore_errors=True)
    with watched(preload=run.preload, initdb_options=["--locale=C"]) as server:
        folder = server.home / suite.name
        shutil.copytree(source / suite.folder, folder)
        libraries(source, suite, folder)
        shutil.copytree(psql_folder(source), folder / "bin")
        for path in (folder, *folder.rglob("*")):
            server.give(path)
        preloaded = server.psql("SHOW shared_preload_libraries").stdout.strip()
        if preloaded != ("pgseal" if run.preload else ""):
            sys.exit(f"preloaded is: {preloaded}")
        options = ["--use-existing"] if run.created else []
        if run.created:
            create(server, suite.database)
        started = time.monotonic()
        done = server.run(
            str(pgxs() / "src/test" / suite.program), f"--bindir={folder / 'bin'}", f"--host={server.sockets}",
            f"--port={server.port}", "--user=postgres", f"--dlpath={folder}", f"--inputdir={folder}",
            f"--outputdir={folder}", f"--schedule={folder / suite.schedule}",
            f"--dbname={suite.database}", *options, check=False, timeout=TIMEOUT,
        )  # fmt: skip
        seconds = time.monotonic() - started
        kept.mkdir(parents=True)
        (kept / "printed").write_text(done.stdout + done.stderr)
        if not (folder / "results").is_dir():
            sys.exit(f"{suite.program} has not run a test:\n{done.stdout}{done.stderr}")
        shutil.copytree(folder / "results", kept / "results")
        shutil.copy(server.log_file, kept / "log")
        if run.created:
            judge(server, suite.database)
        outputs = {
            path.stem: path.read_text(errors="replace").replace(str(server.home), "HOME")
            for path in (folder / "results").glob("*.out")
        }
        failed = {
            name for line in done.stdout.splitlines() if "FAILED" in line
            for name in outputs if name in line.replace("test ", "").split()
        }  # fmt: skip
    return Result(outputs, failed, seconds)


def create(server: Cluster, name: str) -> None:
    """A database as pg_regress makes it, and pgseal in it."""
    database = server.createdb("template0", name=name)
    database.psql("".join(f'ALTER DATABASE "{name}" SET {setting};' for setting in PINNED))
    database.psql(HISTORY)


def judge(server: Cluster, name: str) -> None:
    """After all that the tests have done around it, the history is as it was."""
    answer = server.psql("SELECT verdict, entries, findings FROM seal.verify_history()", name).stdout.strip()
    if answer != "intact|1000|0":
        sys.exit(f"the history beside the tests: {answer}")


def differences(suite: Suite, before: Result, after: Result, run: Run) -> list[str]:
    """Names of the tests whose output is another one; what is different is written beside it."""
    found = []
    for name in sorted({*before.outputs, *after.outputs}):
        old, new = before.outputs.get(name, ""), after.outputs.get(name, "")
        if old != new:
            found.append(name)
            lines = difflib.unified_diff(old.splitlines(True), new.splitlines(True), RUNS[0].title, run.title)
            (KEPT / suite.name / f"{run.name}-{name}.diff").write_text("".join(lines))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="PostgreSQL's source")
    parser.add_argument("--suites", nargs="+", choices=SUITES, default=list(SUITES))
    arguments = parser.parse_args()
    differing = 0
    for suite in (SUITES[name] for name in arguments.suites):
        results = {}
        for run in RUNS:
            print(f"{suite.name}, {run.title} …", flush=True)
            result = results[run.name] = run_suite(arguments.source, suite, run)
            print(f"  {len(result.outputs)} tests in {result.seconds:.0f} s, failed:"
                  f" {', '.join(sorted(result.failed)) or 'none'}", flush=True)  # fmt: skip
            if run is not RUNS[0]:
                other = differences(suite, results["without"], result, run)
                print(f"  other output than without pgseal: {', '.join(other) or 'none'}", flush=True)
                differing += bool(set(other) - (SHOWING if run.created else set()))
    print(f"kept in {KEPT.relative_to(ROOT)}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
