"""pgrx-config: the sample names every setting with its default, and the example command keeps its promises."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from support.cluster import ROOT
from support.database import Database

SAMPLE = (ROOT / "pgrx-config" / "pgseal.conf.sample").read_text()
# Shown by an example, since there is no default.
EXAMPLES = {f"pgseal.mail_{name}" for name in ["server", "credentials_file", "tls_ca_file", "cc"]}
EXAMPLES |= {"pgseal.key_state_file"}
COMMAND = ROOT / "pgrx-config" / "key-commands" / "key-from-file"


def test_the_sample_names_exactly_the_settings_that_there_are(db: Database) -> None:
    rows = db.rows("SELECT name FROM pg_settings WHERE name LIKE 'pgseal.%'")
    hidden = {"pgseal.key"}  # a secret: not shown in the view, even to a superuser
    assert set(re.findall(r"^#?(pgseal\.\w+) =", SAMPLE, re.MULTILINE)) == {name for (name,) in rows} | hidden


def test_what_is_commented_out_is_the_default(db: Database) -> None:
    commented = dict(re.findall(r"^#(pgseal\.\w+) = (\S+)$", SAMPLE, re.MULTILINE))
    del commented["pgseal.key"]
    for name, shown in commented.items():
        default, unit = db.rows("SELECT boot_val, coalesce(unit, '') FROM pg_settings WHERE name = %s", [name])[0]
        if name in EXAMPLES:
            assert not default and shown != "''", name
            continue
        assert in_milliseconds(shown.strip("'")) == in_milliseconds(f"{default or ''}{unit}"), name


def in_milliseconds(value: str) -> str:
    """A time as a number of milliseconds, everything else as it is."""
    time = re.fullmatch(r"([0-9]+)(ms|s|min|h)", value)
    return f"{int(time[1]) * {'ms': 1, 's': 1_000, 'min': 60_000, 'h': 3_600_000}[time[2]]} ms" if time else value


def test_a_reload_is_enough_for_those_below_the_sentence_that_says_so(db: Database) -> None:
    rows = db.rows("SELECT name FROM pg_settings WHERE name LIKE 'pgseal.%' AND context = 'sighup'")
    above, sentence, below = SAMPLE.partition("Everything from here on can be changed by a reload")
    assert sentence and set(re.findall(r"^#?(pgseal\.\w+) =", below, re.MULTILINE)) == {name for (name,) in rows}
    assert "pgseal.anchor_interval" not in above


def test_the_example_command_prints_a_private_file_only(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("ab" * 32 + "\n")
    secret.chmod(0o600)
    assert run(secret).stdout == "ab" * 32 + "\n"
    secret.chmod(0o640)
    refused = run(secret)
    assert refused.returncode != 0 and refused.stdout == "" and "chmod 600" in refused.stderr
    assert "ab" * 4 not in refused.stderr
    missing = run(tmp_path / "nowhere")
    assert missing.returncode != 0 and "no file" in missing.stderr


def run(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, path], capture_output=True, text=True, timeout=10)
