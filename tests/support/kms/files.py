"""Secrets in encrypted files: age, openssl, systemd-creds. «Down» is what decrypts them taken away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import ClassVar

from support.kms import Kms, setting_words


@contextmanager
def moved_away(path: Path) -> Iterator[None]:
    """A file or folder is not there during the block, nor anywhere else in its own folder."""
    away = path.parent.parent / f"{path.name}.away"
    path.rename(away)
    try:
        yield
    finally:
        away.rename(path)


class AgeFile(Kms):
    command = "age-file"
    tools: ClassVar = {"stat", "age"}
    needs: ClassVar = {"/usr/bin/age": "age", "/usr/bin/openssl": "openssl"}
    strangers_complaint = "no identity matched any of the recipients"

    def start(self) -> None:
        self.own = self.home / "own"
        for identity in "server", "escrow", "stranger":
            self.shell(f"mkdir -p own; age-keygen -o own/{identity}.txt")
        self.complaint = f"ended with exit status 66: age-file: there is no file {self.own}/server.txt that"

    def environment(self) -> dict[str, str]:
        server, escrow = (self.shell(f"age-keygen -y own/{name}.txt").stdout.strip() for name in ("server", "escrow"))
        return {"RECIPIENT": server, "ESCROW": escrow}

    @property
    def line(self) -> str:
        return f"{self.script} {self.own}/server.txt {self.keys} %k %p"

    @property
    def strangers_line(self) -> str:
        return f"{self.script} {self.own}/stranger.txt {self.keys} %k %p"

    def down(self) -> AbstractContextManager[None]:
        return moved_away(self.own / "server.txt")


class OpensslCms(Kms):
    command = "openssl-cms"
    tools: ClassVar = {"stat", "openssl"}
    needs: ClassVar = {"/usr/bin/openssl": "openssl"}
    strangers_complaint = "cipher operation failed"

    def start(self) -> None:
        self.own = self.home / "own"
        for name in "server", "escrow":
            self.shell(
                "mkdir -p own; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30"
                f" -subj /CN={name} -keyout own/{name}.key -out {name}.pem"
            )
        self.shell("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out own/stranger.key")
        self.complaint = f"ended with exit status 66: openssl-cms: there is no file {self.own}/server.key that"

    def environment(self) -> dict[str, str]:
        return {"CERTIFICATE": f"{self.home}/server.pem", "ESCROW": f"{self.home}/escrow.pem"}

    @property
    def line(self) -> str:
        return f"{self.script} {self.own}/server.key {self.keys} %k %p"

    @property
    def strangers_line(self) -> str:
        return f"{self.script} {self.own}/stranger.key {self.keys} %k %p"

    def down(self) -> AbstractContextManager[None]:
        return moved_away(self.own / "server.key")


class SystemdCredential(Kms):
    command = "systemd-credential"
    tools: ClassVar = {"systemd-creds"}
    needs: ClassVar = {"/usr/bin/systemd-creds": "systemd", "/usr/bin/openssl": "openssl"}
    complaint = "ended with exit status 1: Failed to determine local credential key: No such file or directory."
    strangers_complaint = "Decryption failed"

    def start(self) -> None:
        self.shell("mkdir own")
        for name in "server", "stranger":
            self.shell("systemd-creds setup", {"SYSTEMD_CREDENTIAL_SECRET": f"{self.home}/own/{name}.secret"})

    def environment(self) -> dict[str, str]:
        return {"SYSTEMD_CREDENTIAL_SECRET": f"{self.home}/own/server.secret", "WITH": "host"}

    def _line(self, name: str) -> str:
        words = setting_words(SYSTEMD_CREDENTIAL_SECRET=f"{self.home}/own/{name}.secret")
        return f"{words}{self.script} {self.keys} %k %p"

    @property
    def line(self) -> str:
        return self._line("server")

    @property
    def strangers_line(self) -> str:
        return self._line("stranger")

    def down(self) -> AbstractContextManager[None]:
        return moved_away(self.home / "own" / "server.secret")
