"""Key management systems, run for real, and the commands of pgrx-config/key-commands that ask them.

    with AwsKms() as kms:                       starts what there is to start, and makes key 1
        kms.setting                             for pgseal.key_command
        kms.make_key("2"); kms.fetch("2")       what the command prints, run by hand as the server's user
        with kms.down(): ...                    it cannot be reached, or has lost its key, until the end of the block

Each makes its keys by the lines that docs/keys.md shows to a DBA.
"""

from __future__ import annotations

import base64
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from support.cluster import ROOT, server_user
from support.markdown import named

COMMANDS = ROOT / "pgrx-config" / "key-commands"
PAGE = ROOT / "docs" / "keys.md"
TIME_LIMIT = 60.0
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}

Done = subprocess.CompletedProcess[str]


class Stoppable(Protocol):
    def stop(self) -> None: ...


class Kms(ABC):
    """One key management system in a folder of its own, which belongs to the server's user."""

    command: str
    """The name of the script, and what the lines of docs/keys.md that make a key are called by."""
    tools: ClassVar[set[str]]
    """The programs that the script starts."""
    needs: ClassVar[dict[str, str]]
    """What must be installed: a file, and the Debian package that it is of."""
    complaint: str
    """What the server says of the command while the KMS is down, after «Setting pgseal.key_command »."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="pgk-", dir=os.environ.get("PGSEAL_TMPDIR", "/tmp")))
        self.home.chmod(0o755)
        self.keys = self.home / "keys"
        self.keys.mkdir()
        self.services: list[Stoppable] = []
        self.script = self.home / self.command
        shutil.copy(COMMANDS / self.command, self.script)
        for path in self.home, self.keys:
            give(path)

    def __enter__(self) -> Self:
        try:
            self.assert_installed()
            self.start()
            self.make_key("1")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for service in self.services:
            service.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def assert_installed(self) -> None:
        missing = {path: package for path, package in self.needs.items() if not Path(path).exists()}
        assert not missing, f"say «make python», or install {' '.join(missing.values())}: there is no {list(missing)}"

    @abstractmethod
    def start(self) -> None:
        """Starts what there is to start, and sets it up for keys to be made. What must end stands in `services`."""

    @property
    @abstractmethod
    def line(self) -> str:
        """The command for pgseal.key_command, with %k and %p in it."""

    @property
    @abstractmethod
    def strangers_line(self) -> str:
        """The same as somebody whom the KMS gives no key."""

    strangers_complaint: str
    """What the KMS says to that one."""

    @abstractmethod
    def down(self) -> AbstractContextManager[None]:
        """Nobody gets a key until the end of the block."""

    def environment(self) -> dict[str, str]:
        """What whoever makes a key has in the environment."""
        return {}

    def make_key(self, key_id: str, purpose: str = "sign") -> None:
        """Makes a key as docs/keys.md says."""
        self.recipe("", key_id, purpose)

    def recipe(self, before: str, key_id: str, purpose: str) -> None:
        """Runs the page's lines after something of the test's own. Its first line says what this time is otherwise."""
        first, lines = named(PAGE, f"make a key: {self.command}").split("\n", 1)
        assert first.startswith("KEYS=/etc/postgresql/pgseal-keys ID=1 PURPOSE=sign"), first
        words = {"KEYS": str(self.keys), "ID": key_id, "PURPOSE": purpose}
        self.shell(f"set -eu\n{before}{lines}", {**words, **self.environment()})

    # -- how a command is run -----------------------------------------------------------------------------------

    @property
    def setting(self) -> str:
        """For pgseal.key_command."""
        return self.line.replace("%p", "sign")

    def fetch(self, key_id: str, purpose: str = "sign") -> bytes:
        """The secret that the command prints."""
        done = self.ask(key_id, purpose)
        assert done.returncode == 0, done.stderr
        return secret_of(done.stdout)

    def ask(self, key_id: str, purpose: str = "sign", *, line: str | None = None, **environment: str) -> Done:
        """Runs the command by hand, as the server does it."""
        line = (line or self.line).replace("%k", key_id).replace("%p", purpose)
        return self.shell(line, environment, check=False)

    def ask_verifier(self, key_id: str) -> Done:
        """The secret for `verify`, as whoever may have it gets it."""
        return self.ask(key_id, "verify")

    def shell(self, script: str, environment: Mapping[str, str] | None = None, *, check: bool = True) -> Done:
        """Runs shell commands as the server's user."""
        done = subprocess.run(
            ["/bin/sh", "-c", script], env={**ENVIRONMENT, **(environment or {})}, cwd=self.home,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIME_LIMIT, **as_server(),
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{script}\n{done.stderr}"
        return done

    def write(self, name: str, content: str, mode: int = 0o600) -> Path:
        """A file of the server's user in this folder."""
        path = self.home / name
        path.touch(0o600)
        path.write_text(content)
        path.chmod(mode)
        give(path)
        return path


def give(path: Path) -> None:
    """Makes the server's user the owner."""
    if owner := server_user():
        os.chown(path, owner.pw_uid, owner.pw_gid)


def as_server() -> dict[str, Any]:
    """Arguments for subprocess that make the child one of the server's user."""
    owner = server_user()
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if owner else {}


def secret_of(text: str) -> bytes:
    """What a command printed, hex or base64, as bytes."""
    text = text.strip()
    try:
        return bytes.fromhex(text)
    except ValueError:
        return base64.b64decode(text, validate=True)


def setting_words(**settings: object) -> str:
    """NAME='value' … before a command in a line for sh."""
    return "".join(f"{name}={shlex.quote(str(value))} " for name, value in settings.items())


def command_of_page(name: str) -> str:
    """The value of pgseal.key_command in a block of docs/keys.md."""
    (value,) = re.findall(r"^pgseal\.key_command = '(.*)'$", named(PAGE, name), re.MULTILINE)
    return str(value)
