"""Nodes of a cluster: servers with the same keys and names of their own, and logical replication between them.

    a, b = start_nodes(own_cluster, "a", "b")     the same keys, 1 and 2, in a folder of each server
    first, second = a.createdb(), b.createdb()
    publish(first); subscribe(second, first)      and waits until all tables are copied
    arrived(first, second)                        everything that the first has committed is applied on the second
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from support.cluster import Cluster, Settings
from support.database import Database
from support.ring import KeyFolder
from support.sealing import wait_for
from support.witnessing import AT_ONCE

HISTORY = "FOR TABLE h, seal.journal, seal.anchor"
REPLICATING: Settings = {**AT_ONCE, "wal_level": "logical", "max_wal_senders": 8, "max_replication_slots": 8}
ANSWER = "SELECT node, verdict, entries FROM seal.verify_history(history => 'h') ORDER BY node"
FINDINGS = "SELECT kind, chain, position, last_position, detail FROM seal.findings(history => 'h')"


def start_nodes(
    own_cluster: Callable[..., Cluster], *names: str, settings: Settings | None = None, **options: Any
) -> list[Cluster]:
    keys = [secrets.token_hex(32), secrets.token_hex(32)]
    servers = []
    for name in names:
        server = own_cluster({**REPLICATING, "pgseal.chain_name": name, **(settings or {})}, key=keys[0], **options)
        folder = KeyFolder(server)
        for number, secret in enumerate(keys, start=1):
            folder.make(number, secret)
        server.configure({"pgseal.key_file": f"{folder.path}/%k"}, restart=True)
        servers.append(server)
    return servers


def share(first: Database, second: Database, columns: str = "id int PRIMARY KEY, p text", options: str = "") -> None:
    """The table h, one history on both."""
    for db in (first, second):
        db.run(f"CREATE TABLE h ({columns})")
    first.run(f"SELECT seal.attach('h'{options})")
    history = first.value("SELECT history_id FROM seal.history")
    second.run(f"SELECT seal.attach('h'{options}, history_id => '{history}')")


def publish(db: Database, what: str = HISTORY) -> None:
    db.run(f"CREATE PUBLICATION p {what}")


def subscribe(db: Database, publisher: Database, options: str = "", *, name: str = "s") -> None:
    """Has the rows of a publisher come here, and waits until what is there already was copied."""
    create_subscription(db, publisher, options, name=name)
    wait_for(db, "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel")
    arrived(publisher, db)


def create_subscription(
    db: Database, publisher: Database, options: str = "", *, name: str = "s", publication: str = "p"
) -> None:
    source = f"host={publisher.cluster.sockets} port={publisher.cluster.port} user=postgres dbname={publisher.name}"
    options = f" WITH (slot_name = '{db.name}_{db.cluster.settings['pgseal.chain_name']}_{name}'{options})"
    db.run(f"CREATE SUBSCRIPTION {name} CONNECTION '{source}' PUBLICATION {publication}{options}")


def arrived(publisher: Database, subscriber: Database) -> None:
    """Waits until the subscriber has applied everything that the publisher has committed."""
    now = publisher.value("SELECT pg_current_wal_insert_lsn()")
    applied = """SELECT count(*) > 0 AND bool_and(active AND confirmed_flush_lsn >= %s) FROM pg_replication_slots
                  WHERE database = current_database() AND NOT temporary AND slot_name NOT LIKE 'pg\\_%%sync\\_%%'"""
    wait_for(publisher, applied, [now])


def answers(db: Database) -> list[tuple[Any, ...]]:
    return db.rows(ANSWER)


def assert_intact(db: Database, **entries: int) -> None:
    """One line for each node, intact, with so many entries; and not a single finding."""
    found = db.rows(FINDINGS)
    assert found == [], found
    assert answers(db) == [(node, "intact", count) for node, count in sorted(entries.items())]
