"""What `make bench` makes of its numbers: ratios within rounds, goals, the table, the picture, the README's figures."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

import catalogue
import publish
import readme
from catalogue import Goal
from figures import Figures
from memory_figures import MemoryFigures, MemoryRun
from table import markdown, terminal
from variants import ALL, ONE_CHAIN, PGCRYPTO, PGSEAL, PLAIN

PLACE: dict[str, Any] = {"server": "15.20", "processor": "Abacus", "cores": 2, "memory_gb": 8, "kernel": "6"}


@pytest.fixture
def figures() -> Figures:
    """Three rounds, the second of them disturbed."""
    made = Figures(catalogue.FULL, PLACE)
    for disturbed in (1.0, 0.1, 1.0):
        made.add(catalogue.INSERT_MANY, PLAIN, 1000 * disturbed)
        made.add(catalogue.INSERT_MANY, PGCRYPTO, 100 * disturbed)
        made.add(catalogue.INSERT_MANY, PGSEAL, 900 * disturbed)
        made.add(catalogue.READ, PGSEAL, 1.0 / disturbed)
        made.add(catalogue.VERIFY, PGCRYPTO, 6.0 / disturbed)
        made.add(catalogue.VERIFY, PGSEAL, 1.5 / disturbed)
    return made


def test_a_ratio_is_the_median_of_the_rounds_ratios(figures: Figures) -> None:
    figures.add(catalogue.INSERT, PLAIN, 100)
    figures.add(catalogue.INSERT, PLAIN, 1000)
    figures.add(catalogue.INSERT, PLAIN, 500)
    for number in (90, 800, 50):
        figures.add(catalogue.INSERT, PGSEAL, number)
    assert figures.ratio(catalogue.INSERT_OF_PLAIN, PGSEAL) == 0.8
    assert figures.ratio(catalogue.INSERT_MANY_OF_PLAIN, PGSEAL) == 0.9


def test_a_round_that_was_not_finished_counts_for_nobody(figures: Figures) -> None:
    figures.add(catalogue.INSERT_MANY, PLAIN, 1)
    assert figures.ratio(catalogue.INSERT_MANY_OF_PLAIN, PGSEAL) == 0.9


def test_an_interrupted_run_does_not_claim_all_rounds(figures: Figures) -> None:
    assert "Medians of 5 alternating rounds" in markdown(figures, None)
    figures.interrupted = True
    assert "Medians of at most 5 alternating rounds" in markdown(figures, None)


def test_nothing_is_compared_with_itself_or_with_nothing(figures: Figures) -> None:
    assert figures.ratio(catalogue.INSERT_MANY_OF_PLAIN, PLAIN) is None
    assert figures.ratio(catalogue.VERIFY_FASTER_THAN_SQL, PGCRYPTO) is None
    assert figures.ratio(catalogue.INSERT_MANY_OF_PLAIN, ONE_CHAIN) is None
    assert figures.reached(catalogue.COPY_OF_PLAIN) is None


def test_a_side_may_always_be_the_same_variants(figures: Figures) -> None:
    assert figures.ratio(catalogue.INSERT_MANY_OF_PGCRYPTO, PGSEAL) == 9
    assert figures.ratio(catalogue.VERIFY_FASTER_THAN_SQL, PGSEAL) == 4


@pytest.mark.parametrize(
    ("goal", "reached"),
    [
        (Goal(0.8, 0.9), {0.79: "no", 0.8: "bar", 0.89: "bar", 0.9: "aim", 1.2: "aim"}),
        (Goal(1.0, 0.7, at_most=True), {1.01: "no", 1.0: "bar", 0.71: "bar", 0.7: "aim", 0.1: "aim"}),
    ],
)
def test_bar_and_aim(goal: Goal, reached: dict[float, str]) -> None:
    assert {ratio: goal.reached(ratio) for ratio in reached} == reached


def test_the_table_says_what_is_reached(figures: Figures) -> None:
    lines = [re.split(r" {2,}", line.strip()) for line in terminal(figures, [PLAIN, PGCRYPTO, PGSEAL]).splitlines()]
    many = lines.index(["INSERT of a row, 32 clients", "per s", "1,000", "100", "900"])
    assert lines[many + 1 : many + 3] == [
        ["of plain", "0.10", "0.90", "≥ 0.88", "0.95", "bar"],
        ["× pgcrypto", "10.0", "9.00", "≥ 3", "5", "aim"],
    ]
    verify = lines.index(["verifying 1,000,000 rows, one process", "s", "–", "6", "1.5"])
    assert lines[verify + 1 : verify + 3] == [
        ["of reading them", "1.50", "≤ 1", "0.7", "NO"],
        ["× faster than in SQL", "4.00", "≥ 5", "10", "NO"],
    ]


def test_one_bad_verdict_stands_for_all_rounds(figures: Figures) -> None:
    for word in ("intact", "7 breaks", "intact"):
        figures.say(catalogue.VERDICT, PGCRYPTO, word)
        figures.say(catalogue.VERDICT, PGSEAL, "intact")
    assert figures.worst(catalogue.VERDICT, PGCRYPTO) == "7 breaks"
    assert "own check says: 7 breaks; pgseal's verdict is `intact`" in markdown(figures, None)


def test_what_was_saved_gives_the_same_table_and_picture(figures: Figures, tmp_path: Path) -> None:
    memory = MemoryFigures(5, 2, PLACE, runs=[MemoryRun("all", 1.0, 3.0, [9.5, 70.25], "intact", "full")])
    for folder in (tmp_path / "one", tmp_path / "two"):
        figures.save(folder / publish.RESULTS)
        memory.save(folder / publish.MEMORY)
        assert [path.name for path in publish.publish(folder)] == [
            publish.RESULTS, publish.MEMORY, publish.TABLE, publish.PICTURE,
        ]  # fmt: skip
        figures, memory = Figures.load(folder / publish.RESULTS), MemoryFigures.load(folder / publish.MEMORY)
    for name in (publish.RESULTS, publish.MEMORY, publish.TABLE, publish.PICTURE):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    table = (tmp_path / "one" / publish.TABLE).read_text()
    assert "| 70.2 MB |  | ≤ 64 MB: **not reached** |" in table


def test_the_picture_names_machine_variants_and_goal(figures: Figures, tmp_path: Path) -> None:
    figures.save(tmp_path / publish.RESULTS)
    publish.publish(tmp_path)
    root = ElementTree.parse(tmp_path / publish.PICTURE).getroot()
    words = " ".join(" ".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text"))
    for expected in ("PostgreSQL 15.20, 2 × Abacus, 8 GB", "goal for pgseal", "0.90", *(v.title for v in ALL.values())):
        assert expected in words
    assert (tmp_path / publish.PICTURE).stat().st_size < 60_000


def test_the_readme_has_room_for_the_figures() -> None:
    page = readme.README.read_text()
    once = readme.with_figures(page, "new figures\n")
    assert once.count("new figures") == 1 and once == readme.with_figures(once, "new figures\n")
    before, after = page.split(readme.BEGIN)[0], page.split(readme.END)[1]
    assert once == f"{before}{readme.BEGIN}\nnew figures\n{readme.END}{after}"


def test_figures_go_nowhere_but_between_two_marks() -> None:
    begin, end = f"{readme.BEGIN}\n", f"{readme.END}\n"
    for page in ("nothing\n", begin, end + begin, begin + begin + end, begin + end + begin + end):
        with pytest.raises(ValueError, match="not once in the page"):
            readme.with_figures(page, "figures\n")
