"""How much memory verification takes: the figures of `make bench-memory`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalogue import Goal

GOAL = Goal(64, 16, at_most=True)
"""MB of each process that takes part, at its worst moment."""


@dataclass(frozen=True)
class MemoryRun:
    """One verification by a new session."""

    what: str
    seconds: float
    before_mb: float
    """Of the session, connected and idle."""
    peaks_mb: list[float]
    """Of the session first, then of its workers."""
    verdict: str
    basis: str


@dataclass
class MemoryFigures:
    rows: int
    tenants: int
    place: dict[str, Any]
    at: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    runs: list[MemoryRun] = field(default_factory=list)

    @property
    def peak_mb(self) -> float:
        """The most that any process of any run has taken."""
        return max(peak for run in self.runs for peak in run.peaks_mb)

    def save(self, path: Path) -> None:
        content = {**asdict(self), "goal_mb": asdict(GOAL), "reached": GOAL.reached(self.peak_mb)}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    @staticmethod
    def load(path: Path) -> MemoryFigures:
        content = json.loads(path.read_text())
        runs = [MemoryRun(**run) for run in content["runs"]]
        return MemoryFigures(content["rows"], content["tenants"], content["place"], content["at"], runs)
