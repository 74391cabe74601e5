#!/usr/bin/env python3
"""make demo: seals this machine's package history, tampers with it as superuser, and shows what is found.

Needs an installed pgseal, Python's standard library, and tests/ in PYTHONPATH. Ends its server, unless somebody sits
at a terminal (or DEMO_KEEP=1 is set): then it goes on, to be tried, until make demo-stop.
"""

from __future__ import annotations

import collections
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import loading
import packages
import screen
from screen import duration, number
from session import Session
from support.cluster import ROOT, Cluster, ClusterError
from tampering import Finding, Tampering

DATABASE = "demo"
STATE = ROOT / "target" / "demo" / "server.json"
DEMO_SETTINGS = {"max_connections": 30}


def main() -> int:
    if "--stop" in sys.argv[1:]:
        stop_kept_server(say=True)
        return 0
    stop_kept_server()
    keep = wants_to_keep()
    cluster = Cluster(defaults=DEMO_SETTINGS, outlive=keep)
    try:
        cluster.create()
        cluster.start()
        found_all = tell(cluster, keep)
    except ClusterError as problem:
        cluster.destroy()
        sys.exit(f"\npgseal: the demo stops here: {problem}")
    except BaseException:
        cluster.destroy()
        raise
    if keep:
        STATE.parent.mkdir(parents=True, exist_ok=True)
        STATE.write_text(json.dumps({"pid": cluster.pid, "home": str(cluster.home)}))
    else:
        cluster.destroy()
    return 0 if found_all else 1


def tell(cluster: Cluster, keep: bool) -> bool:
    screen.title("pgseal: a machine's package history, sealed, then tampered with")
    session = the_server(cluster)
    sealing(session)
    the_history(session)
    found_all = tampering(session)
    the_window(session)
    what_is_not_caught(cluster, keep)
    return found_all


def the_server(cluster: Cluster) -> Session:
    screen.step(1, "The server")
    cluster.psql(f"CREATE DATABASE {DATABASE}")
    session = Session(cluster, DATABASE)
    session.run("CREATE EXTENSION pgseal")
    versions = (
        "SELECT split_part(current_setting('server_version'), ' ', 1), extversion"
        " FROM pg_extension WHERE extname = 'pgseal'"
    )
    server, _, extension = session.run(versions).partition("|")
    key = cluster.key_file.stat()
    screen.fact("server", f"PostgreSQL {server} with pgseal {extension}, private, at the socket {cluster.sockets}")
    screen.fact(
        "key", f"32 random bytes in {cluster.key_file}, mode {key.st_mode & 0o777:04o}, fetched once, at the start"
    )
    return session


def sealing(session: Session) -> None:
    screen.step(2, "Sealing a table")
    session.run_file("history.sql")
    screen.line("CREATE TABLE history (id bigint …, tenant text, at timestamptz, payload jsonb);")
    attach = "SELECT seal.attach('history', tenant_column => 'tenant');"
    answer, milliseconds = session.timed(attach)
    screen.outcome(attach, duration(milliseconds))
    screen.paragraph(answer, "  ")


