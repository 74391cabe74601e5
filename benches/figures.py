"""The figures of a run: collected round by round, kept as JSON."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalogue import JUDGED, SECTIONS, Comparison, Plan, Side, Workload
from variants import ALL, Variant


@dataclass
class Figures:
    """For each workload and variant one number per round; and what was said beside them."""

    plan: Plan
    place: dict[str, Any]
    at: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    rounds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    words: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    interrupted: bool = False
    """Not every workload has all rounds of the plan."""

    def add(self, workload: Workload, variant: Variant, number: float) -> None:
        self.rounds.setdefault(workload.key, {}).setdefault(variant.name, []).append(number)

    def say(self, what: str, variant: Variant, word: str) -> None:
        self.words.setdefault(what, {}).setdefault(variant.name, []).append(word)

    def title(self, workload: Workload) -> str:
        return workload.title.format(**asdict(self.plan))

    def numbers(self, workload: Workload, variant: Variant) -> list[float]:
        return self.rounds.get(workload.key, {}).get(variant.name, [])

    def median(self, workload: Workload, variant: Variant) -> float | None:
        numbers = self.numbers(workload, variant)
        return statistics.median(numbers) if numbers else None

    def ratio(self, comparison: Comparison, variant: Variant) -> float | None:
        """None where a side was not measured, and where something would be compared with itself."""
        if variant in (comparison.of.variant, comparison.to.variant):
            return None
        # A run that was interrupted may have one number more on one side.
        pairs = zip(self._side(comparison.of, variant), self._side(comparison.to, variant), strict=False)
        ratios = [number / base for number, base in pairs]
        return statistics.median(ratios) if ratios else None

    def reached(self, comparison: Comparison) -> str | None:
        """How far pgseal has come: `aim`, `bar` or `no`; None without a goal or a ratio."""
        ratio = self.ratio(comparison, JUDGED)
        return None if comparison.goal is None or ratio is None else comparison.goal.reached(ratio)

    def worst(self, what: str, variant: Variant) -> str | None:
        """What was said in the rounds, in one word: anything but `intact` stands for all of them."""
        words = self.words.get(what, {}).get(variant.name, [])
        return next((word for word in words if word != "intact"), words[0] if words else None)

    def _side(self, side: Side, variant: Variant) -> list[float]:
        return self.numbers(side.workload, side.variant or variant)

    def save(self, path: Path) -> None:
        """Every number, and what the table makes of them."""
        content = {**asdict(self), "comparisons": self._comparisons()}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    @staticmethod
    def load(path: Path) -> Figures:
        content = json.loads(path.read_text())
        del content["comparisons"]
        return Figures(**{**content, "plan": Plan(**content["plan"])})

    def _comparisons(self) -> list[dict[str, Any]]:
        return [
            {
                "workload": self.title(section.workload),
                "compared": comparison.words,
                "ratios": {
                    variant.name: round(ratio, 4)
                    for variant in ALL.values()
                    if (ratio := self.ratio(comparison, variant)) is not None
                },
                "goal": comparison.goal and asdict(comparison.goal),
                "reached": self.reached(comparison),
            }
            for section in SECTIONS
            for comparison in section.comparisons
        ]
