"""The SQL in the documentation runs: each page from top to bottom in one fresh database."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.cluster import ROOT, Cluster
from support.markdown import Block, script

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
ERROR = re.compile(r"^psql:<stdin>:(\d+): ERROR: +(.*)$", re.MULTILINE)


def problems(cluster: Cluster, page: Path) -> list[str]:
    """What went otherwise than the page says."""
    text, run = script(page)
    wrong = [f"line {block.last_line}: the block does not end with ; or a command" for block in run if is_open(block)]
    with cluster.database(extension=False) as database:
        done = cluster.psql(
            text, database.name, "postgres", "-f", "-", "-v", f"secret={cluster.key}", check=False, timeout=60
        )
    errors = {int(line): message for line, message in ERROR.findall(done.stderr)}
    for block in run:
        inside = {line: message for line, message in errors.items() if block.line <= line <= block.last_line}
        if block.error is None:
            wrong += [f"line {line}: {message}" for line, message in inside.items()]
        elif not (inside and block.error in inside[max(inside)]):
            wrong.append(f"line {block.line}: no error «{block.error}», but {inside or 'none'}")
    if done.returncode != 0 and not wrong:
        wrong.append(done.stderr)
    return wrong


def is_open(block: Block) -> bool:
    """Whether its last statement goes on in the next block."""
    code = [re.sub(r"\s+--\s.*$", "", line).rstrip() for line in block.text.split("\n")]
    code = [line for line in code if line and not line.startswith("--")]
    return bool(code) and not (
        code[-1].endswith(";") or re.match(r"\s*\\", code[-1]) or re.search(r"\\g\w*$", code[-1])
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_runs(cluster: Cluster, page: Path) -> None:
    assert problems(cluster, page) == []


def test_the_runner_sees_what_is_wrong(cluster: Cluster, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("""# Page
```sql
CREATE TABLE t (a int);
```
<!-- not run: there is no such thing -->
```sql
SELECT nowhere;
```
<!-- error: division by zero -->
```sql
SELECT 1;
SELECT 1 / 0;
```
<!-- error: division by zero -->
```sql
INSERT INTO t VALUES (1);
```
```sh
rm
```
```sql
SELECT a
FROM t -- ;
```
```sql
SELECT seventeen;
SELECT not reached;
```
""")
    assert problems(cluster, page) == [
        "line 23: the block does not end with ; or a command",
        "line 16: no error «division by zero», but none",
        'line 26: syntax error at or near "SELECT"',
    ]


def test_a_page_without_faults_passes(cluster: Cluster, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```sql\nCREATE TABLE t (a int); -- a table\n```\n\n```sql\nSELECT 1 AS one \\gset\nSELECT :one FROM t;\n```\n"
    )
    assert problems(cluster, page) == []


def test_there_is_sql_in_format_md() -> None:
    assert len(script(ROOT / "docs" / "format.md")[1]) >= 6
