"""The figures as a table: for the terminal, and in Markdown for the README."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from catalogue import BASIS, SECTIONS, VERDICT, Comparison, Goal, Section
from figures import Figures
from memory_figures import GOAL, MemoryFigures
from server import in_words
from variants import ALL, PGCRYPTO, PGSEAL, PLAIN, SEALED, Variant

NOTHING = "–"


def caption(figures: Figures) -> str:
    """Where the figures come from, and how they were taken."""
    rounds = f"at most {figures.plan.rounds}" if figures.interrupted else str(figures.plan.rounds)
    return (
        f"{in_words(figures.place)}, {figures.at[:10]}. Medians of {rounds} alternating rounds, {figures.plan.snapshot_rounds} with an open snapshot; ratios are"
        " medians of the rounds' ratios. Documents of about 300 bytes, tables with primary key and tenant index."
    )


# -- the terminal -----------------------------------------------------------------------------------------------------


def terminal(figures: Figures, variants: Sequence[Variant]) -> str:
    """Per workload a line with the numbers, and one for each thing that they are compared with."""
    head = ["", "", *(variant.title for variant in variants), "bar", "aim", "reached"]
    body = [line for section in SECTIONS for line in _lines(figures, section, variants)]
    verdicts = [figures.worst(VERDICT, variant) or NOTHING for variant in variants]
    if VERDICT in figures.words:
        body.append([VERDICT, "", *verdicts, "", "", ""])
    return "\n".join([*aligned(head, body), "", *_notes(figures)])


def _lines(figures: Figures, section: Section, variants: Sequence[Variant]) -> Iterator[list[str]]:
    numbers = [_number(figures.median(section.workload, variant)) for variant in variants]
    if any(number != NOTHING for number in numbers):
        yield [figures.title(section.workload), section.workload.unit, *numbers, "", "", ""]
        for comparison in section.comparisons:
            ratios = [_ratio(figures.ratio(comparison, variant)) for variant in variants]
            yield ["", comparison.words, *ratios, *goal_cells(comparison.goal, figures.reached(comparison))]


def goal_cells(goal: Goal | None, reached: str | None) -> list[str]:
    """Bar, aim, and which of them is reached."""
    if goal is None:
        return ["", "", ""]
    return [f"{goal.sign} {goal.bar:g}", f"{goal.aim:g}", "NO" if reached == "no" else reached or NOTHING]


def aligned(head: list[str], body: list[list[str]]) -> list[str]:
    """Lines of text, the first two columns to the left."""
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    lines = []
    for row in [head, *body]:
        cells = [
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return [lines[0], "-" * (sum(widths) + 2 * len(widths) - 2), *lines[1:]]


def _notes(figures: Figures) -> Iterator[str]:
    yield f"Bar and aim are those of {PGSEAL.title}: by default it has as many chains as there are writers at once."
    for variant in SEALED:
        if words := figures.words.get(BASIS, {}).get(variant.name):
            yield f"{variant.title}, {BASIS}: {words[-1]}"


# -- Markdown ---------------------------------------------------------------------------------------------------------


def markdown(figures: Figures, memory: MemoryFigures | None) -> str:
    """A line per comparison. The plain table has its own number where the others are compared with it."""
    head = ["", "compared", *(variant.title for variant in ALL.values()), "goal for pgseal"]
    body = [_row(figures, section, comparison) for section in SECTIONS for comparison in section.comparisons]
    rule = ["---", "---", *("--:" for _ in ALL), "---"]
    rows = [head, rule, *body, *([_memory_row(memory)] if memory else [])]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return f"{caption(figures)}\n\n{table}\n\n{' '.join(_remarks(figures))}\n"


def _row(figures: Figures, section: Section, comparison: Comparison) -> list[str]:
    cells = [_ratio(figures.ratio(comparison, variant)) for variant in ALL.values()]
    if comparison.to.variant is PLAIN:
        cells[0] = f"{_number(figures.median(section.workload, PLAIN))} {section.workload.unit}"
    goal = _goal_words(comparison.goal, figures.reached(comparison))
    return [figures.title(section.workload), comparison.words, *cells, goal]


def _memory_row(memory: MemoryFigures) -> list[str]:
    """Of the default variant; the others were not measured."""
    title = f"memory of a process that verifies {memory.rows:,} rows of {memory.tenants:,} tenants"
    cells = [f"{memory.peak_mb:.1f} MB" if variant is PGSEAL else "" for variant in ALL.values()]
    return [title, "", *cells, _goal_words(GOAL, GOAL.reached(memory.peak_mb), " MB")]


def _goal_words(goal: Goal | None, reached: str | None, unit: str = "") -> str:
    if goal is None:
        return ""
    words = {"aim": "reached, and so is the aim", "bar": "reached", "no": "**not reached**", None: "not measured"}
    return f"{goal.sign} {goal.bar:g}{unit}: {words[reached]}"


def _remarks(figures: Figures) -> Iterator[str]:
    breaks = figures.worst(VERDICT, PGCRYPTO)
    verdict = figures.worst(VERDICT, PGSEAL)
    if breaks and verdict:
        yield f"After 32 clients the pgcrypto trigger's own check says: {breaks}; pgseal's verdict is `{verdict}`."
    if words := figures.words.get(BASIS, {}).get(PGSEAL.name):
        yield f"The tenant's answer rests on a {words[-1]}."


# -- both -------------------------------------------------------------------------------------------------------------


def _number(number: float | None) -> str:
    if number is None:
        return NOTHING
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _ratio(ratio: float | None) -> str:
    """Two digits after the point, three where it is near zero."""
    if ratio is None:
        return ""
    return f"{ratio:.1f}" if ratio >= 10 else f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.3f}"
