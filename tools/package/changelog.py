#!/usr/bin/env python3
"""CHANGELOG.md as debian/changelog: changelog.py <source package> <maintainer> <time of the newest commit>.

A version that is not released yet is older than the release that it becomes, so its number has a tilde and the time."""

from __future__ import annotations

import re
import sys
import textwrap
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VERSION = re.compile(r"^## \[([0-9.]+)\] - (\S+)$", re.MULTILINE)


def plain(text: str) -> str:
    """One paragraph of Markdown without its marks and its line breaks."""
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    return " ".join(text.replace("`", "").replace("**", "").split())


def changes(section: str) -> list[str]:
    """The items of one version, each after the heading under which it stands."""
    items = []
    for part in re.split(r"^### ", section, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        items += [f"{heading}: {plain(item)}" for item in re.split(r"^- ", body, flags=re.MULTILINE)[1:]]
    return items or ["See changelog.gz."]


def entry(package: str, maintainer: str, newest: datetime, version: str, released: str, section: str) -> str:
    if released == "unreleased":
        number, suite, at = f"{version}~{newest:%Y%m%d%H%M%S}-1", "UNRELEASED", newest
    else:
        number, suite, at = f"{version}-1", "unstable", datetime.fromisoformat(released).replace(tzinfo=UTC)
    lines = [
        textwrap.fill(item, 78, initial_indent="  * ", subsequent_indent="    ", break_on_hyphens=False)
        for item in changes(section)
    ]
    head = f"{package} ({number}) {suite}; urgency=medium"
    return "\n".join([head, "", *lines, "", f" -- {maintainer}  {format_datetime(at)}", ""])


def main() -> None:
    package, maintainer, seconds = sys.argv[1:]
    newest = datetime.fromtimestamp(int(seconds), UTC)
    _, *parts = VERSION.split((ROOT / "CHANGELOG.md").read_text())
    for version, released, section in zip(parts[0::3], parts[1::3], parts[2::3], strict=True):
        print(entry(package, maintainer, newest, version, released, section))


if __name__ == "__main__":
    main()
