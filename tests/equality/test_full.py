"""Serial, with two workers and on a standby: the same answer, and it is the model's.

Histories are random (several tenants, chains, epochs, savepoints, rollbacks), and so is what is done to them as a
superuser with triggers off. The judge is the slow model of crates/chain; it knows the key, the rows as they stand and
as they were sealed. For everybody and for tenants:

- what was not touched is intact, and only that: of no other rows does the model find every mac and every chain right;
- the findings are those of the locating pass of crates/chain over the same rows, to the last word;
- nobody is told that all is well when an entry of anybody's is gone or changed, or a row was put in that stands for
  whoever asks.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.asking import ask_all, assert_whole
from support.judging import case
from support.mischief import Mischief, mischief, spoilt
from support.places import PATIENCE, Places, thorough
from support.stories import Story, stories, tell

KINDS = {
    "modified", "forged", "missing", "duplicated", "wrong_predecessor", "truncated", "wrong_epoch", "unknown_column",
}  # fmt: skip


@pytest.mark.timeout(PATIENCE)
def test_all_answers_are_the_models(here: Places) -> None:
    seen: Counter[str] = Counter()

    @thorough
    @given(story=stories(runs=False), crimes=st.lists(mischief(), min_size=4, max_size=8))
    def judged(story: Story, crimes: list[Mischief]) -> None:
        tale = tell(here.database, story)
        for crime in crimes:
            with spoilt(here.offender, crime):
                judgement = here.judge.of(case(here.database, tale, crime.tenants))
                answers = ask_all(here.askers, crime.tenants)
            assert answers["parallel"] == answers["serial"]
            assert answers["standby"] == answers["serial"]
            for expected in judgement["answers"]:
                answer = answers["serial"][expected["tenant"]]
                assert (len(answer.findings) > len(answer.of_entries)) == crime.loose
                assert_whole(judgement, answer, expected)
                seen.update(finding["kind"] for finding in answer.findings)
            seen.update(cases=1, untouched=judgement["unchanged"])

    judged()
    assert KINDS <= set(seen), seen
    # Most cases have something to find.
    assert seen["cases"] / 2 > seen["untouched"] > 0, seen
