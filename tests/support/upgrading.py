"""Two versions of PostgreSQL side by side: a cluster of the older one, and pg_upgrade to the version under test.

    old = older(env)                    PGSEAL_OLD_BINDIR says where the older version's programs are; create, start …
    new = upgrade(old, "--link")        stopped, both of them
    kept(db, place)                     all that pgseal and a history keep, as it must be afterwards
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from support.cluster import Cluster, ClusterError, Setting
from support.database import Database
from support.witnessing import AT_ONCE

# pg_upgrade refuses two clusters of which only one has checksums, and the default has changed with version 18.
INITDB = ("--data-checksums",)
PATIENCE = 600.0

# pgseal's tables, as pg_dump knows them.
OWN_TABLES = """SELECT c.oid::regclass::text FROM pg_extension, unnest(extconfig) own JOIN pg_class c ON c.oid = own
                 WHERE extname = 'pgseal' AND c.relkind = 'r' ORDER BY 1"""


def older(env: Mapping[str, str], settings: Mapping[str, Setting] | None = None) -> Cluster:
    """A cluster of the older version, not yet made."""
    cluster = Cluster({**AT_ONCE, **(settings or {})}, env=env, initdb_options=INITDB)
    cluster.bin = Path(os.environ["PGSEAL_OLD_BINDIR"])
    return cluster


def upgrade(old: Cluster, *options: str) -> Cluster:
    """A new cluster of the version under test with what the old one, which is stopped, has. Not started."""
    new = Cluster(AT_ONCE, env=old.env, key=old.key, initdb_options=INITDB)
    if new.owner:
        # pg_upgrade writes into the folder that it is called in.
        os.chown(new.home, new.owner.pw_uid, new.owner.pw_gid)
    new.create()
    try:
        new.run(
            "pg_upgrade", "-U", "postgres", "-b", old.bin, "-B", new.bin, "-d", old.data, "-D", new.data,
            "--socketdir", new.sockets, *options, timeout=PATIENCE,
        )  # fmt: skip
    except ClusterError as error:
        raise ClusterError(f"{error}\n{_logs(new)}") from None
    return new


def _logs(new: Cluster) -> str:
    """The ends of what pg_upgrade has left for whoever looks for the cause."""
    logs = sorted((new.data / "pg_upgrade_output.d").rglob("*.log"))
    return "\n".join(f"{log.name}:\n{log.read_text()[-3000:]}" for log in logs)


def kept(db: Database, place: str, *histories: str) -> dict[str, list[str]]:
    """Every row of pgseal's tables and of these histories, as text; anchors and journal of this place only."""
    return {table: _rows(db, table, place) for table in (*(name for (name,) in db.rows(OWN_TABLES)), *histories)}


def _rows(db: Database, table: str, place: str) -> list[str]:
    own = " WHERE chain = %s" if table in ("seal.anchor", "seal.journal") else ""
    return [text for (text,) in db.rows(f"SELECT t::text FROM {table} t{own} ORDER BY 1", [place] if own else None)]
