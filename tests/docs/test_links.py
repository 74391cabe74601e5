"""Every link in the documentation leads somewhere: to a file of the project, to a heading that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.cluster import ROOT

PAGES = sorted(
    page
    for folder in (".", "docs", "docs/monitoring", "pgrx-config", "pgrx-config/key-commands")
    for page in (ROOT / folder).glob("*.md")
)
CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def prose(page: Path) -> str:
    return CODE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to headings."""
    headings = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(prose(page))]
    before = [headings[:place].count(heading) for place, heading in enumerate(headings)]
    return {f"{heading}-{n}" if n else heading for heading, n in zip(headings, before, strict=True)}


def problem(page: Path, link: str) -> str | None:
    if re.match(r"[a-z]+:", link):
        return None if link.startswith("https://") else "not https"
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.is_relative_to(ROOT):
        return "outside the project"
    if not target.exists():
        return "no such file"
    if anchor and anchor not in anchors(target):
        return f"no heading #{anchor}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    problems = {link: what for link in LINK.findall(prose(page)) if (what := problem(page, link))}
    assert not problems


def test_the_checker_sees_what_is_wrong(tmp_path: Path) -> None:
    readme = ROOT / "README.md"
    assert problem(readme, "docs/nowhere.md") == "no such file"
    assert problem(readme, "#no-such-heading") == "no heading #no-such-heading"
    assert problem(readme, "../elsewhere.md") == "outside the project"
    assert problem(readme, "http://example.org") == "not https"
    page = tmp_path / "page.md"
    page.write_text("# One, `two`\n## Same\n## Same\n```\n# no heading\n```\n")
    assert anchors(page) == {"one-two", "same", "same-1"}


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    command = re.compile(r"(?:^|`)make ([a-z-]+)", re.MULTILINE)
    named = {target for page in PAGES for target in command.findall(page.read_text())}
    assert named and named <= targets
