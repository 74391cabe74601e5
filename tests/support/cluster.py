"""Private PostgreSQL servers: for the tests, the demo and the benchmark.

    with Cluster() as cluster:                      # initdb, start; stopped and removed at the end
        with cluster.database() as database: ...    # with the extension in it; dropped at the end
        with cluster.connect() as connection: ...

A cluster lives in a folder of its own under /tmp (short, because a socket's path may have 107 bytes): data, socket,
log, key. It is reached through its socket only, unless `listen=True`. As root, the server and PostgreSQL's programs
run as the user `postgres` (PGSEAL_RUN_AS names another); otherwise as whoever runs this.

The server is a child of this process: it is known by its process id, ended when Python exits in whatever way, and
told by the kernel to stop if Python is killed (unless `outlive=True`). Nothing here touches any other process.

Only `connect` and what uses it need psycopg; the demo does without.
"""

from __future__ import annotations

import atexit
import grp
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    from support.database import Database

ROOT = Path(__file__).resolve().parents[2]
BASE_SETTINGS = ROOT / "pgrx-config" / "cluster.conf"

Setting = str | int | float | bool
Settings = Mapping[str, Setting]

# For `configure`: without a key, where that is meant.
KEYLESS: Mapping[str, Setting | None] = {"pgseal.key_file": None, "pgseal.require_key": False}

# What a test's server has beyond cluster.conf: speed, and the same answers on every machine.
TEST_SETTINGS: Settings = {"fsync": False, "timezone": "UTC", "log_timezone": "UTC"}

START_TIMEOUT = 60.0
STOP_TIMEOUT = 60.0
PROGRAM_TIMEOUT = 120.0
STATEMENT_TIMEOUT_MS = 120_000


class ClusterError(RuntimeError):
    """A server that does not start, stop or answer. The text ends with the last lines of its log."""


def bindir() -> Path:
    """Where the programs of the PostgreSQL under test are: beside PG_CONFIG, Debian's version 15 by default."""
    pg_config = os.environ.get("PG_CONFIG", "/usr/lib/postgresql/15/bin/pg_config")
    out = subprocess.run([pg_config, "--bindir"], check=True, capture_output=True, text=True, timeout=10)
    return Path(out.stdout.strip())


def server_user() -> pwd.struct_passwd | None:
    """The user that the server runs as, when this is root; None when it is the user who is here already."""
    if os.geteuid() != 0:
        return None
    return pwd.getpwnam(os.environ.get("PGSEAL_RUN_AS", "postgres"))


