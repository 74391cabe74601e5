"""A witness command that hangs never keeps the server from stopping."""

from __future__ import annotations

import time

import pytest

from support.sealing import history
from support.servers import Servers
from support.witnessing import AT_ONCE, Sink, set_command, until


@pytest.mark.parametrize("mode", ["fast", "smart"])
def test_a_shutdown_does_not_wait(own_cluster: Servers, mode: str) -> None:
    server = own_cluster(AT_ONCE)
    pids = Sink(server)
    set_command(server, f"trap '' TERM INT HUP QUIT; echo $$ >> {pids.path}; sleep 101 | sleep 102")
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    until(lambda: bool(pids.lines()), "it hangs")
    db.close()
    begun = time.monotonic()
    server.stop(mode)
    assert time.monotonic() - begun < 3.0
    assert server.log().count("abnormal") == 0
    (pid, *_) = pids.lines()
    sink = Sink(server, "after")
    server.settings["pgseal.witness_command"] = sink.command
    server.start()
    sink.wait_for(db)
    with pytest.raises(OSError):
        until(lambda: open(f"/proc/{pid}/stat").read() == "", deadline=1.0)  # noqa: PTH123, SIM115
    assert db.rows("SELECT verdict FROM seal.verify_history()") == [("intact",)]
