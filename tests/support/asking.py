"""The same questions to several sessions at once, and the answers beside a judgement of `support.judging`.

    answers = ask_all(sessions, ["acme"])               by session and tenant; tenant None asks for everybody
    assert_as_judged(judgement, answers["serial"])
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from psycopg.rows import dict_row

from support.judging import Record
from support.sealing import Session

LINE = """SELECT verdict, history, node, entries, first_sealed_at::text, last_sealed_at::text, findings, findings_new,
                 findings_before_window, basis FROM {}"""
LINES = LINE.format("seal.verify_history(%s, 'h')")
SINCE = LINE.format("seal.verify_since_checkpoint('h')")
FINDINGS = "SELECT * FROM seal.findings(%s, 'h')"
OF_RECORDS = ("configuration_altered", "checkpoint_altered")
JUDGED = ("chain", "position", "last_position", "kind", "row_key", "expected", "found", "detail")


@dataclass(frozen=True)
class Answer:
    line: Record
    findings: list[Record]
    basis: str = field(compare=False)
    """A standby's is another one."""

    @property
    def of_entries(self) -> list[Record]:
        """The findings but for those about the table itself and about the checkpoint."""
        return [finding for finding in self.findings if finding["kind"] not in OF_RECORDS]

    @property
    def rests(self) -> bool:
        """Whether it rests on a checkpoint."""
        return self.basis.startswith("checkpoint of ")


Answers = dict[str | None, Answer]


def ask(session: Session, tenant: str | None) -> Answer:
    with session.cursor(row_factory=dict_row) as cursor:
        (line,) = cursor.execute(LINES, [tenant]).fetchall()
        findings = cursor.execute(FINDINGS, [tenant]).fetchall()
    return Answer(line, findings, line.pop("basis"))


def ask_since(session: Session) -> Answer:
    """What is new since the checkpoint; there is no list of findings for that."""
    with session.cursor(row_factory=dict_row) as cursor:
        (line,) = cursor.execute(SINCE.encode()).fetchall()
    return Answer(line, [], line.pop("basis"))


def ask_all(sessions: Mapping[str, Session], tenants: Sequence[str]) -> dict[str, Answers]:
    """Everybody's answer and those of the tenants, from each session."""

    def answers(session: Session) -> Answers:
        return {tenant: ask(session, tenant) for tenant in (None, *tenants)}

    with ThreadPoolExecutor(len(sessions)) as pool:
        return dict(zip(sessions, pool.map(answers, sessions.values()), strict=True))


def judged(finding: Mapping[str, Any]) -> tuple[Any, ...]:
    """What the judge says of a finding, and the server must say too."""
    return tuple(json.dumps(finding[name], sort_keys=True) for name in JUDGED)


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


def assert_resting(answer: Answer, expected: Record) -> None:
    """The answer of a verification that may rest on a checkpoint: nothing that the judge does not expect, and all that
    is needed."""
    found = Counter(judged(finding) for finding in answer.of_entries)
    full = Counter(judged(finding) for finding in expected["findings"])
    needed = Counter(judged(finding) for finding in expected["findings"] if finding["needed"])
    assert needed <= found <= full
    assert_line(answer, expected)
    if expected["told_since"]:
        assert found


def assert_line(answer: Answer, expected: Record) -> None:
    """The verdict is what follows from the findings."""
    line = answer.line
    count = len(answer.findings)
    verdict = "tampered" if count else "intact" if expected["entries"] else "nothing_sealed"
    assert (line["verdict"], line["entries"]) == (verdict, expected["entries"])
    assert (line["findings"], line["findings_new"], line["findings_before_window"]) == (count, count, 0)
