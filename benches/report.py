"""The figures of a run: collected round by round, printed as one table, kept as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass
class Line:
    """A line of the table: for each contestant one number per round, or a word."""

    what: str
    unit: str
    runs: dict[str, list[float]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)

    def median(self, name: str) -> float | None:
        return statistics.median(self.runs[name]) if self.runs.get(name) else None

    def ratio(self, name: str) -> float | None:
        """The median of the rounds' ratios to plain: what disturbs a round disturbs both of its numbers."""
        pairs = zip(self.runs.get(name, []), self.runs.get("plain", []), strict=False)
        ratios = [value / plain for value, plain in pairs]
        return statistics.median(ratios) if ratios and name != "plain" else None


class Report:
    """Lines in the order in which they were first written to."""

    def __init__(self, contestants: list[str], settings: dict[str, Any]) -> None:
        self.contestants = contestants
        self.settings = settings
        self.lines: dict[str, Line] = {}

    def add(self, what: str, unit: str, name: str, value: float) -> None:
        self._line(what, unit).runs.setdefault(name, []).append(value)

    def say(self, what: str, name: str, word: str) -> None:
        """A word instead of a number; the worst of all rounds stays."""
        words = self._line(what, "").words
        if name not in words or words[name] == "intact":
            words[name] = word

    def _line(self, what: str, unit: str) -> Line:
        return self.lines.setdefault(what, Line(what, unit))

    def table(self) -> str:
        others = [name for name in self.contestants if name != "plain"]
        head = ["", "", *self.contestants, *(f"{name}/plain" for name in others)]
        body = [self._cells(line, others) for line in self.lines.values()]
        widths = [max(len(row[column]) for row in [head, *body]) for column in range(len(head))]
        rows = []
        for row in [head, *body]:
            left = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
            right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
            rows.append("  ".join(left + right).rstrip())
        return "\n".join([rows[0], "-" * sum(w + 2 for w in widths), *rows[1:]])

    def _cells(self, line: Line, others: list[str]) -> list[str]:
        values = [line.words.get(name) or _number(line.median(name)) for name in self.contestants]
        ratios = ["" if (ratio := line.ratio(name)) is None else f"{ratio:.2f}" for name in others]
        return [line.what, line.unit, *values, *ratios]

    def save(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        now = datetime.now(UTC)
        path = folder / f"{now:%Y-%m-%dT%H%M%SZ}.json"
        lines = [
            {
                "what": line.what,
                "unit": line.unit,
                "runs": line.runs,
                "words": line.words,
                "median": {name: line.median(name) for name in line.runs},
                "ratio_to_plain": {name: line.ratio(name) for name in line.runs if name != "plain"},
            }
            for line in self.lines.values()
        ]
        content = {"at": now.isoformat(), "machine": machine(), "settings": self.settings, "lines": lines}
        path.write_text(json.dumps(content, indent=2) + "\n")
        return path


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    models = [text for text in Path("/proc/cpuinfo").read_text().splitlines() if text.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": models[0].partition(": ")[2] if models else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 2**30),
        "kernel": platform.release(),
    }


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
