#!/usr/bin/env python3
"""make bench-readme: puts the picture and the table of the last whole run into README.md, between its two marks."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from publish import PICTURE, PUBLISHED, TABLE, publish
from support.cluster import ROOT

README = ROOT / "README.md"
BEGIN, END = "<!-- figures: written by make bench-readme -->", "<!-- end of the figures -->"
WHAT_IT_SHOWS = "Writing and verifying, relative to the plain table and to reading it"


def with_figures(page: str, figures: str) -> str:
    """The page with these figures in the place of those that it has. ValueError where the marks are not there once."""
    marked = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}\n", re.DOTALL)
    if len(marked.findall(page)) != 1 or page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"not once in the page, one after the other: {BEGIN} {END}")
    return marked.sub(lambda _: f"{BEGIN}\n{figures}{END}\n", page)


def figures(folder: Path, root: Path) -> str:
    """What stands between the marks: the picture, as a page in `root` links to it, and the table."""
    picture = (folder / PICTURE).relative_to(root)
    return f"![{WHAT_IT_SHOWS}]({picture})\n\n{(folder / TABLE).read_text()}"


def main() -> None:
    if PUBLISHED / TABLE not in publish(PUBLISHED):
        sys.exit("there are no figures yet: make bench")
    README.write_text(with_figures(README.read_text(), figures(PUBLISHED, ROOT)))


if __name__ == "__main__":
    main()
