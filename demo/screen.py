"""How the demo speaks: numbered steps, aligned columns, no colour but bold on a terminal."""

from __future__ import annotations

import shutil
import sys
import textwrap

INDENT = "   "
LABEL = 10
COLUMNS = shutil.get_terminal_size((160, 40)).columns
WIDTH = max(60, min(COLUMNS, 100))


def bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text


def line(text: str = "") -> None:
    print(f"{INDENT}{text}".rstrip(), flush=True)


def title(text: str) -> None:
    print(f"\n{bold(text)}", flush=True)


def step(number: int, text: str) -> None:
    print(f"\n{bold(f'{number}  {text}')}", flush=True)


def fact(label: str, text: str) -> None:
    """A label, and beside it a text that goes on below itself when it is long."""
    for part in textwrap.wrap(text, WIDTH - len(INDENT) - LABEL, break_on_hyphens=False) or [""]:
        line(f"{label:<{LABEL}}{part}")
        label = ""


def paragraph(text: str, bullet: str = "") -> None:
    """Running text; with a bullet the following lines hang."""
    for part in textwrap.wrap(text, WIDTH - len(INDENT) - len(bullet), break_on_hyphens=False):
        line(bullet + part)
        bullet = " " * len(bullet)


RESULT = 40  # the room that a result may need


def outcome(statement: str, result: str, column: int = 0) -> None:
    """A statement and what came of it: side by side where the terminal is wide enough, below each other otherwise."""
    if len(INDENT) + column + 3 + RESULT <= COLUMNS:
        line(f"{statement:<{column}} → {result}")
    else:
        line(statement)
        line(f"    → {result}")


def number(value: int) -> str:
    return f"{value:,}"


def duration(milliseconds: float) -> str:
    if milliseconds < 10:
        return f"{milliseconds:.1f} ms"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1000:.1f} s"
