"""The machine's own package history: every line that dpkg has logged, as an event."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

LOG = Path("/var/log/dpkg.log")
ENOUGH = 2000
AT_MOST = 20_000
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Event:
    """One line of the log: whose it is (the section of the package), when, and everything that it says."""

    tenant: str
    at: str
    payload: str


def read() -> list[Event]:
    """The newest lines of the log and of its rotated parts, oldest first."""
    sections = _sections()
    lines = [text for path in _parts() for text in _lines(path)][-AT_MOST:]
    events = (_event(number, text, sections) for number, text in enumerate(lines, start=1))
    return [event for event in events if event]


def make_more(say: Callable[[str], None]) -> None:
    """Where the log is short, makes more history by what dpkg logs anyway: small packages are installed again."""
    root = _root_prefix()
    if os.environ.get("DEMO_NO_APT") or root is None or not shutil.which("apt-get"):
        return
    names = _small_packages()
    while (missing := ENOUGH - sum(1 for path in _parts() for _ in _lines(path))) > 0 and names:
        batch, names = names[:25], names[25:]
        say(f"the log is short of {missing} lines: installing {len(batch)} small packages again (DEMO_NO_APT=1: don't)")
        subprocess.run(
            [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-qq", "-y", "--reinstall",
             "-o", "Dpkg::Options::=--force-confold", *batch],
            check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300,
        )  # fmt: skip


def _parts() -> list[Path]:
    """dpkg.log.12.gz … dpkg.log.2.gz, dpkg.log.1, dpkg.log."""

    def age(path: Path) -> int:
        found = re.search(r"\.log\.(\d+)", path.name)
        return int(found.group(1)) if found else 0

    return sorted(LOG.parent.glob("dpkg.log*"), key=age, reverse=True)


def _lines(path: Path) -> Iterator[str]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    yield from content.decode("utf-8", "replace").splitlines()


def _event(number: int, text: str, sections: dict[str, str]) -> Event | None:
    """`2025-06-24 14:36:37 upgrade libssh2-1:amd64 1.10.0-3 1.10.0-3+b1`, and dpkg's few other shapes."""
    words = text.split()
    if len(words) < 4:
        return None
    try:
        at = datetime.fromisoformat(f"{words[0]} {words[1]}").astimezone().isoformat()
    except ValueError:
        return None
    action, rest = words[2], words[3:]
    event: dict[str, object] = {"time": at, "line": number, "action": action}
    match action, rest:
        case "status", [state, package, version]:
            event |= {"state": state, **_package(package), "to": version}
        case _, [package, old, new] if action != "startup":
            event |= {**_package(package), "from": _version(old), "to": _version(new)}
        case _:
            event["text"] = " ".join(rest)
    tenant = sections.get(str(event.get("package")), UNKNOWN)
    return Event(tenant, at, json.dumps(event, ensure_ascii=False))


def _package(name: str) -> dict[str, str]:
    package, _, arch = name.partition(":")
    return {"package": package, "arch": arch} if arch else {"package": package}


def _version(word: str) -> str | None:
    return None if word == "<none>" else word


def _query(form: str) -> list[list[str]]:
    done = subprocess.run(["dpkg-query", "-W", f"-f={form}\n"], check=True, capture_output=True, text=True, timeout=60)
    return [row.split() for row in done.stdout.splitlines()]


def _sections() -> dict[str, str]:
    return {row[0]: row[1] for row in _query("${Package} ${Section}") if len(row) == 2}


def _small_packages() -> list[str]:
    """Installed packages that nothing here stands on, the smallest first."""
    rows = _query("${Installed-Size} ${Package}:${Architecture} ${db:Status-Status} ${Priority} ${Section}")
    small = sorted(
        (int(size), name)
        for size, name, status, priority, section in (row for row in rows if len(row) == 5 and row[0].isdigit())
        if status == "installed" and priority == "optional" and section not in ("kernel", "database")
    )
    return [name for _, name in small[:250]]


def _root_prefix() -> list[str] | None:
    """The words that make a command run as root without asking; None where that cannot be."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    asked = subprocess.run(["sudo", "-n", "true"], capture_output=True, timeout=10)
    return ["sudo"] if asked.returncode == 0 else None
