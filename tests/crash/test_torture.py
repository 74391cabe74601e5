"""Five rounds of `make torture`: kill -9 of each kind under sixteen writers, and administrators at work meanwhile.

Every time another seed, which is printed: `make torture ARGS='--rounds 5 --seed …'` makes the same rounds.
"""

from __future__ import annotations

import random

import pytest

from support.ledger import LedgerError
from support.servers import Servers
from support.tampering import triggers_off
from support.torture import KILLS, SETTINGS, Torture, Turn

ROUNDS = 5


@pytest.mark.timeout(900)
def test_killed_again_and_again(own_cluster: Servers) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    torture = Torture(own_cluster(SETTINGS), seed)
    for turn in torture.plan(ROUNDS):
        print(torture.round(turn))
    torture.finish()
    print(*torture.figures(), sep="\n")
    assert {kill: torture.counts[f"killed: {kill}"] for kill in KILLS} == dict.fromkeys(KILLS, 1)
    assert torture.counts["verifications beside writers"] > 0
    assert torture.ledger.counts["transactions committed"] > ROUNDS * 16


@pytest.mark.timeout(900)
def test_what_it_would_notice(own_cluster: Servers) -> None:
    """An entry that vanishes after a round: first the writers miss it, then its neighbours do."""
    torture = Torture(own_cluster(SETTINGS), seed=1)
    torture.round(Turn(1, "plug", "nothing"))
    torture.finish()
    db = torture.db
    with triggers_off(db.connection, "plain"):
        removed = db.value("DELETE FROM plain WHERE id = (SELECT min(id) FROM plain WHERE seal_seq = 2) RETURNING id")
    with pytest.raises(LedgerError, match=rf"1 acknowledged, and lost: \('plain', {removed}\)"):
        torture.assert_whole()
    torture.ledger.expected.remove(("plain", removed))
    with pytest.raises(AssertionError, match="plain has a gap or a fork"):
        torture.assert_whole()
