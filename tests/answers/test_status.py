"""The view seal.status and seal.check_setup: problems in words, each with what mends it."""

from __future__ import annotations

from support.database import Database
from support.servers import Servers

SEALED = "CREATE TABLE h (n int, tenant text); SELECT seal.attach('h', 'tenant', window_months => 24)"


def test_a_history_that_is_well(db: Database) -> None:
    db.run(f"{SEALED}; INSERT INTO h VALUES (1), (2), (3)")
    (line,) = db.records("SELECT * FROM seal.status")
    assert (line["history"], line["ok"], line["problem"]) == ("public.h", True, None)
    assert (line["chains"], line["entries"], line["key_id"], line["epoch"]) == (1, 3, "1", 1)
    assert line["window_months"] == 24
    assert "restart" in line["not_covered"]


def test_a_setup_that_is_well(db: Database) -> None:
    lines = db.records("SELECT * FROM seal.check_setup()")
    assert [line for line in lines if not line["ok"]] == []
    items = [line["item"] for line in lines]
    assert items[:5] == ["preload", "key", "chain name", "encoding", "shared memory"] and items.count("role") == 3
    assert all(line["problem"] and line["fix"] is None for line in lines)


def test_what_is_wrong_with_a_history_is_in_both(db: Database) -> None:
    db.run(f"{SEALED}; INSERT INTO h VALUES (1); ALTER TABLE h DISABLE TRIGGER zzz_pgseal_seal")
    (line,) = db.records("SELECT ok, problem FROM seal.status")
    assert line["ok"] is False and "missing, disabled or changed" in line["problem"]
    (line,) = db.records("SELECT * FROM seal.check_setup() WHERE NOT ok")
    assert line["item"] == "history" and line["problem"].startswith("public.h: ")
    assert [row[4] for row in db.rows(line["fix"])] == ["configuration_altered"]


def test_the_index_too(db: Database) -> None:
    db.run(f"{SEALED}; INSERT INTO h VALUES (1); DROP INDEX h_seal_chain_seal_seq_idx")
    problem = db.value("SELECT problem FROM seal.status")
    assert "unique index on (seal_chain, seal_seq)" in problem
    assert db.value("SELECT verdict FROM seal.verify_history()") == "tampered"


def test_a_missing_role_and_a_bad_chain_name(own_cluster: Servers) -> None:
    server = own_cluster({"pgseal.chain_name": "my.node"})
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal; DROP OWNED BY pgseal_operator; DROP ROLE pgseal_operator; CREATE TABLE h (n int)")
    wrong = {line["item"]: line for line in db.records("SELECT * FROM seal.check_setup() WHERE NOT ok")}
    assert set(wrong) == {"role", "chain name"}
    assert "CREATE ROLE pgseal_operator NOLOGIN" in wrong["role"]["fix"]
    assert "pgseal.chain_name" in wrong["chain name"]["fix"]


def test_nodes_of_other_names_have_lines_of_their_own(own_cluster: Servers) -> None:
    server = own_cluster({"pgseal.chain_name": "east"})
    db = server.createdb()
    db.run(f"CREATE EXTENSION pgseal; {SEALED}; INSERT INTO h VALUES (1, 'a'), (2, 'b')")
    db.close()
    server.configure({"pgseal.chain_name": "west"}, restart=True)
    db.run("INSERT INTO h VALUES (3, 'a')")
    rows = db.rows("SELECT node, verdict, entries FROM seal.verify_history() ORDER BY 1")
    assert rows == [("east", "intact", 2), ("west", "intact", 1)]
    assert db.rows("SELECT node, entries FROM seal.verify_history('b')") == [("east", 1)]
    nobody = db.rows("SELECT node, verdict, entries FROM seal.verify_history('nobody')")
    assert nobody == [("west", "nothing_sealed", 0)]
