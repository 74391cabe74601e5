"""The same report as JSON: its members are a promise, and it says what the text and verify_history say."""

from __future__ import annotations

from typing import Any

from support.database import Database
from support.reporting import report, section, whole
from support.windows import damage

MEMBERS = {
    "": "pgseal_report headline verdict meaning made server asked previous histories changes changes_complete detached"
    " witness not_covered anchor key mac",
    "made": "at by role took_ms",
    "server": "system_identifier database host postgresql pgseal standby",
    "asked": "tenant history since until entries_in_period",
    "previous": "made_at headline contained detail",
    "histories": "history id verdict entries entries_in_period nodes window_months window_start heads findings"
    " findings_new findings_before_window found basis next_step runs life unsigned_columns",
    "nodes": "node entries first_sealed_at last_sealed_at",
    "heads": "chain entry mac",
    "found": "kind chain position last_position in_window row_key expected found detail acknowledged",
    "acknowledged": "at who reason",
    "runs": "by_schedule by_hand last not_intact schedule time_zone missed missed_complete",
    "last": "run started finished how who verdict findings_new",
    "not_intact": "run started finished how who verdict findings_new",
    "life": "attached_at attached_by unsealed pruned pruned_ever holds holds_of_other_tenants keys signed_columns",
    "holds": "tenant since who reason",
    "keys": "id fingerprint first_epoch last_epoch",
    "changes": "at who kind history sentence",
}


def members(name: str, value: Any, found: dict[str, set[str]]) -> None:
    """The names of members of every object, by the member that it stands in."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict) and name not in ("row_key", "chains"):
            found.setdefault(name, set()).update(item)
            for inner, content in item.items():
                members(inner, content, found)


def test_the_members(sealed: Database) -> None:
    before = report(sealed)
    damage(sealed, "UPDATE h SET note = 'changed' WHERE id = 2")
    sealed.run("SELECT seal.acknowledge('an accident', 'h')")
    sealed.run("SELECT seal.hold('h', 'acme', 'case 1')")
    sealed.rows("SELECT * FROM seal.verify_and_prune('h')")
    found: dict[str, set[str]] = {}
    members("", whole(sealed, previous=before), found)
    assert found == {name: set(text.split()) for name, text in MEMBERS.items()}


def test_it_says_what_verify_history_says(sealed: Database) -> None:
    damage(sealed, "UPDATE h SET note = 'changed' WHERE id = 2")
    (line,) = sealed.records(
        "SELECT verdict, history, entries, findings, findings_new, findings_before_window, basis, next_step"
        " FROM seal.verify_history('acme')"
    )
    # A report rests on no checkpoint, where there is one or not.
    line["basis"] = line["basis"].replace("; there was no checkpoint to rest on", "")
    (history,) = whole(sealed, tenant="acme")["histories"]
    assert {name: history[name] for name in line} == line
    found = sealed.records(
        "SELECT kind, chain, position, last_position, in_window, row_key, expected, found, detail FROM seal.findings()"
    )
    assert [{name: one[name] for name in found[0]} for one in history["found"]] == found


def test_heads_are_whole(sealed: Database) -> None:
    (history,) = whole(sealed)["histories"]
    newest = "SELECT seal_chain AS chain, seal_seq AS entry, encode(seal_mac, 'hex') AS mac FROM h WHERE id = 5"
    rows = sealed.records(newest)
    assert history["heads"] == rows
    (shown,) = section(report(sealed), "Heads")
    assert shown == f"{rows[0]['chain']}: entry 5, mac {rows[0]['mac'][:16]}"


def test_what_was_asked(sealed: Database) -> None:
    asked = whole(sealed, tenant="acme", history="h", since="2020-01-01", until="2020-01-02")["asked"]
    assert asked == {
        "tenant": "acme",
        "history": "public.h",
        "since": "2020-01-01T00:00:00+00:00",
        "until": "2020-01-02T00:00:00+00:00",
        "entries_in_period": 0,
    }


def test_the_server(sealed: Database) -> None:
    identifier = sealed.value("SELECT system_identifier::text FROM pg_control_system()")
    server = whole(sealed)["server"]
    assert (server["system_identifier"], server["database"]) == (identifier, sealed.name)
    assert server["postgresql"] == sealed.value("SHOW server_version").split(" ")[0]
    assert (server["pgseal"], server["standby"]) == ("0.2.0", False)
