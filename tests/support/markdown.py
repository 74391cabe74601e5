"""The code blocks of a page, and psql scripts made of them.

A comment in the line before a block's fence says what is special about it:

    <!-- not run: reason -->        left out
    <!-- error: text -->            its last statement must fail with an ERROR that contains this text
    <!-- anything else -->          a name, by which a test finds the block
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<language>\w*).*$")
COMMENT = re.compile(r"^<!--\s*(.*?)\s*-->$")


@dataclass(frozen=True)
class Block:
    language: str
    comment: str
    text: str
    line: int
    """Number of the first line of the text, from 1."""

    @property
    def left_out(self) -> bool:
        return bool(re.match(r"not run: ?\S", self.comment))

    @property
    def error(self) -> str | None:
        """What must be in the error's text; None where no error is expected."""
        found = re.match(r"error: ?(\S.*)", self.comment)
        return found.group(1) if found else None

    @property
    def last_line(self) -> int:
        return self.line + self.text.count("\n") - 1


def blocks(page: Path) -> list[Block]:
    """Every fenced block, in order."""
    found: list[Block] = []
    lines = page.read_text("utf-8").split("\n")
    start, fence, comment = 0, None, ""
    for number, line in enumerate(lines, 1):
        match = FENCE.match(line)
        if fence is None and match:
            start, fence = number, match
            before = COMMENT.match(lines[number - 2].strip()) if number > 1 else None
            comment = before.group(1) if before else ""
        elif fence is not None and line.rstrip() == fence["ticks"]:
            text = "".join(part + "\n" for part in lines[start : number - 1])
            found.append(Block(fence["language"], comment, text, start + 1))
            fence = None
    assert fence is None, f"{page}: the block that begins in line {start} does not end"
    return found


def named(page: Path, name: str) -> str:
    """The text of the only block with this comment."""
    found = [block.text for block in blocks(page) if block.comment == name]
    assert len(found) == 1, f"{page}: {len(found)} blocks are called «{name}»"
    return found[0]


def script(page: Path) -> tuple[str, list[Block]]:
    """All SQL of a page that is to run, each line at the number that it has in the page; and its blocks.

    psql's messages (psql:<stdin>:12: ERROR: …) then name lines of the page.
    """
    run = [block for block in blocks(page) if block.language == "sql" and not block.left_out]
    lines = [""] * (max((block.last_line for block in run), default=0) + 1)
    for block in run:
        lines[block.line - 1 : block.last_line] = block.text.split("\n")[:-1]
        if block.error:
            lines[block.line - 2] = r"\set ON_ERROR_STOP off"
            lines[block.last_line] = r"\set ON_ERROR_STOP on"
    return "\n".join(lines) + "\n", run
