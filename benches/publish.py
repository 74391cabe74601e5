"""What is made of the figures: a table in Markdown and a picture, beside the results that they were made of."""

from __future__ import annotations

from pathlib import Path

from figures import Figures
from memory_figures import MemoryFigures
from picture import draw
from support.cluster import ROOT
from table import markdown

PUBLISHED = ROOT / "benches"
"""Figures of a whole run, which the README shows."""
UNPUBLISHED = ROOT / "target" / "bench"

RESULTS = "results.json"
MEMORY = "memory.json"
TABLE = "results.md"
PICTURE = "results.svg"


def publish(folder: Path) -> list[Path]:
    """Writes table and picture of the results in a folder, as far as there are any; returns all of its files."""
    files = [folder / name for name in (RESULTS, MEMORY, TABLE, PICTURE)]
    if (folder / RESULTS).exists():
        figures = Figures.load(folder / RESULTS)
        memory = MemoryFigures.load(folder / MEMORY) if (folder / MEMORY).exists() else None
        (folder / TABLE).write_text(markdown(figures, memory))
        draw(figures, folder / PICTURE)
    return [file for file in files if file.exists()]
