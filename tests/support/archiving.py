"""A server with an archive of its write-ahead log, and recoveries from it to a moment of the past.

    archive = Archive()                                  a folder that every server of this machine can write
    primary = own_cluster({**archive.settings, …})
    backup = primary.basebackup(standby=False)           not started
    archive.complete(db)                                 returns when all that was written is there
    recovered(own_cluster, backup, archive, recovery_target_name="before")

What is recovered archives too, as a server that goes on in production would: so two recoveries from one backup never
get the same timeline.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from support.cluster import Cluster, Setting, Settings, server_user
from support.database import Database
from support.sealing import wait_for
from support.servers import Servers


class Archive:
    """A folder with finished files of the log and with histories of timelines."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="pgs-archive-", dir="/tmp"))
        owner = server_user()
        if owner:
            shutil.chown(self.path, owner.pw_uid, owner.pw_gid)

    @property
    def settings(self) -> Settings:
        return {
            "wal_level": "replica",
            "max_wal_senders": 4,
            "archive_mode": "on",
            "archive_command": f"test ! -f {self.path}/%f && cp %p {self.path}/%f",
            "restore_command": f"cp {self.path}/%f %p",
        }

    def complete(self, db: Database) -> None:
        """Returns when everything that the server of `db` has written is in the archive."""
        last = db.value("SELECT pg_walfile_name(pg_switch_wal())")
        wait_for(db, "SELECT coalesce(last_archived_wal, '') >= %s FROM pg_stat_archiver", [last])

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def recovered(servers: Servers, backup: Cluster, **target: Setting) -> Cluster:
    """Another server from this backup, recovering to a target as soon as it runs; the backup stays as it is."""
    copy = backup.copy({**target, "recovery_target_timeline": "1"})
    signal = copy.data / "recovery.signal"
    signal.touch()
    copy.give(signal)
    return servers.adopt(copy)
