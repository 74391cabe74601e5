"""The view seal.status and seal.check_setup: problems in words, each with what mends it."""

from __future__ import annotations

from support.database import Database
from support.sealing import wait_for
from support.servers import Servers
from support.tampering import unguarded

SEALED = "CREATE TABLE h (n int, tenant text); SELECT seal.attach('h', 'tenant', window_months => 24)"


def test_a_history_that_is_well(db: Database) -> None:
    db.run(f"{SEALED}; INSERT INTO h VALUES (1), (2), (3)")
    (line,) = db.records("SELECT * FROM seal.status")
    assert (line["history"], line["ok"], line["problem"]) == ("public.h", True, None)
    assert (line["chains"], line["entries"], line["key_id"], line["epoch"]) == (1, 3, "1", 1)
    assert line["window_months"] == 24
    assert line["not_covered"].startswith("removal of entries of the last seconds before a restart; ")
    assert line["not_covered"].endswith("an older state of everything, without a witness")


def test_the_newest_anchor_is_in_the_status_of_every_history(db: Database) -> None:
    db.run(f"{SEALED}; CREATE TABLE g (n int); SELECT seal.attach('g'); INSERT INTO h VALUES (1), (2)")
    wait_for(db, "SELECT sum(unanchored) = 0 AND count(anchor) = 2 AND bool_and(worker = 'running') FROM seal.status")
    number, at = db.rows("SELECT number, at FROM seal.anchor ORDER BY number DESC LIMIT 1")[0]
    lines = db.rows("SELECT history, anchor, last_anchor, unanchored, worker FROM seal.status ORDER BY 1")
    assert lines == [("public.g", number, at, 0, "running"), ("public.h", number, at, 0, "running")]
    with db.connect(autocommit=False) as open_one, db.connect(autocommit=False) as next_one:
        # A second chain of h, of which there is nothing yet but the place in memory.
        open_one.execute("INSERT INTO h VALUES (3)")
        next_one.execute("INSERT INTO h VALUES (4)")
        assert db.rows("SELECT chains, entries FROM seal.status WHERE history = 'public.h'") == [(1, 2)]
        next_one.rollback()
        open_one.rollback()
    # Nothing of that is left to be anchored.
    wait_for(db, "SELECT sum(unanchored) = 0 FROM seal.status")


def test_a_setup_that_is_well(own_cluster: Servers) -> None:
    db = own_cluster({"pgseal.witness_command": "cat > /dev/null"}).createdb()
    db.run("CREATE EXTENSION pgseal")
    # The launcher starts when the server already answers.
    wait_for(db, "SELECT ok FROM seal.check_setup() WHERE item = 'anchor worker'")
    lines = db.records("SELECT * FROM seal.check_setup()")
    assert [line for line in lines if not line["ok"]] == []
    items = [line["item"] for line in lines]
    first = ["preload", "key", "key required", "chain name", "encoding", "shared memory", "anchor worker", "witness", "schedule"]
    assert items == [*first, "role", "role", "role"]
    assert all(line["problem"] and line["fix"] is None for line in lines)


def test_without_a_witness(db: Database) -> None:
    """It is said with what mends it, and it is no fault of a history."""
    db.run(f"{SEALED}; INSERT INTO h VALUES (1)")
    (line,) = db.records("SELECT * FROM seal.check_setup() WHERE NOT ok")
    assert line["item"] == "witness" and line["problem"].startswith("no anchor leaves the server")
    assert "pgseal.witness_command" in line["fix"] and "NOTIFY pgseal_anchor" in line["fix"]
    assert db.rows("SELECT ok FROM seal.status") == [(True,)]


def test_what_is_wrong_with_a_history_is_in_both(db: Database) -> None:
    db.run(f"{SEALED}; INSERT INTO h VALUES (1); {unguarded('ALTER TABLE h DISABLE TRIGGER zzz_pgseal_seal')}")
    (line,) = db.records("SELECT ok, problem FROM seal.status")
    assert line["ok"] is False and "missing, disabled or changed" in line["problem"]
    (line,) = db.records("SELECT * FROM seal.check_setup() WHERE NOT ok AND item <> 'witness'")
    assert line["item"] == "history" and line["problem"].startswith("public.h: ")
    assert [row[4] for row in db.rows(line["fix"])] == ["configuration_altered"]


def test_the_index_too(db: Database) -> None:
    db.run(f"{SEALED}; INSERT INTO h VALUES (1); {unguarded('DROP INDEX h_seal_chain_seal_seq_idx')}")
    problem = db.value("SELECT problem FROM seal.status")
    assert "unique index on (seal_chain, seal_seq)" in problem
    assert db.value("SELECT verdict FROM seal.verify_history()") == "tampered"


def test_a_missing_role_and_a_bad_chain_name(own_cluster: Servers) -> None:
    server = own_cluster({"pgseal.chain_name": "my.node"})
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal; DROP OWNED BY pgseal_operator; DROP ROLE pgseal_operator; CREATE TABLE h (n int)")
    wait_for(db, "SELECT ok FROM seal.check_setup() WHERE item = 'anchor worker'")
    wrong = {line["item"]: line for line in db.records("SELECT * FROM seal.check_setup() WHERE NOT ok")}
    assert set(wrong) == {"role", "chain name", "witness"}
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
