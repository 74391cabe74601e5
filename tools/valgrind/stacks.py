"""Valgrind's logs: each error as its kind and the functions of its stack."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

LINE = re.compile(r"^==\d+== ?(.*)$")
FRAME = re.compile(r"^   (?:at|by) 0x[0-9A-F]+: (.*)$")
# Functions that have no business of their own: the one that called them is where the error is.
TRANSPARENT = re.compile(r"^(__)?(mem|str|wcs|bcmp)\w*\b|^\?\?\?")
INNERMOST = 3


@dataclass(frozen=True)
class Error:
    kind: str
    frames: tuple[str, ...]

    @property
    def place(self) -> tuple[str, tuple[str, ...]]:
        """What two runs have in common where the error is the same."""
        return self.kind, tuple(re.sub(r" \(.*", "", frame) for frame in self.frames[:INNERMOST])

    @property
    def is_ours(self) -> bool:
        """Whether pgseal itself did it, not the server that it had called."""
        working = [frame for frame in self.frames if not TRANSPARENT.match(frame)]
        return any("pgseal" in frame for frame in working[:1])

    @property
    def is_through_ours(self) -> bool:
        """Whether the server did it while pgseal had called it, or with what pgseal had given it."""
        return any("pgseal" in frame for frame in self.frames)

    def text(self) -> str:
        return "\n".join([self.kind, *(f"    {frame}" for frame in self.frames[:25])])


def read(log: str) -> Iterator[Error]:
    kind, frames, done = "", [], False
    for raw in [*log.splitlines(), "==0== "]:
        line = (match := LINE.match(raw)) and match[1]
        if line is None:
            continue
        if frame := FRAME.match(line):
            # A second stack of the same error says where the memory came from.
            if not done:
                frames.append(re.sub(r"\b0x[0-9A-F]+\b", "…", frame[1]))
        elif frames and line.startswith(" "):
            done = True
        else:
            if frames:
                yield Error(kind, tuple(frames))
            kind, frames, done = re.sub(r"\b0x[0-9A-F]+\b|\b\d+\b", "…", line), [], False
