"""Another scheduler can start the verification: Debian's pg_cron does."""

from __future__ import annotations

import time

from support.scheduling import scheduled
from support.sealing import history
from support.servers import Servers

JOB = "SELECT * FROM seal.verify_and_prune()"


def test_a_job_of_pg_cron(own_cluster: Servers) -> None:
    """Its shortest interval is a minute, so that is how long this takes."""
    server = own_cluster(
        {
            **scheduled(""),
            "shared_preload_libraries": "pg_cron,pgseal",
            "cron.database_name": "db1",
            "cron.use_background_workers": True,
        }
    )
    db = server.createdb(name="db1")
    db.run("CREATE EXTENSION pgseal; CREATE EXTENSION pg_cron")
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    job = db.value("SELECT cron.schedule('verify', '* * * * *', %s)", [JOB])
    deadline = time.monotonic() + 75
    while not (ended := db.rows("SELECT status, return_message FROM cron.job_run_details WHERE jobid = %s"
                                " AND end_time IS NOT NULL", [job])):  # fmt: skip
        assert time.monotonic() < deadline, db.rows("SELECT * FROM cron.job_run_details")
        time.sleep(0.2)
    assert ended[0] == ("succeeded", "SELECT 1")
    recorded = db.rows("SELECT how, history, verdict, entries FROM seal.verification")
    assert recorded == [("manual", "public.h", "intact", 1)]
