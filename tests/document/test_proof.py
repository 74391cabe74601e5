"""Two proofs that need nothing of pgseal recompute every mac, and say which row was changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.database import Database
from support.proof import DOCUMENTS, psql, run_command, unequal_macs, verify

ENTRIES = 96

# As little as the type allows, of one entry → what the walk of the chain says, beside that the mac is another.
CHANGES = {
    "payload": ("payload = '{\"price\": 1.1, \"a\": [1e400, \"\\u0001\\ud834\\udd1e\\\\\\\\\"]}'", []),
    "tenant": ("tenant = 'acmf'", []),
    "tenant to NULL": ("tenant = NULL", []),
    "time": ("at = '2024-02-29 23:59:59.999998+05:30'", []),
    "note": ("note = note || ' '", []),
    "note to NULL": ("note = NULL", []),
    "sealed at": ("seal_at = seal_at + interval '1 microsecond'", []),
    "anchor": ("seal_anchor = seal_anchor + 1", []),
    "epoch": ("seal_epoch = 1", ["is of an older epoch than the one before it"]),
    "unknown epoch": ("seal_epoch = 3", ["next: is of an older epoch than the one before it"]),
    "previous mac": ("seal_prev = set_byte(seal_prev, 31, get_byte(seal_prev, 31) # 1)",
                     ["follows another entry than the one before it"]),
    "mac": ("seal_mac = set_byte(seal_mac, 0, get_byte(seal_mac, 0) # 128)",
            ["next: follows another entry than the one before it"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def victim(sealed: Database) -> tuple[str, int]:
    """An entry of epoch 2 in the middle of a chain, of tenant acme, with the first payload and the first time."""
    rows = sealed.rows("""
        SELECT seal_chain, seal_seq FROM history
         WHERE seal_epoch = 2 AND seal_seq > 13 AND seal_seq < 24 AND tenant = 'acme' AND payload ->> 'price' = '1.10'
           AND at > '2024-01-01' AND at < 'infinity'
         LIMIT 1""")
    return rows[0]


def tampering(change: str, victim: tuple[str, int]) -> str:
    chain, position = victim
    return f"""
        SET session_replication_role = replica; ALTER TABLE history DISABLE TRIGGER ALL;
        UPDATE history SET {change} WHERE seal_chain = '{chain}' AND seal_seq = {position};"""


@pytest.mark.parametrize("documents", DOCUMENTS)
def test_sql_finds_every_mac_equal(sealed: Database, documents: str) -> None:
    assert unequal_macs(sealed, documents, "SET TimeZone = 'Asia/Kathmandu';") == (ENTRIES, ENTRIES, "")


@pytest.mark.parametrize("documents", DOCUMENTS)
def test_python_finds_every_mac_equal(sealed: Database, tmp_path: Path, documents: str) -> None:
    code, lines = verify(sealed, tmp_path, documents)
    heads = sealed.rows("""SELECT seal_chain, count(*), max(seal_seq),
        (array_agg(encode(seal_mac, 'hex') ORDER BY seal_seq DESC))[1] FROM history GROUP BY 1 ORDER BY 1""")
    assert lines == [
        *(f"{chain}: {count} entries, the last at {last} with mac {mac}" for chain, count, last, mac in heads),
        f"{ENTRIES} entries in 4 chains, 0 faults",
    ]
    assert code == 0


def test_the_walk_in_sql(sealed: Database, victim: tuple[str, int]) -> None:
    walked = [line.split("|") for line in psql(sealed, "", "chains").splitlines()]
    assert [(line[1:3], line[4:]) for line in walked] == [(["24", "24"], ["0", "0"])] * 4
    removed = tampering("seal_mac = seal_mac", victim) + f"DELETE FROM history WHERE (seal_chain, seal_seq) = {victim};"
    walked = [line.split("|") for line in psql(sealed, removed, "chains").splitlines()]
    assert [line[0] for line in walked if line[5] != "0"] == [victim[0]]
    assert [(line[1], int(line[4])) for line in walked if line[4] != "0"] == [("23", 24 - victim[1])]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_found_in_its_row(sealed: Database, tmp_path: Path, victim: tuple[str, int], change: str) -> None:
    statement, of_the_chain = CHANGES[change]
    before = tampering(statement, victim)
    chain, position = victim
    assert unequal_macs(sealed, "server", before) == (ENTRIES, ENTRIES - 1, f"{chain} {position}")
    code, lines = verify(sealed, tmp_path, "server", before)
    expected = [f"{chain} {position}: the mac is not that of this row"]
    for sentence in of_the_chain:
        place = position + 1 if sentence.startswith("next: ") else position
        expected.append(f"{chain} {place}: {sentence.removeprefix('next: ')}")
    assert lines[4:] == [*expected, f"{ENTRIES} entries in 4 chains, {len(expected)} faults"]
    assert code == 1


def test_python_finds_what_is_missing(sealed: Database, tmp_path: Path, victim: tuple[str, int]) -> None:
    position = victim[1]
    remove = f"""SET session_replication_role = replica; ALTER TABLE history DISABLE TRIGGER ALL;
                 DELETE FROM history WHERE seal_seq = {position};"""
    code, lines = verify(sealed, tmp_path, "pgseal", remove)
    chains = [line.split(": ")[0] for line in lines[:4]]
    assert lines[4:-1] == [f"{chain} {position + 1}: position {position} should be here" for chain in chains]
    assert code == 1


def test_python_names_rows_that_pgseal_never_wrote(sealed: Database, tmp_path: Path) -> None:
    assert verify(sealed, tmp_path, "pgseal")[0] == 0
    export = tmp_path / "export.jsonl"
    lines = export.read_text("utf-8").split("\n")[:-1]
    last = json.loads(lines[-1])
    chain, position = last["chain"], last["position"]
    wrong = {
        "twice": (last, f"{chain} {position}: position {position + 1} should be here"),
        "forged": ({**last, "position": position + 1, "prev": last["mac"]},
                   f"{chain} {position + 1}: the mac is not that of this row"),
        "other chain": ({**last, "chain": "elsewhere", "position": 1, "prev": "00" * 32},
                        "elsewhere 1: the mac is not that of this row"),
        "no mac": ({**last, "position": position + 1, "prev": last["mac"], "mac": None},
                   f"{chain} {position + 1}: the mac is not that of this row"),
        "zero": ({**last, "position": 0}, f"{chain} 0: the mac is not that of this row"),
        "negative": ({**last, "position": -1}, f"{chain} -1: no seal that pgseal could have written"),
        "nowhere": ({**last, "position": None}, f"{chain} None: no seal that pgseal could have written"),
        "no chain": ({**last, "chain": None}, f"None {position}: no seal that pgseal could have written"),
        "no time": ({**last, "sealed_at": None}, f"{chain} {position}: no seal that pgseal could have written"),
    }  # fmt: skip
    for name, (row, sentence) in wrong.items():
        export.write_text("\n".join([*lines, json.dumps(row)]) + "\n", "utf-8")
        code, said = run_command(tmp_path, sealed.cluster.key or "")
        assert (name, code) == (name, 1)
        assert sentence in said, (name, said)


def test_python_finds_changed_records(sealed: Database, tmp_path: Path) -> None:
    changed = """UPDATE seal.epoch SET record = record || '{"baseline": true}' WHERE epoch = 2;"""
    code, lines = verify(sealed, tmp_path, "server", changed)
    assert code == 1
    assert lines[4:6] == ["epoch 2: its record was changed", "settings: the newest epoch is not the one in force"]
    assert lines[-1] == f"{ENTRIES} entries in 4 chains, {2 + ENTRIES // 2} faults"
    changed = "UPDATE seal.history SET window_months = 12;"
    assert verify(sealed, tmp_path, "server", changed)[1][4:-1] == ["settings: they were changed"]
    changed = "DELETE FROM seal.epoch WHERE epoch = 1;"
    assert verify(sealed, tmp_path, "server", changed)[1][4:6] == [
        "epoch 2: does not follow the one before it", "settings: the newest epoch is not the one in force",
    ]  # fmt: skip


def test_another_key_makes_no_mac_equal(sealed: Database, tmp_path: Path) -> None:
    verify(sealed, tmp_path, "pgseal")
    code, lines = run_command(tmp_path, "00" * 32)
    assert code == 1 and lines[-1] == f"{ENTRIES} entries in 4 chains, {ENTRIES + 3} faults"


def test_nothing_sealed_is_no_success(sealed: Database, tmp_path: Path) -> None:
    code, lines = verify(sealed, tmp_path, "server", "SET session_replication_role = replica;"
                         " ALTER TABLE history DISABLE TRIGGER ALL; DELETE FROM history;")  # fmt: skip
    assert (code, lines) == (2, ["0 entries in 0 chains, 0 faults"])