def quoted(value: Setting) -> str:
    """A value as postgresql.conf wants it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n") + "'"


class Cluster:
    """One server. Made and started by `with`, or by `create` and `start`."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        defaults: Settings = TEST_SETTINGS,
        preload: bool = True,
        key: str | None = "",
        listen: bool = False,
        env: Mapping[str, str] | None = None,
        initdb_options: Sequence[str] = (),
        outlive: bool = False,
    ) -> None:
        """
        settings        above `defaults`, which stand above pgrx-config/cluster.conf
        preload         False: without pgseal in shared_preload_libraries, and without a key
        key             the secret in hex, kept in a 0600 file that pgseal.key_file names;
                        "": a random one; None: no key is configured, and none required
        listen          also on 127.0.0.1, at a port that the system chooses
        env             what the server's environment has beyond PATH and LANG
        outlive         the server goes on when Python exits (the demo's, when somebody wants to try it)
        """
        self.bin = bindir()
        self.owner = server_user()
        self.home = Path(tempfile.mkdtemp(prefix="pgs-", dir=os.environ.get("PGSEAL_TMPDIR", "/tmp")))
        self.data = self.home / "data"
        self.sockets = self.home / "s"
        self.log_file = self.home / "log"
        self.key_file = self.home / "key"
        self.port = self.free_port() if listen else 5432
        self.outlive = outlive
        self.initdb_options = list(initdb_options)
        self.env = {"PATH": f"{self.bin}:/usr/bin:/bin", "LANG": "C.UTF-8", **(env or {})}
        self.key = secrets.token_hex(32) if key == "" and preload else (key or None)
        self.settings: dict[str, Setting] = {
            **defaults,
            "port": self.port,
            "listen_addresses": "127.0.0.1" if listen else "",
            "unix_socket_directories": str(self.sockets),
        }
        if not preload:
            self.settings["shared_preload_libraries"] = ""
        elif self.key:
            self.settings["pgseal.key_file"] = str(self.key_file)
        else:
            self.settings["pgseal.require_key"] = False
        self.settings.update(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._connections: set[psycopg.Connection[Any]] = set()
        self._databases = 0
        self.sessions_lost = 0
        self.home.chmod(0o755)
        self._mkdir(self.sockets, 0o755)
        _clusters.add(self)

    # -- life ---------------------------------------------------------------------------------------------------

    def __enter__(self) -> Cluster:
        try:
            self.create()
            self.start()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()

    def create(self) -> None:
        """initdb: UTF8, C.UTF-8, everybody trusted, superuser `postgres`."""
        self._mkdir(self.data, 0o700)
        self.run(
            "initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8",
            "--no-sync", *self.initdb_options,
        )  # fmt: skip
        if self.key:
            self.write_key(self.key)
        self._adopt()

    def start(self) -> None:
        """Starts the server and returns when it accepts connections (or, as a standby, reads)."""
        if self.is_running():
            return
        self._write_settings()
        mark = self.log_position()
        postgres = [str(self.bin / "postgres"), "-D", str(self.data)]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_owner(die_with_parent=not self.outlive), *postgres],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env, cwd=self.home, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT
        while not self._says_ready():
            if self._process.poll() is not None:
                self._process = None
                raise ClusterError(f"the server did not start:\n{self.log(mark)[-4000:]}")
            if time.monotonic() > deadline:
                self.kill()
                raise ClusterError(f"the server was not ready in {START_TIMEOUT:.0f} s:\n{self.log(mark)[-4000:]}")
            time.sleep(0.02)

    def stop(self, mode: str = "fast") -> None:
        """Stops the server: `smart`, `fast` or `immediate`, as pg_ctl calls them."""
        if self._process is None:
            return
        signals = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
        self._process.send_signal(signals[mode])
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ClusterError(f"the server did not stop in {STOP_TIMEOUT:.0f} s:\n{self.log()[-4000:]}") from None
        self._process = None
        self.sessions_lost += 1

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """The plug is pulled: SIGKILL to the postmaster and to all that it had started."""
        if self._process is None:
            return
        # A stopped one forks nothing that would not be in the list.
        self._process.send_signal(signal.SIGSTOP)
        children = self.children()
        self._process.kill()
        self._process.wait(STOP_TIMEOUT)
        self._process = None
        self.sessions_lost += 1
        for child in children:
            _kill_and_wait(child)

    def kill_postmaster(self) -> None:
        """SIGKILL to the postmaster alone; returns when all that it had started have noticed it and are gone."""
        postmaster = self._process
        if postmaster is None:
            return
        postmaster.send_signal(signal.SIGSTOP)
        orphans = self.children()
        postmaster.kill()
        postmaster.wait(STOP_TIMEOUT)
        self._process = None
        self.sessions_lost += 1
        deadline = time.monotonic() + STOP_TIMEOUT
        while left := [pid for pid in orphans if _is_alive(pid)]:
            if time.monotonic() > deadline:
                for pid in left:
                    _kill_and_wait(pid)
                raise ClusterError(f"{len(left)} processes went on without their postmaster:\n{self.log()[-4000:]}")
            time.sleep(0.02)

    def crash(self) -> None:
        """`kill`, then a start with crash recovery."""
        self.kill()
        self.start()

    def kill_backend(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        """Sends a signal to one process of this server; after SIGKILL waits until the server has restarted itself."""
        if pid not in self.children():
            raise ClusterError(f"process {pid} is not of this server")
        mark = self.log_position()
        os.kill(pid, number)
        if number == signal.SIGKILL:
            self.sessions_lost += 1
            self.wait_for_log("reinitializing", mark)
            self.wait_for_log("database system is ready to accept connections", mark)

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        if self._process is None:
            raise ClusterError("the server is not running")
        return self._process.pid

    def children(self) -> list[int]:
        """Processes whose parent is our postmaster."""
        children = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                after_name = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(after_name[1]) == self.pid:
                children.append(int(stat.parent.name))
        return children

    def destroy(self) -> None:
        """Ends the server and removes its folder. Never raises for a server that is already gone."""
        for connection in self._connections:
            connection.close()
        try:
            self.stop("immediate")
        except ClusterError:
            self.kill()
        shutil.rmtree(self.home, ignore_errors=True)
        _clusters.discard(self)

    # -- settings and key ---------------------------------------------------------------------------------------

    def configure(self, settings: Mapping[str, Setting | None], *, restart: bool = False) -> None:
        """Changes settings (None takes one out again) by reload, by restart, or for the next start."""
        for name, value in settings.items():
            if value is None:
                self.settings.pop(name, None)
            else:
                self.settings[name] = value
        self._write_settings()
        if restart:
            self.restart()
        elif self.is_running():
            self.reload()

    def reload(self) -> None:
        """Has the settings read again, and returns when the postmaster has said so in its log."""
        mark = self.log_position()
        os.kill(self.pid, signal.SIGHUP)
        self.wait_for_log("received SIGHUP", mark)

    def write_key(self, secret: str, path: Path | None = None, mode: int = 0o600) -> Path:
        """Writes a secret, by default the one at `key_file`, readable for the server's user alone."""
        path = path or self.key_file
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret + "\n")
        self.give(path)
        path.chmod(mode)
        return path

    def give(self, path: Path) -> None:
        """Makes the server's user the owner of a file."""
        if self.owner:
            os.chown(path, self.owner.pw_uid, self.owner.pw_gid)

    # -- the log ------------------------------------------------------------------------------------------------

    def log(self, since: int = 0) -> str:
        """The server's log from a `log_position` on."""
        if not self.log_file.exists():
            return ""
        with self.log_file.open("rb") as file:
            file.seek(since)
            return file.read().decode("utf-8", "replace")

    def log_position(self) -> int:
        return self.log_file.stat().st_size if self.log_file.exists() else 0

    def wait_for_log(self, text: str, since: int = 0, timeout: float = START_TIMEOUT) -> str:
        """Waits until the log has this text after a `log_position`; returns the log from there."""
        deadline = time.monotonic() + timeout
        while text not in (log := self.log(since)):
            if time.monotonic() > deadline:
                raise ClusterError(f"not in the log after {timeout:.0f} s: {text!r}; there is:\n{log[-4000:]}")
            time.sleep(0.02)
        return log

    def alarms(self) -> list[str]:
        """What must never stand in a log: a PANIC, a crash that no test caused, a failed assertion, part of the key."""
        dreaded = re.compile(r"PANIC: |terminated by signal (4|6|7|8|11):|TRAP: |AddressSanitizer")
        log = self.log()
        found = [line for line in log.splitlines() if dreaded.search(line)]
        if self.key and self.shows_key(log):
            found.append("the key stands in the log")
        return found

    def shows_key(self, text: str) -> bool:
        """Whether eight bytes in a row of the secret stand in a text, as hex."""
        key, text = (self.key or "").lower(), text.lower()
        return any(key[start : start + 16] in text for start in range(len(key) - 15))

    # -- clients ------------------------------------------------------------------------------------------------

    def connect(
        self,
        dbname: str = "postgres",
        user: str = "postgres",
        *,
        autocommit: bool = True,
        application_name: str | None = None,
        **options: Any,
    ) -> psycopg.Connection[Any]:
        """A psycopg connection, closed with the cluster. Statements have two minutes (SET may change that)."""
        import psycopg

        connection: psycopg.Connection[Any] = psycopg.connect(
            host=str(self.sockets),
            port=self.port,
            dbname=dbname,
            user=user,
            autocommit=autocommit,
            application_name=(application_name or _test_name())[:63],
            connect_timeout=10,
            **{"options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS}", **options},
        )
        self._connections = {known for known in self._connections if not known.closed} | {connection}
        return connection

    def psql(
        self,
        script: str,
        dbname: str = "postgres",
        user: str = "postgres",
        *options: str,
        check: bool = True,
        timeout: float = PROGRAM_TIMEOUT,
    ) -> subprocess.CompletedProcess[str]:
        """psql reads the script from its standard input, stops at the first error, prints bare values."""
        arguments = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", dbname, "-U", user, *options]
        return self.run("psql", *arguments, stdin=script, check=check, timeout=timeout)

    def popen(self, program: str, *arguments: str | Path) -> subprocess.Popen[str]:
        """The same as `run`, which goes on until whoever asked ends it; what it prints on stderr can be read."""
        return subprocess.Popen(
            [*self._as_owner(), str(self.bin / program), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**self.env, **self.client_env()},
            cwd=self.home,
            text=True,
        )

    def run(
        self,
        program: str,
        *arguments: str | Path,
        stdin: str | None = None,
        check: bool = True,
        timeout: float = PROGRAM_TIMEOUT,
    ) -> subprocess.CompletedProcess[str]:
        """One of PostgreSQL's programs (pg_dump, pgbench, …) as the server's user, pointed at this server."""
        done = subprocess.run(
            [*self._as_owner(), str(self.bin / program), *map(str, arguments)],
            input=stdin if stdin is not None else "",
            env={**self.env, **self.client_env()},
            cwd=self.home,
            text=True,
            capture_output=True,
            timeout=timeout,
        )
        if check and done.returncode != 0:
            raise ClusterError(f"{program} ended with {done.returncode}:\n{done.stderr or done.stdout}")
        return done

    def client_env(self) -> dict[str, str]:
        """What points a libpq program at this server as its superuser."""
        return {
            "PGHOST": str(self.sockets),
            "PGPORT": str(self.port),
            "PGUSER": "postgres",
            "PGAPPNAME": _test_name()[:63],
            "PGCONNECT_TIMEOUT": "10",
        }

    # -- databases ----------------------------------------------------------------------------------------------

    def createdb(self, template: str | None = None, *, name: str | None = None) -> Database:
        """A new database, empty or a copy of another."""
        from support.database import Database

        self._databases += 1
        name = name or f"db{self._databases}"
        self.psql(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
        return Database(self, name)

    @contextmanager
    def database(self, *, extension: bool = True) -> Iterator[Database]:
        """A new database with the extension in it, or an empty one; dropped at the end of the block."""
        made = self.createdb()
        try:
            if extension:
                made.run("CREATE EXTENSION pgseal")
            yield made
        finally:
            made.drop()

    def dropdb(self, name: str) -> None:
        """Drops a database, whoever is still connected to it."""
        self.psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    # -- copies -------------------------------------------------------------------------------------------------

    def basebackup(self, settings: Settings | None = None, *, standby: bool = True) -> Cluster:
        """A second cluster with this one's key, from a base backup: as a hot standby, or for a restore. Not started."""
        copy = self._sibling(settings)
        options = ["-R"] if standby else []
        self.run("pg_basebackup", "-D", copy.data, "--checkpoint=fast", "-X", "stream", "--no-sync", *options)
        copy._adopt()
        return copy

    def copy(self, settings: Settings | None = None) -> Cluster:
        """A second cluster from the files of this one, which must be stopped: an older state. Not started."""
        if self.is_running():
            raise ClusterError("a running server's files cannot be copied")
        copy = self._sibling(settings)
        subprocess.run(["cp", "-a", self.data, copy.data], check=True, timeout=PROGRAM_TIMEOUT)
        copy._adopt()
        return copy

    def _sibling(self, settings: Settings | None) -> Cluster:
        places = ("port", "listen_addresses", "unix_socket_directories", "pgseal.key_file")
        inherited = {name: value for name, value in self.settings.items() if name not in places}
        sibling = Cluster({**inherited, **(settings or {})}, defaults={}, key=self.key, env=self.env)
        if self.owner:
            os.chown(sibling.home, self.owner.pw_uid, self.owner.pw_gid)
        if self.key:
            sibling.write_key(self.key)
        return sibling

    # -- inside -------------------------------------------------------------------------------------------------

    def _as_owner(self, *, die_with_parent: bool = False) -> list[str]:
        """The words before a command that make it run as the server's user.

        setpriv becomes the command itself, so the child's process id is the command's. The kernel sends the signal
        when the thread that started the child ends, so only the main thread may ask for it.
        """
        words = []
        if self.owner:
            group = grp.getgrgid(self.owner.pw_gid).gr_name
            words += [f"--reuid={self.owner.pw_name}", f"--regid={group}", "--init-groups"]
        if die_with_parent and threading.current_thread() is threading.main_thread():
            words += ["--pdeathsig=QUIT"]
        return ["setpriv", *words, "--"] if words else []

    def _adopt(self) -> None:
        """Has the data folder's configuration read our settings after initdb's."""
        conf = self.data / "postgresql.conf"
        marker = "# pgseal harness"
        if marker not in conf.read_text():
            with conf.open("a") as file:
                file.write(f"\n{marker}\ninclude 'harness.conf'\n")
        self._write_settings()

    def _write_settings(self) -> None:
        path = self.data / "harness.conf"
        lines = [f"{name} = {quoted(value)}" for name, value in self.settings.items()]
        path.write_text(BASE_SETTINGS.read_text() + "\n".join(lines) + "\n")
        path.chmod(0o600)
        self.give(path)

    def _mkdir(self, path: Path, mode: int) -> None:
        path.mkdir()
        path.chmod(mode)
        self.give(path)

    def _says_ready(self) -> bool:
        """The last line of postmaster.pid is the postmaster's own word on its state."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() in ("ready", "standby")

    @staticmethod
    def free_port() -> int:
        """A port of 127.0.0.1 at which nothing listens."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])


def _kill_and_wait(pid: int, timeout: float = 10.0) -> None:
    """Ends a process that is not our child any more, and waits until it is gone."""
    deadline = time.monotonic() + timeout
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return
    while _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)


def _is_alive(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _test_name() -> str:
    """Who asks: the running test, as pytest calls it, or the program."""
    return os.environ.get("PYTEST_CURRENT_TEST", "pgseal").split(" ")[0].rpartition("::")[2] or "pgseal"


_clusters: set[Cluster] = set()


@atexit.register
def _end_all() -> None:
    for cluster in list(_clusters):
        if not cluster.outlive:
            cluster.destroy()
