"""Servers of key management systems as processes, and a gate before one that cannot be stopped and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

START_TIMEOUT = 60.0


class Service:
    """A process that listens on a port of 127.0.0.1, and all that it starts."""

    def __init__(
        self,
        words: Sequence[object],
        port: int,
        log: Path,
        environment: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        """The options are those of subprocess. The kernel asks the process to end if Python is killed."""
        self.words = ["setpriv", "--pdeathsig=TERM", "--", *map(str, words)]
        self.port = port
        self.log = log
        self.environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **(environment or {})}
        self.options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and returns when it listens."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.words, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, **self.options,
            )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT
        while not listens(self.port):
            ended = self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"{self.words[3]} does not listen; it says:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Ended for the block."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Connections are accepted, and nobody answers."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGCONT)


class Gate:
    """Hands connections on to another port while it is open."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, args=[self._listener], daemon=True).start()

    def stop(self) -> None:
        # Wakes the thread that waits in accept, which would keep the port open.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Nobody listens during the block."""
        self.stop()
        try:
            yield
        finally:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._serve, args=[self._listener], daemon=True).start()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=[client], daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self.target)) as server:
            back = threading.Thread(target=_copy, args=[server, client], daemon=True)
            back.start()
            _copy(client, server)
            back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
