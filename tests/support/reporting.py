"""Reports as tests read them: by the labels of a text, by the members of JSON.

    text = report(db, previous=earlier)         as text
    section(text, "Findings")                   the lines under a label
    whole(db, tenant="acme")                    as JSON, read
    masked(text)                                without what differs from run to run
"""

from __future__ import annotations

import json
import re
from typing import Any

import psycopg

from support.database import Database

Session = Database | psycopg.Connection[Any]

LABEL = 13
MASKS = [
    (r"pgseal-anchor 1 .*", "«line»"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", "«time»"),
    (r"\d{4}-\d\d-\d\d [\d:]{8} UTC", "«time»"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "«id»"),
    (r"\b[0-9a-f]{64}\b", "«mac»"),
    (r"\b[0-9a-f]{16}\b", "«short»"),
    (r"(?<=main\.)[0-9a-f]{8}", "«tag»"),
    (r"took \d+\.\d s", "took «while»"),
    (r"identifier \d+, database \S+ on \S+, PostgreSQL [\d.]+", "identifier «number», database «name»"),
    (r"anchor \d+ of", "anchor «n» of"),
]


def ask(session: Session, **arguments: Any) -> str:
    """The answer of seal.report with these arguments."""
    connection = session.connection if isinstance(session, Database) else session
    given = ", ".join(f"{name} => %({name})s" for name in arguments)
    rows = connection.execute(f"SELECT seal.report({given})".encode(), arguments).fetchall()
    assert len(rows) == 1
    return str(rows[0][0])


def report(session: Session, **arguments: Any) -> str:
    """As text, which nobody could take for another verdict than its first line's."""
    text = ask(session, **arguments)
    assert text.startswith("PGSEAL REPORT: ")
    return text


def whole(session: Session, **arguments: Any) -> dict[str, Any]:
    """As JSON."""
    read = json.loads(ask(session, format="json", **arguments))
    assert isinstance(read, dict) and read["pgseal_report"] == 1
    return read


def headline(text: str) -> str:
    return text.split("\n", 1)[0].removeprefix("PGSEAL REPORT: ")


def section(text: str, label: str) -> list[str]:
    """What stands under a label, line by line; empty where the label is not there."""
    found: list[str] = []
    inside = False
    for line in text.split("\n"):
        begin = line[:LABEL].strip()
        inside = begin == label or (inside and not begin and bool(line))
        if inside:
            found.append(line[LABEL:])
    return found


def masked(text: str) -> str:
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text)
    return text


def checked(session: Session, text: str) -> dict[str, Any]:
    """The answer of seal.check_report."""
    connection = session.connection if isinstance(session, Database) else session
    columns = ("authentic", "contained", "detail", "next_step")
    (row,) = connection.execute(f"SELECT {', '.join(columns)} FROM seal.check_report(%s)".encode(), [text]).fetchall()
    return dict(zip(columns, row, strict=True))
