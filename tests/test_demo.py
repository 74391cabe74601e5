"""make demo, without a terminal: it tells what it should, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster import ROOT

KINDS = ["modified", "missing", "truncated", "forged", "modified", "modified"]


@pytest.fixture(scope="module")
def told() -> Iterator[str]:
    """What the demo prints. Its server lives in a folder that shows whether it has been removed."""
    servers = tempfile.mkdtemp(prefix="pgd-", dir="/tmp")
    Path(servers).chmod(0o711)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "PGSEAL_TMPDIR": servers, "DEMO_NO_APT": "1"}
    environment.pop("DEMO_KEEP", None)
    done = subprocess.run(
        [sys.executable, "-B", str(ROOT / "demo" / "demo.py")],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    Path(servers).rmdir()  # fails when the demo has left something there
    yield done.stdout


def test_the_history_is_intact_without_gap_or_fork(told: str) -> None:
    assert re.search(r"gaps +0 ", told) and re.search(r"forks +0 ", told)
    assert re.search(r"verdict +intact for [\d,]+ entries", told)


def test_each_of_the_six_changes_is_found_with_kind_and_position(told: str) -> None:
    found = re.findall(r"→ (\w+) +\S+ at \d+", told)
    assert found == KINDS
    assert "NOT FOUND" not in told
    assert re.search(r"verdict +tampered, 11 findings", told)  # and three triggers and two event triggers that are off


def test_everything_put_back_is_intact_again(told: str) -> None:
    assert re.search(r"undone .*: intact", told)


def test_a_window_prunes_nothing_of_a_young_history(told: str) -> None:
    assert re.search(r"public\.history is to be intact 24 months back", told)
    nothing = r"nothing was pruned: nothing that may go is older than"
    assert re.search(rf"intact, 0 of [\d,]+ entries would go\n +{nothing}", told)


def test_it_is_no_wall_of_log(told: str) -> None:
    assert len(told.splitlines()) < 80


def test_a_gzipped_part_of_the_log_is_read_before_the_newer_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gzip

    monkeypatch.syspath_prepend(ROOT / "demo")
    import packages

    monkeypatch.setattr(packages, "LOG", tmp_path / "dpkg.log")
    text = "2025-06-24 14:36:{:02} upgrade libssh2-1:amd64 1.10.0-3 1.10.0-3+b{}\n"
    (tmp_path / "dpkg.log.10.gz").write_bytes(gzip.compress(text.format(1, 1).encode()))
    (tmp_path / "dpkg.log.2.gz").write_bytes(gzip.compress(text.format(2, 2).encode()))
    (tmp_path / "dpkg.log.1").write_text(text.format(3, 3) + "no event\n")
    (tmp_path / "dpkg.log").write_text("2025-06-24 14:36:04 startup archives unpack\n")
    events = packages.read()
    assert [event.at[17:19] for event in events] == ["01", "02", "03", "04"]
    assert '"from": "1.10.0-3", "to": "1.10.0-3+b1"' in events[0].payload
    assert events[3].tenant == "unknown" and '"text": "archives unpack"' in events[3].payload
