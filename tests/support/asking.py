"""The same questions to several sessions at once, and the answers beside a judgement of `support.judging`.

    answers = ask_all(sessions, ["acme"])               by session and tenant; tenant None asks for everybody
    assert_as_judged(judgement, answers["serial"])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from psycopg.rows import dict_row

from support.judging import Record
from support.sealing import Session

LINES = """SELECT verdict, history, node, entries, first_sealed_at::text, last_sealed_at::text, findings, findings_new,
                  findings_before_window FROM seal.verify_history(%s, 'h')"""
FINDINGS = "SELECT * FROM seal.findings(%s, 'h')"
JUDGED = ("chain", "position", "last_position", "kind", "row_key", "expected", "found", "detail")


@dataclass(frozen=True)
class Answer:
    lines: list[Record]
    findings: list[Record]

    @property
    def of_entries(self) -> list[Record]:
        """The findings but for those about the table itself."""
        return [finding for finding in self.findings if finding["kind"] != "configuration_altered"]


Answers = dict[str | None, Answer]


def ask(session: Session, tenant: str | None) -> Answer:
    with session.cursor(row_factory=dict_row) as cursor:
        lines = cursor.execute(LINES, [tenant]).fetchall()
        return Answer(lines, cursor.execute(FINDINGS, [tenant]).fetchall())


def ask_all(sessions: Mapping[str, Session], tenants: Sequence[str]) -> dict[str, Answers]:
    """Everybody's answer and those of the tenants, from each session."""

    def answers(session: Session) -> Answers:
        return {tenant: ask(session, tenant) for tenant in (None, *tenants)}

    with ThreadPoolExecutor(len(sessions)) as pool:
        return dict(zip(sessions, pool.map(answers, sessions.values()), strict=True))


def judged(finding: Mapping[str, Any]) -> tuple[Any, ...]:
    """What the judge says of a finding, and the server must say too."""
    return tuple(finding[name] for name in JUDGED)


def assert_whole(judgement: Record, answer: Answer, expected: Record) -> None:
    """The answer of a full verification: exactly what the judge expects."""
    found = [judged(finding) for finding in answer.of_entries]
    assert found == [judged(finding) for finding in expected["findings"]]
    assert not [finding for finding in expected["findings"] if finding["names_another"]]
    assert_line(answer, expected)
    assert judgement["right"] == judgement["unchanged"]
    if judgement["unchanged"]:
        assert found == []
    if expected["told"]:
        assert expected["verdict"] == "tampered"


def assert_line(answer: Answer, expected: Record) -> None:
    """One line, with the verdict that follows from the findings."""
    (line,) = answer.lines
    count = len(answer.findings)
    verdict = "tampered" if count else "intact" if expected["entries"] else "nothing_sealed"
    assert (line["verdict"], line["entries"]) == (verdict, expected["entries"])
    assert (line["findings"], line["findings_new"], line["findings_before_window"]) == (count, count, 0)
