"""Looks for a secret in what others can see: raw, as hexadecimal or as base64 text, and as the hashes mask it.

    shown = Hidden("f00d…").in_text(log)             every place of it: [] if there is none
    Hidden(key, other).in_bytes(core)                the same of any of several secrets, in something large
    core = core_of(server, pid)                      what a core file of the process has
    processes(server)                                the server's processes and their names
"""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

from support.cluster import Cluster

# So many bytes in a row, wherever they begin, contain a whole aligned piece of half as many.
LARGEST_UNSEEN = 14
PIECE = 8
# What an HMAC's key is masked with in the blocks that are hashed (RFC 2104).
MASKS = (0x36, 0x5C)


class Hidden:
    """Secrets that must be nowhere."""

    def __init__(self, *secrets: str) -> None:
        self.secrets = [bytes.fromhex(secret) for secret in secrets]

    def in_text(self, text: str | bytes) -> list[str]:
        """Six bytes in a row of one, in whatever form; for logs, messages and views."""
        data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        lower = data.lower()
        found = []
        for secret in self.secrets:
            pieces = [secret[at : at + 6] for at in range(len(secret) - 5)]
            found += [f"raw {piece.hex()}" for piece in pieces if piece in data]
            found += [f"hex {piece.hex()}" for piece in pieces if piece.hex().encode() in lower]
            found += [f"base64 {piece!r}" for piece in base64_pieces(secret, 8) if piece in data]
        return found

    def in_bytes(self, data: bytes) -> list[str]:
        """Fifteen bytes in a row of one, in whatever form; quick enough for the memory of a process."""
        found = []
        for secret in self.secrets:
            pieces = [secret[at : at + PIECE] for at in range(0, len(secret) - PIECE + 1, PIECE)]
            forms = [(f"raw {piece.hex()}", piece) for piece in pieces]
            for mask in MASKS:
                forms += [(f"masked {piece.hex()}", bytes(byte ^ mask for byte in piece)) for piece in pieces]
            forms += [(f"hex {piece.hex()}", piece.hex().encode()) for piece in pieces]
            forms += [(f"HEX {piece.hex()}", piece.hex().upper().encode()) for piece in pieces]
            forms += [(f"base64 {piece!r}", piece) for piece in base64_pieces(secret, 8)]
            found += [f"{name} at {data.find(form):#x}" for name, form in forms if form in data]
        return found


def base64_pieces(secret: bytes, length: int) -> set[bytes]:
    """What of its base64 text depends on nothing else, wherever the secret begins in what is encoded."""
    pieces = set()
    for before in range(3):
        text = base64.b64encode(b"\0" * before + secret)
        known = text[4 if before else 0 : len(text) // 4 * 4 - 4]
        pieces |= {known[at : at + length] for at in range(len(known) - length + 1)}
    return pieces


def processes(server: Cluster) -> dict[int, str]:
    """The server's processes by their ids, with the names that they give themselves; the first has none."""
    named = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid = int(stat.parent.name)
            if pid == server.pid or int(stat.read_text().rpartition(")")[2].split()[1]) == server.pid:
                named[pid] = (stat.parent / "cmdline").read_text().rstrip("\0 ")
        except (FileNotFoundError, ProcessLookupError):
            continue
    return named


def core_of(server: Cluster, pid: int) -> bytes | None:
    """A core file of a process that lives on: gdb leaves out what the kernel would leave out. None if it has ended."""
    prefix = server.home / "core"
    done = subprocess.run(
        ["gcore", "-o", prefix, str(pid)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    path = Path(f"{prefix}.{pid}")
    if not path.exists():
        assert not Path(f"/proc/{pid}").exists(), done.stdout + done.stderr
        return None
    core = path.read_bytes()
    path.unlink()
    assert core.startswith(b"\x7fELF")
    return core
