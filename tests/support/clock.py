"""Time under control: a server of the tests' own whose clocks a test moves, without touching the machine's clock.

    with travelling_server() as (server, clock):
        clock.forward(days=400)         time passes: the time of day, and the time since boot
        clock.jump(days=400)            somebody sets the time of day; the time since boot says otherwise
        clock.back(days=400)            the same, backwards
        clock.reboot(days=2)            the machine was off for two days (the server must be stopped)

Nothing in pgseal knows of it: clock.c is preloaded into the server's processes and answers in the C library's place.
libfaketime was tried first. It moves the time since boot only by putting the time of day in its place, for the whole
life of a process, so that a server could not meet both, time that passes and a clock that is set; it leaves semaphores
behind when a server is killed; and its calls allocate memory inside the server's signal handlers.
"""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from support.cluster import Cluster, Settings
from support.servers import watched

SOURCE = Path(__file__).with_name("clock.c")
OFFSETS = struct.Struct("=qq")
MICROSECOND = timedelta(microseconds=1)
BOOT_TAKES = timedelta(seconds=10)


class Clock:
    """What the server's processes see of time. One folder, which belongs to it."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="pgc-", dir=os.environ.get("PGSEAL_TMPDIR", "/tmp")))
        self.home.chmod(0o755)
        library = self.home / "clock.so"
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, SOURCE], check=True, timeout=60)
        self._boot = self.home / "boot_id"
        self._new_boot()
        shared = self.home / "offsets"
        shared.write_bytes(bytes(OFFSETS.size))
        with shared.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), OFFSETS.size)
        self.env = {
            "LD_PRELOAD": str(library),
            "PGSEAL_TEST_CLOCK": str(shared),
            "PGSEAL_TEST_BOOT": str(self._boot),
        }

    def forward(self, **time: float) -> None:
        """Time passes; the arguments are those of timedelta."""
        self._move(timedelta(**time), timedelta(**time))

    def jump(self, **time: float) -> None:
        """The clock on the wall is set ahead, in no time."""
        self._move(timedelta(**time), timedelta())

    def back(self, **time: float) -> None:
        """The clock on the wall is set back, in no time."""
        self._move(-timedelta(**time), timedelta())

    def reboot(self, **time: float) -> None:
        """The machine was off for so long: another boot, whose time begins anew; the clock on the wall went on."""
        booted = timedelta(seconds=time_since_boot()) + self._offsets[1]
        self._move(timedelta(**time), BOOT_TAKES - booted)
        self._new_boot()

    def now(self) -> datetime:
        """The time of day, as the server sees it."""
        return datetime.now(UTC) + self._offsets[0]

    @property
    def boot_id(self) -> str:
        return self._boot.read_text().strip()

    def destroy(self) -> None:
        self._shared.close()
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def _offsets(self) -> tuple[timedelta, timedelta]:
        wall, boot = OFFSETS.unpack(self._shared[:])
        return wall * MICROSECOND, boot * MICROSECOND

    def _move(self, wall: timedelta, boot: timedelta) -> None:
        """Both at once: nobody sees the one moved without the other."""
        before = self._offsets
        self._shared[:] = OFFSETS.pack((before[0] + wall) // MICROSECOND, (before[1] + boot) // MICROSECOND)

    def _new_boot(self) -> None:
        self._boot.write_text(f"{uuid.uuid4()}\n")
        self._boot.chmod(0o644)


def time_since_boot() -> float:
    """Of this machine, in seconds."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@contextmanager
def travelling_server(settings: Settings | None = None, **options: Any) -> Iterator[tuple[Cluster, Clock]]:
    """A server and its clock; the arguments are those of Cluster. Copies of the server share the clock."""
    clock = Clock()
    try:
        with watched(settings, env=clock.env, **options) as server:
            yield server, clock
    finally:
        clock.destroy()
