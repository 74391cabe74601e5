"""Servers whose keys lie in a folder, one file for each id, so that there is a next one to rotate to."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.cluster import Cluster, Settings

if TYPE_CHECKING:
    from collections.abc import Callable


class KeyFolder:
    """The keys of one server: `server.home/keys/1`, `2` …"""

    def __init__(self, server: Cluster) -> None:
        self.server = server
        self.path = server.home / "keys"
        self.path.mkdir(exist_ok=True)
        server.give(self.path)

    def file(self, number: int) -> Path:
        return self.path / str(number)

    def make(self, number: int, secret: str | None = None) -> str:
        """A new secret for this id, or this one."""
        secret = secret or secrets.token_hex(32)
        self.server.write_key(secret, self.file(number))
        return secret

    def hide(self, number: int) -> None:
        self.file(number).rename(self.path / f"hidden-{number}")

    def wait_until_kept(self, number: int) -> None:
        """Until the server's next start would fetch this key."""
        kept, deadline = self.server.data / "pgseal.key_id", time.monotonic() + 30
        while not kept.exists() or kept.read_text().strip() != str(number):
            assert time.monotonic() < deadline, f"the id of the key in force is not kept as {number}"
            time.sleep(0.05)

    def bring_back(self, number: int) -> None:
        (self.path / f"hidden-{number}").rename(self.file(number))


def with_ring(
    own_cluster: Callable[..., Cluster], settings: Settings | None = None, **options: Any
) -> tuple[Cluster, KeyFolder]:
    """A server of its own that fetches its keys from a folder which has keys 1 and 2."""
    server = own_cluster({"pgseal.anchor_interval": "200ms", **(settings or {})}, **options)
    keys = KeyFolder(server)
    keys.make(1, server.key)
    keys.make(2)
    server.configure({"pgseal.key_file": f"{keys.path}/%k"}, restart=True)
    return server, keys
