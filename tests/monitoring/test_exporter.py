"""A real postgres_exporter with the sample queries: every metric arrives, with its type and the value of the view."""

from __future__ import annotations

import math

from support.database import Database
from support.monitoring import VIEWS, Exporter, declared, metric_names, record_run, samples, types
from support.refusal import refusal
from support.roles import Roles
from support.sealing import history

MOVING = "_seconds"


def test_every_metric_arrives(db: Database, roles: Roles) -> None:
    history(db)
    history(db, '"My History"')
    db.run("INSERT INTO h VALUES (1, 'x'), (2, 'x')")
    assert refusal(db, "INSERT INTO h (id, seal_seq) VALUES (3, 1)").state == "428C9"
    record_run(db, "h", "tampered", age="1 day", findings=5, new=3, before_window=1)
    with Exporter(db, roles.make("exporter", member_of="pg_monitor")) as exporter:
        text = exporter.text()
        found = samples(text)
        assert "level=error" not in exporter.log(), exporter.log()
    assert {name for name, _ in found} == metric_names()
    kinds = types(text)
    for query, view in VIEWS.items():
        for row in db.records(f"SELECT * FROM {view}"):
            labels = (row["database"], row.get("history"))
            for column, usage in declared(query).items():
                if usage == "LABEL":
                    continue
                name, expected = f"{query}_{column}", row[column]
                assert kinds[name] == usage.lower()
                value = found[name, labels]
                if expected is None:
                    assert math.isnan(value), name
                elif column.endswith(MOVING):
                    assert abs(value - expected) < 30, name
                elif column != "unanchored_chains":
                    # The worker may have anchored them meanwhile.
                    assert value == expected, name
    assert found["pgseal_history_run_findings_new", (db.name, "public.h")] == 3
    assert found["pgseal_history_last_verdict", (db.name, "public.h")] == 5
    assert found["pgseal_history_last_verdict", (db.name, 'public."My History"')] == 0
    assert found["pgseal_database_sealing_errors_input_total", (db.name, None)] == 1
    assert found["pgseal_database_entries_sealed_total", (db.name, None)] == 2


def test_the_next_scrape_has_the_news(db: Database, roles: Roles) -> None:
    history(db)
    with Exporter(db, roles.make("exporter", member_of="pg_monitor")) as exporter:
        entries = ("pgseal_database_entries_sealed_total", (db.name, None))
        assert exporter.scrape()[entries] == 0
        db.run("INSERT INTO h VALUES (1, 'x')")
        assert exporter.scrape()[entries] == 1


def test_without_the_grants_there_are_no_metrics(db: Database, roles: Roles) -> None:
    """What PgsealSilent is for."""
    history(db)
    with Exporter(db, roles.make("stranger")) as exporter:
        assert exporter.scrape() == {}
        assert "permission denied for schema seal" in exporter.log()
