"""Sixteen writers, ten rotations, and days that end meanwhile: no writer sees an error, and every entry verifies."""

from __future__ import annotations

import time

from support.crowd import Crowd
from support.database import Database
from support.evolving import Evolving, answer
from support.sealing import ids, verdict

WRITERS = 16
ROTATIONS = 10
SECONDS = 20.0


def test_keys_are_rotated_while_many_write(db: Database, evolving: Evolving) -> None:
    for number in range(2, ROTATIONS + 2):
        for purpose in ("sign", "verify"):
            evolving.server.write_key(f"{number:02x}{purpose.encode()[0]:02x}" * 16, evolving.root_file.parent / f"{number}-{purpose}")
    crowd = Crowd(db, WRITERS, "READ COMMITTED", SECONDS, first_id=100)
    rotated: list[str] = []
    with db.connect() as administrator:

        def rotate() -> None:
            if len(rotated) == ROTATIONS:
                time.sleep(0.05)
                return
            (said,) = administrator.execute("SELECT seal.rotate_key()").fetchone() or ("",)
            rotated.append(said)
            if len(rotated) % 3 == 0:
                evolving.clock.forward(days=1)
                evolving.tick()
            time.sleep(0.3)

        committed = crowd.write(beside=rotate)
    assert [said.split()[1] for said in rotated] == [str(number) for number in range(2, ROTATIONS + 2)]
    assert sorted(ids(db)) == sorted([1, 2, *committed])
    epochs = [epoch for (epoch,) in db.rows("SELECT DISTINCT seal_epoch FROM h ORDER BY 1")]
    assert len(epochs) >= ROTATIONS, "writers have kept up with the rotations"
    evolving.wait_until_closed()
    assert answer(db) == []
    assert verdict(db) == "intact"
