"""What is being measured at the moment."""

from __future__ import annotations

import sys


def progress(text: str) -> None:
    """One line that is written over on a terminal; nothing in a log but the beginning of each part."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)
