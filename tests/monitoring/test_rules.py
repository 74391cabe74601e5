"""The sample rules, judged by Prometheus' own checker: each fires when it should, and only then."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.monitoring import RULES, metric_names, rules, tool

DAY = 86_400
UNKNOWN = "NaN " * 121
DATABASE = "pgseal_database_"
HISTORY = "pgseal_history_"

# Two hours, a sample each minute, of a server that is well.
WELL = {
    **{f"{DATABASE}{name}": "1x120" for name in ("up", "key_usable", "scheduler_up", "worker_ok")},
    **{f"{DATABASE}{name}": "0x120" for name in ("in_recovery", "running_seconds", "anchor_wait_seconds")},
    **{f"{DATABASE}{name}": "0x120" for name in ("unanchored_chains", "alerts_waiting", "alerts_failed")},
    **{f"{DATABASE}{name}": "100x120" for name in ("histories", "remembered_chains")},
    **{f"{DATABASE}{name}_total": "0x120" for name in ("sealing_errors", "sealing_errors_input", "chains_closed")},
    f"{DATABASE}chain_waits_total": "0+60x120",
    f"{DATABASE}next_run_seconds": "7200-60x120",
    f"{DATABASE}anchor_age_seconds": "0+60x120",
    f"{DATABASE}remembered_chains_limit": "16384x120",
    f"{HISTORY}key_usable": "1x120",
    f"{HISTORY}verified_age_seconds": "80000+60x120",
    f"{HISTORY}run_age_seconds": "80000+60x120",
    f"{HISTORY}last_verdict": "1x120",
    f"{HISTORY}run_findings_new": "0x120",
}

# What is otherwise (None: does not arrive), and all alerts that fire after two hours.
CASES: dict[str, tuple[dict[str, str | None], set[str]]] = {
    "well": ({}, set()),
    "nothing arrives": (dict.fromkeys(WELL), {"PgsealSilent"}),
    "pgseal has just gone": ({name: values.replace("x120", "x112") for name, values in WELL.items()}, set()),
    "no key": ({f"{DATABASE}key_usable": "0x120", f"{HISTORY}key_usable": "0x120"}, {"PgsealKeyNotUsable"}),
    "no key, but nothing attached": ({f"{DATABASE}key_usable": "0x120", f"{DATABASE}histories": "0x120"}, set()),
    "another key": ({f"{HISTORY}key_usable": "0x120"}, {"PgsealKeyNotUsable"}),
    "new findings": ({f"{HISTORY}run_findings_new": "0x119 2"}, {"PgsealNewFindings"}),
    "tampered": (
        {f"{HISTORY}last_verdict": "5x120", f"{HISTORY}run_findings_new": "1x120"},
        {"PgsealNewFindings", "PgsealVerdict"},
    ),
    "acknowledged": ({f"{HISTORY}last_verdict": "5x120"}, {"PgsealVerdict"}),
    "unverifiable": ({f"{HISTORY}last_verdict": "4x120"}, {"PgsealVerdict"}),
    "in window": ({f"{HISTORY}last_verdict": "2x120"}, set()),
    "stopped for three days": ({f"{HISTORY}verified_age_seconds": f"{3 * DAY}+60x120"}, {"PgsealNotVerified"}),
    "stopped for almost three days": ({f"{HISTORY}verified_age_seconds": f"{3 * DAY - 7500}+60x120"}, set()),
    "never verified": (
        {
            f"{HISTORY}verified_age_seconds": f"{4 * DAY}+60x120",
            f"{HISTORY}run_age_seconds": UNKNOWN,
            f"{HISTORY}last_verdict": "0x120",
        },
        {"PgsealNotVerified"},
    ),
    "no entries yet": ({f"{HISTORY}verified_age_seconds": f"{9 * DAY}x120", f"{HISTORY}last_verdict": "3x120"}, set()),
    "no entries, and the runs stopped": (
        {
            f"{HISTORY}verified_age_seconds": f"{9 * DAY}x120",
            f"{HISTORY}run_age_seconds": f"{8 * DAY}x120",
            f"{HISTORY}last_verdict": "3x120",
        },
        {"PgsealNotVerified"},
    ),
    "the clock was set back": ({f"{HISTORY}verified_age_seconds": f"-{DAY}x120"}, {"PgsealNotVerified"}),
    "no launcher": ({f"{DATABASE}scheduler_up": "0x120"}, {"PgsealSchedulerDown"}),
    "a standby": (
        {
            f"{DATABASE}scheduler_up": "0x120", f"{DATABASE}in_recovery": "1x120",
            f"{DATABASE}anchor_age_seconds": UNKNOWN, f"{DATABASE}next_run_seconds": UNKNOWN,
        },
        set(),
    ),
    "a run is overdue": ({f"{DATABASE}next_run_seconds": "0-60x120"}, {"PgsealRunOverdue"}),
    "overdue, but at work": (
        {f"{DATABASE}next_run_seconds": "0-60x120", f"{DATABASE}running_seconds": "0+60x120"},
        set(),
    ),
    "nothing scheduled": ({f"{DATABASE}next_run_seconds": UNKNOWN}, set()),
    "a run without end": ({f"{DATABASE}running_seconds": "43000+60x120"}, {"PgsealRunTakesLong"}),
    "no anchors": ({f"{DATABASE}worker_ok": "0x120"}, {"PgsealWorkerTrouble"}),
    "a hiccup of the anchors": ({f"{DATABASE}worker_ok": "1x116 0x4"}, set()),
    "a prepared transaction": ({f"{DATABASE}unanchored_chains": "1x120"}, {"PgsealNotAnchored"}),
    "a change after a quiet night": ({f"{DATABASE}unanchored_chains": "0x118 1x2"}, set()),
    "busy": ({f"{DATABASE}unanchored_chains": "3x120", f"{DATABASE}anchor_age_seconds": "5x120"}, set()),
    "a change waits": ({f"{DATABASE}anchor_wait_seconds": "0+60x120"}, {"PgsealNotAnchored"}),
    "inserts fail": ({f"{DATABASE}sealing_errors_total": "0x115 0+1x4"}, {"PgsealInsertsRefused"}),
    "inserts failed yesterday": ({f"{DATABASE}sealing_errors_total": "500x120"}, set()),
    "an application is wrong": (
        {f"{DATABASE}sealing_errors_total": "0+1x120", f"{DATABASE}sealing_errors_input_total": "0+1x120"},
        {"PgsealInputRefused"},
    ),
    "both": (
        {f"{DATABASE}sealing_errors_total": "0+2x120", f"{DATABASE}sealing_errors_input_total": "0+1x120"},
        {"PgsealInputRefused", "PgsealInsertsRefused"},
    ),
    "a closed chain": ({f"{DATABASE}chains_closed_total": "0x90 1x29"}, {"PgsealChainClosed"}),
    "writers queue": ({f"{DATABASE}chain_waits_total": "0+900x120"}, {"PgsealWritersWait"}),
    "the mail server is down": ({f"{DATABASE}alerts_waiting": "1x120"}, {"PgsealAlarmUndelivered"}),
    "the mail server is slow": ({f"{DATABASE}alerts_waiting": "0x80 1x39"}, set()),
    "given up": ({f"{DATABASE}alerts_failed": "4x60 5x59"}, {"PgsealAlarmGivenUp"}),
    "given up long ago": ({f"{DATABASE}alerts_failed": "5x120"}, set()),
    "no mail is configured": ({f"{DATABASE}alerts_waiting": UNKNOWN, f"{DATABASE}alerts_failed": UNKNOWN}, set()),
    "memory is almost full": ({f"{DATABASE}remembered_chains": "16000x120"}, {"PgsealMemoryFull"}),
}


def series(overrides: dict[str, str | None]) -> list[dict[str, str]]:
    labels = {DATABASE: '{database="app"}', HISTORY: '{database="app",history="public.h"}'}
    return [
        {"series": name + labels[DATABASE if name.startswith(DATABASE) else HISTORY], "values": values}
        for name, values in {**WELL, **overrides}.items()
        if values is not None
    ]


def case(overrides: dict[str, str | None], alerts: set[str]) -> dict[str, Any]:
    """All alerts that fire at the end are exactly these."""
    fires = {"expr": "group by (alertname) (ALERTS{alertstate='firing'})", "eval_time": "2h"}
    firing = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(alerts)]
    return {
        "interval": "1m",
        "input_series": series(overrides),
        "promql_expr_test": [{**fires, "exp_samples": firing}],
    }


def promtool(folder: Path, tests: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    path = folder / "tests.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    return subprocess.run([tool("promtool"), "test", "rules", path], capture_output=True, text=True, timeout=120)


def test_the_file_is_well_formed() -> None:
    done = subprocess.run([tool("promtool"), "check", "rules", RULES], capture_output=True, text=True, timeout=60)
    assert (done.returncode, f"SUCCESS: {len(rules())} rules found" in done.stdout) == (0, True), done


def test_the_rules_name_only_metrics_that_there_are() -> None:
    named = set(re.findall(r"pgseal_\w+", " ".join(rule["expr"] for rule in rules())))
    assert named <= metric_names()
    assert set(WELL) == named


def test_every_rule_has_a_case_in_which_it_fires() -> None:
    assert {alert for _, alerts in CASES.values() for alert in alerts} == {rule["alert"] for rule in rules()}


@pytest.mark.parametrize("name", CASES)
def test_exactly_these_alerts_fire(tmp_path: Path, name: str) -> None:
    done = promtool(tmp_path, [case(*CASES[name])])
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_checker_sees_a_rule_that_does_not_fire(tmp_path: Path) -> None:
    done = promtool(tmp_path, [case({}, {"PgsealNewFindings"})])
    assert done.returncode == 1 and "PgsealNewFindings" in done.stdout + done.stderr


def test_a_message_names_the_history(tmp_path: Path) -> None:
    (rule,) = [rule for rule in rules() if rule["alert"] == "PgsealNewFindings"]
    expected = {
        "exp_labels": {"database": "app", "history": "public.h", "severity": "critical"},
        "exp_annotations": {
            "summary": "2 new findings in public.h of app",
            "description": rule["annotations"]["description"],
        },
    }
    firing = {"alertname": rule["alert"], "eval_time": "2h", "exp_alerts": [expected]}
    overrides: dict[str, str | None] = {f"{HISTORY}run_findings_new": "2x120"}
    done = promtool(tmp_path, [{"interval": "1m", "input_series": series(overrides), "alert_rule_test": [firing]}])
    assert done.returncode == 0, done.stdout + done.stderr
