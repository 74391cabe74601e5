"""Those that are asked for equal answers really work in different ways."""

from __future__ import annotations

import re

import pytest

from support.places import Places
from support.refusal import notices
from support.sealing import Session, run, value
from support.stories import BEGINNING, Story, tell

EXPLAIN = ("log_analyze = on", "log_nested_statements = on", "log_level = notice", "log_min_duration = 0")


def workers(session: Session) -> list[str]:
    """How many workers each query of the unordered pass had."""
    run(session, "LOAD 'auto_explain'", *(f"SET auto_explain.{setting}" for setting in EXPLAIN))
    with notices(session) as heard:
        verdict = value(session, "SELECT verdict FROM seal.verify_history(history => 'h')")
    run(session, "SET auto_explain.log_min_duration = -1")
    assert verdict == "intact"
    plans = [notice.message for notice in heard if "seal.audit" in notice.message]
    assert len(plans) == 1
    return re.findall(r"Workers Launched: (\d+)", plans[0])


@pytest.mark.parametrize("partitioned", [False, True])
def test_serial_parallel_and_on_a_standby(here: Places, partitioned: bool) -> None:
    tell(here.database, Story(partitioned, BEGINNING))
    run(here.offender, "CREATE TABLE replayed ()", "DROP TABLE replayed")
    assert {name: workers(session) for name, session in here.askers.items()} == {
        "serial": [],
        "parallel": ["2"],
        "standby": [],
    }
    recovering = {name: value(session, "SELECT pg_is_in_recovery()") for name, session in here.askers.items()}
    assert recovering == {"serial": False, "parallel": False, "standby": True}
