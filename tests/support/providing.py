"""Libraries of C that give pgseal its key: compiled for the server under test, and installed nowhere."""

from __future__ import annotations

import hashlib
import hmac
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.cluster import ROOT, Cluster, bindir
from support.servers import assert_no_alarms

HEADERS = ROOT / "include"
WARNINGS = ["-Wall", "-Wextra", "-Werror"]


def secret_of(key_id: str, purpose: str = "sign", size: int = 32) -> bytes:
    """What testprovider.c gives."""
    return bytes((3 * ord(key_id[0]) + 7 * place + (purpose == "verify")) % 256 for place in range(size))


def fingerprint_of(secret: bytes) -> str:
    return hmac.digest(secret, b"pgseal fingerprint", hashlib.sha256)[:8].hex()


def asked(log: str) -> list[str]:
    """What testprovider.c was asked, and by whom, as a log has it."""
    asking = "testprovider was asked by "
    return [line.partition(asking)[2] for line in log.splitlines() if asking in line]


@contextmanager
def provided_server() -> Iterator[Cluster]:
    """A server that is not yet started, without any source of a key; its log must not show testprovider's."""
    server = Cluster({"pgseal.require_key": False}, key=secret_of("1").hex())
    try:
        server.create()
        del server.settings["pgseal.key_file"]
        yield server
        assert_no_alarms(server)
    finally:
        server.destroy()


def compiled(server: Cluster, name: str, source: str) -> str:
    """The path of a library with this source, in the server's folder, as shared_preload_libraries takes it."""
    library = server.home / f"{name}.so"
    compiler = os.environ.get("CC", "cc")
    # The server's own headers are not ours to be warned of.
    includes = [f"-I{HEADERS}", "-isystem", server_headers()]
    subprocess.run(
        [compiler, *WARNINGS, "-shared", "-fPIC", "-O2", *includes, "-o", library, "-xc", "-"],
        input=source, text=True, check=True, timeout=60,
    )  # fmt: skip
    library.chmod(0o755)
    return str(library)


def server_headers() -> Path:
    """Where the headers of the PostgreSQL under test are."""
    return Path(_pg_config("--includedir-server"))


def _pg_config(what: str) -> str:
    program = bindir() / "pg_config"
    return subprocess.run([program, what], check=True, capture_output=True, text=True, timeout=10).stdout.strip()