def the_history(session: Session) -> None:
    screen.step(3, f"The history: what dpkg has logged on this machine, {packages.LOG}")
    packages.make_more(screen.line)
    events = packages.read()
    if not events:
        sys.exit(f"there is no package history in {packages.LOG}*")
    tenants = collections.Counter(event.tenant for event in events)
    largest = ", ".join(f"{name} {number(count)}" for name, count in tenants.most_common(4))
    loaded = loading.load(session.cluster, DATABASE, "app", events)
    shape = json.loads(session.run_file("shape.sql"))
    chains = shape["chains"]
    others = f" and {len(chains) - 1} more, one for each writer at the same moment" if len(chains) > 1 else ""
    verdict, milliseconds = session.verify()
    screen.fact("an event", events[len(events) // 2].payload)
    screen.fact("tenants", f"{len(tenants)} sections as dpkg-query knows them: {largest} …")
    screen.fact(
        "written",
        f"{number(loaded.inserts)} single INSERTs and {number(loaded.copies)} COPYs through {loading.CONNECTIONS}"
        f" connections at once, in {duration(loaded.milliseconds)}, by a role that may only insert",
    )
    screen.fact("entries", number(shape["entries"]))
    screen.fact("chains", f"{len(chains)}: {chains[0]}{others}")
    screen.fact("gaps", f"{shape['gaps']} (counted with SQL over the positions)")
    screen.fact("forks", f"{shape['forks']} (counted with SQL over who names whom as predecessor)")
    screen.fact("verdict", f"{screen.bold(verdict['verdict'])} for {number(verdict['entries'])} entries, "
                f"by SELECT * FROM seal.verify_history(), {duration(milliseconds)}")  # fmt: skip
    if (verdict["verdict"], shape["gaps"], shape["forks"], shape["entries"]) != ("intact", 0, 0, len(events)):
        details = [row["detail"] for row in session.rows("SELECT detail FROM seal.findings()")]
        raise ClusterError("\n".join(["the history should be intact, whole and of one piece", *details]))


def tampering(session: Session) -> bool:
    screen.step(4, "Now I am superuser, and the triggers are off")
    attempt = Tampering(session)
    attacks = attempt.attacks()
    attempt.keep(attacks)
    refused = session.refusal("DELETE FROM history")
    off = " ".join(attempt.switch_off())
    already = attempt.new_findings()
    column = max(len(text) for text in (off, *(attack.shown for attack in attacks)))
    screen.outcome("DELETE FROM history; -- with the triggers still on", f"refused: {refused}", column)
    screen.outcome(off, describe(already) if already else "done", column)
    screen.line()
    found_all = True
    for attack in attacks:
        session.run(attack.statement)
        findings = attempt.new_findings()
        found_all &= bool(findings)
        screen.outcome(attack.shown, describe(findings) if findings else "NOT FOUND", column)
    screen.line()
    verdict, milliseconds = session.verify()
    screen.fact("verdict", f"{screen.bold(verdict['verdict'])}, {verdict['findings']} findings in "
                f"{number(verdict['entries'])} entries, {duration(milliseconds)}")  # fmt: skip
    found_all &= verdict["verdict"] == "tampered"
    attempt.undo()
    verdict, _ = session.verify()
    screen.fact("undone", f"every row put back byte for byte, the triggers on again: {screen.bold(verdict['verdict'])}")
    return found_all and bool(verdict["verdict"] == "intact")


def describe(findings: list[Finding]) -> str:
    """The first new finding: its kind and place."""
    kind, chain, first, last, _ = findings[0]
    place = f" {chain}" if chain else ""
    if first is not None:
        place += f" at {first}" if last in (None, first) else f" at {first}–{last}"
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return f"{screen.bold(f'{kind:<9}')}{place}{more}"


def the_window(session: Session) -> None:
    screen.step(5, "A window: what is older may be pruned, after a verification that finds nothing new")
    window = "SELECT seal.set_window('history', 24);"
    dry_run = "SELECT * FROM seal.verify_and_prune(dry_run => true);"
    column = max(len(window), len(dry_run))
    screen.outcome(window, session.run(window), column)
    (plan,) = session.rows(dry_run.rstrip(";"))
    would_go = f"{number(plan['pruned'])} of {number(plan['entries'])} entries would go"
    screen.outcome(dry_run, f"{screen.bold(plan['verdict'])}, {would_go}", column)
    screen.paragraph(plan["next_step"], "  ")


def what_is_not_caught(cluster: Cluster, keep: bool) -> None:
    screen.step(6, "What is not caught")
    for text in (
        "Whoever reads the key can forge from then on. A superuser can fetch it, from the file or from memory.",
        "An older state of everything, put back as a whole (backup, snapshot): only with a copy of the newest seals"
        " outside this server.",
        "False content from a role that may insert: sealing proves what was stored, not that it is true.",
        "A verifier that lies: verify on a server of your own, with your own binaries.",
    ):
        screen.paragraph(text, "– ")
    screen.line()
    psql = f"psql -h {cluster.sockets} -U postgres {DATABASE}"
    if keep:
        screen.line("Try to fool it:")
        screen.line(f"  {screen.bold(psql)}")
        screen.line("  SELECT * FROM seal.verify_history();   SELECT * FROM seal.findings();")
        screen.line("  make demo-stop ends this server and removes it.")
    else:
        screen.line(f"Try to fool it: DEMO_KEEP=1 make demo, then {psql.replace(str(cluster.home), '/tmp/pgs-…')}")


def wants_to_keep() -> bool:
    wish = os.environ.get("DEMO_KEEP")
    if wish is not None:
        return wish not in ("", "0")
    return sys.stdin.isatty() and sys.stdout.isatty() and "CI" not in os.environ


def stop_kept_server(*, say: bool = False) -> None:
    """Ends the server that an earlier demo left, if the process is still that server."""
    if not STATE.exists():
        if say:
            print("no demo server is running")
        return
    state = json.loads(STATE.read_text())
    pid, home = int(state["pid"]), Path(state["home"])
    if str(home) in command_line(pid):
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + 30
        while command_line(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
    if home.name.startswith("pgs-"):
        shutil.rmtree(home, ignore_errors=True)
    STATE.unlink()
    if say:
        print("the demo's server is stopped and removed")


def command_line(pid: int) -> str:
    """A process's command line; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
