"""docs/keys.md and the commands' README name every command, and call each as it wants to be called."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from support.kms import COMMANDS, PAGE

SCRIPTS = sorted(path for path in COMMANDS.iterdir() if path.suffix != ".md")
NAMES = [path.name for path in SCRIPTS]
# A pattern for commands of one's own; pgseal.key_file does the same.
READY = [name for name in NAMES if name != "key-from-file"]


def usage(script: Path) -> list[str]:
    """The words of its line of usage, without the name."""
    (line,) = re.findall(rf'usage: {script.name} ([^"\n]+)"', script.read_text())
    return str(line).split()


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_it_can_be_run(script: Path) -> None:
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize("name", READY)
def test_a_setting_of_the_page_has_as_many_words_as_the_command_wants(name: str) -> None:
    wanted = usage(COMMANDS / name)
    assert wanted[-2:] == ["ID", "PURPOSE"]
    settings = re.findall(rf"^pgseal\.key_command = '[^']*/{name} ([^']+)'$", PAGE.read_text(), re.MULTILINE)
    assert settings
    for setting in settings:
        assert len(setting.split()) == len(wanted) and setting.endswith(" %k %p")


@pytest.mark.parametrize("name", READY)
def test_the_head_of_the_script_shows_a_setting_that_fits(name: str) -> None:
    (setting,) = re.findall(rf"pgseal\.key_command = '[^']*/{name} ([^']+)'", (COMMANDS / name).read_text())
    assert len(setting.split()) == len(usage(COMMANDS / name)) and setting.endswith(" %k %p")


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_says_its_arguments(name: str) -> None:
    rows = dict(re.findall(r"^\| `([\w-]+)` \| `([^`]+)` \|", (COMMANDS / "README.md").read_text(), re.MULTILINE))
    words = " ".join(usage(COMMANDS / name))
    assert rows[name] == re.sub("ID PURPOSE$", "%k %p", words)
    assert set(rows) == set(NAMES)
