"""Answers that rest on a checkpoint are as good as full ones, but for one thing that they may leave out.

The rule: what is wrong with entries that the checkpoint covers, and that were never the asking tenant's, need not be
shown to it. Everything that concerns the tenant must be, and everything since the checkpoint that a full verification
would show. The judge knows whose each entry was (test_full.py): an entry of the tenant that was changed, removed or
moved to another tenant, a row that stands for it and was not sealed like this, a finding about a position or a row
above what the checkpoint covers, or in a chain that it does not know: all these are needed. Beyond that an answer may
show what a full one shows, and nothing else.

A checkpoint that was changed, removed, or replaced by an older one is a finding by itself, and then everything is
read, as it is for a question about everybody.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.asking import Answer, Answers, ask_all, ask_since, assert_resting, assert_whole
from support.judging import Record, case
from support.mischief import Mischief, spoilt, with_records
from support.places import PATIENCE, Places, thorough
from support.stories import Story, stories, tell


def assert_since(judgement: Record, answers: Answers, since: Answer, *, is_full: bool) -> None:
    """Intact, and counting only what is new, or else the answer of a full verification."""
    (everybody,) = [answer for answer in judgement["answers"] if answer["tenant"] is None]
    if is_full or any(finding["since"] for finding in everybody["findings"]):
        assert not since.rests
    if since.rests:
        assert (since.line["verdict"], since.line["findings"]) == ("intact", 0)
        assert since.line["entries"] == judgement["since"]
    else:
        assert since.line == answers[None].line


@pytest.mark.timeout(PATIENCE)
def test_answers_from_a_checkpoint(here: Places) -> None:
    seen: Counter[str] = Counter()

    @thorough
    @given(story=stories(runs=True), crimes=st.lists(with_records(), min_size=4, max_size=8))
    def judged(story: Story, crimes: list[Mischief]) -> None:
        tale = tell(here.database, story)
        for crime in crimes:
            with spoilt(here.offender, crime):
                judgement = here.judge.of(case(here.database, tale, crime.tenants))
                answers = ask_all(here.askers, crime.tenants)
                since = {name: ask_since(session) for name, session in here.askers.items()}
            assert answers["parallel"] == answers["serial"]
            assert answers["standby"] == answers["serial"]
            assert since["parallel"] == since["standby"] == since["serial"]
            is_full = crime.loose or crime.record is not None
            for expected in judgement["answers"]:
                answer = answers["serial"][expected["tenant"]]
                kinds = [finding["kind"] for finding in answer.findings]
                assert kinds.count("checkpoint_altered") == (crime.record is not None)
                assert ("configuration_altered" in kinds) == crime.loose
                if is_full or expected["tenant"] is None:
                    assert not answer.rests
                    assert_whole(judgement, answer, expected)
                else:
                    assert_resting(answer, expected)
                seen.update(kinds, rests=answer.rests, spares=answer.rests and bool(expected["findings"]))
            assert_since(judgement, answers["serial"], since["serial"], is_full=is_full)
            seen.update(new=since["serial"].rests)

    judged()
    # Some answers rest, some of these though entries of others are not as they were.
    assert min(seen[what] for what in ("rests", "spares", "new", "checkpoint_altered")) > 0, seen
