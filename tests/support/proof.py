"""The programs of docs/format.md, as they stand there, run on a history."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.cluster import ROOT
from support.database import Database
from support.markdown import named

FORMAT = ROOT / "docs" / "format.md"
DOCUMENTS = ["pgseal", "server"]


def psql(db: Database, before: str, *names: str) -> str:
    """What blocks of format.md print, after `before` in the same transaction, which is rolled back."""
    text = "\n".join(["BEGIN;", before, *(named(FORMAT, name) for name in ("cuts", *names)), "ROLLBACK;"])
    secret = db.cluster.key
    assert secret
    return db.cluster.psql(text, db.name, "postgres", "-v", f"secret={secret}").stdout


def unequal_macs(db: Database, documents: str, before: str = "") -> tuple[int, int, str]:
    """Entries, entries whose mac comes out equal, and where the others stand: by the SQL expression."""
    entries, equal, others = psql(db, before, f"documents: {documents}", "macs").splitlines()[-1].split("|")
    return int(entries), int(equal), others


def verify(db: Database, folder: Path, documents: str, before: str = "") -> tuple[int, list[str]]:
    """The exit code of verify.py and the lines that it prints, run by the command that stands in format.md."""
    (folder / "export.jsonl").write_text(psql(db, before, f"documents: {documents}", "export"), "utf-8")
    return run_command(folder, db.cluster.key or "")


def run_command(folder: Path, secret: str) -> tuple[int, list[str]]:
    (folder / "secret.txt").write_text(secret + "\n")
    python, *arguments = named(FORMAT, "command").split()
    assert (python, arguments[0]) == ("python3", "verify.py")
    done = subprocess.run(
        [sys.executable, "-I", str(FORMAT.parent / "verify.py"), *arguments[1:]],
        cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    return done.returncode, done.stdout.split("\n")[:-1]
