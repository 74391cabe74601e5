"""The figures as a picture for somebody who has never heard of pgseal."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

import catalogue
from catalogue import Comparison
from figures import Figures
from table import caption
from variants import ALL, ONE_CHAIN, PGCRYPTO, PGSEAL, PLAIN, Variant

COLOURS = {PLAIN: "#8c8c8c", PGCRYPTO: "#d98c21", PGSEAL: "#1f5fa8", ONE_CHAIN: "#8db8e2"}
GOAL_COLOUR = "#b3123f"
BEHIND_LABELS = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
SETTINGS: Any = {
    # Text stays text, in whatever sans serif the reader has; DejaVu, by which it is laid out, is the widest of them.
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    # The same figures make the same file.
    "svg.hashsalt": "pgseal",
}

WRITING = {
    "1 client": catalogue.INSERT_OF_PLAIN,
    "1 client,\nsynchronous_commit off": catalogue.INSERT_ASYNC_OF_PLAIN,
    "32 clients": catalogue.INSERT_MANY_OF_PLAIN,
    "16 clients, 10 INSERTs\nand 5 ms of other work": catalogue.TRANSACTIONS_OF_PLAIN,
    "COPY": catalogue.COPY_OF_PLAIN,
}


def draw(figures: Figures, path: Path) -> None:
    """Writes an SVG."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(9.5, 7.2), layout="constrained", facecolor="white")
        above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.1, 1))[:, 0]
        _writing(figures, above.subplots())
        left, right = below.subplots(1, 2, width_ratios=(1, 1.25))
        _snapshot(figures, left)
        _checking(figures, right)
        handles = [Patch(color=colour, label=variant.title) for variant, colour in COLOURS.items()]
        goal = Line2D([], [], color=GOAL_COLOUR, linewidth=2.5, label="goal for pgseal")
        above.legend(handles=[*handles, goal], loc="outside upper center", ncols=5, frameon=False)
        below.supxlabel(textwrap.fill(caption(figures), 150), fontsize=7, color="#555555")
        figure.savefig(path, metadata={"Date": None})


@dataclass(frozen=True)
class Bar:
    """A bar, what stands at its end, and where the goal is."""

    height: float
    label: str
    goal: float | None = None

    @staticmethod
    def of(figures: Figures, comparison: Comparison, variant: Variant) -> Bar:
        ratio = figures.ratio(comparison, variant)
        goal = comparison.goal.bar if comparison.goal and variant is catalogue.JUDGED else None
        return Bar(ratio or 0, _label(ratio), goal)


def _writing(figures: Figures, axes: Axes) -> None:
    variants = [variant for variant in ALL.values() if variant is not PLAIN]
    width = 0.27
    for place, variant in enumerate(variants):
        for group, comparison in enumerate(WRITING.values()):
            _upright(axes, group + (place - 1) * width, Bar.of(figures, comparison, variant), variant, width)
    axes.axhline(1, color=COLOURS[PLAIN], linestyle="--", linewidth=1.2, zorder=0)
    axes.set_xticks(range(len(WRITING)), list(WRITING))
    axes.set_title("Writing: rows per second, plain table = 1 (higher is better)")
    axes.set_ylim(bottom=0)


def _snapshot(figures: Figures, axes: Axes) -> None:
    for place, variant in enumerate(ALL.values()):
        _upright(axes, place, Bar.of(figures, catalogue.SNAPSHOT_OF_BEFORE, variant), variant, 0.7)
    axes.set_xticks([])
    axes.set_xlabel(f"32 clients, after {figures.plan.snapshot_seconds} s of a snapshot that stays open")
    axes.set_title("Writing under an old snapshot:\nown rate before = 1 (higher is better)")
    axes.set_ylim(bottom=0)


def _checking(figures: Figures, axes: Axes) -> None:
    whole = figures.ratio(catalogue.VERIFY_OF_READING, PGSEAL) or 0
    lines = {
        "check in SQL,\nhmac and lag": (PGCRYPTO, catalogue.VERIFY_OF_READING, None),
        "one process": (PGSEAL, catalogue.VERIFY_OF_READING, 1.0),
        "two processes": (PGSEAL, catalogue.TWO_OF_READING, whole / _bar(catalogue.TWO_OF_ONE)),
        "one tenant of 100": (PGSEAL, catalogue.TENANT_OF_READING, whole * _bar(catalogue.TENANT_OF_ALL)),
    }
    for place, (variant, comparison, goal) in enumerate(lines.values()):
        bar = Bar.of(figures, comparison, variant)
        axes.barh(place, bar.height, 0.6, color=COLOURS[variant])
        axes.text(max(bar.height, goal or 0), place, f"  {bar.label}", va="center", fontsize=8)
        if goal:
            axes.plot([goal, goal], [place - 0.38, place + 0.38], color=GOAL_COLOUR, linewidth=2.5)
    axes.axvline(1, color=COLOURS[PLAIN], linestyle="--", linewidth=1.2, zorder=0)
    axes.set_yticks(range(len(lines)), list(lines))
    axes.invert_yaxis()
    axes.set_title(f"Checking {figures.plan.rows:,} rows: time,\nreading their payloads = 1 (lower is better)")


def _upright(axes: Axes, place: float, bar: Bar, variant: Variant, width: float) -> None:
    """A bar; its number stands at its end, or beyond the goal where that would run through it."""
    axes.bar(place, bar.height, width * 0.94, color=COLOURS[variant])
    top = bar.goal if bar.goal and bar.height < bar.goal < bar.height + 0.12 else bar.height
    axes.text(place, top + 0.015, bar.label, ha="center", va="bottom", fontsize=8, bbox=BEHIND_LABELS)
    if bar.goal:
        axes.plot([place - width / 2, place + width / 2], [bar.goal, bar.goal], color=GOAL_COLOUR, linewidth=2.5)


def _bar(comparison: Comparison) -> float:
    assert comparison.goal
    return comparison.goal.bar


def _label(ratio: float | None) -> str:
    return "not measured" if ratio is None else f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.3f}"
