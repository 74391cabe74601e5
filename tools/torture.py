#!/usr/bin/env python3
"""make torture: kill -9 under sixteen writers, round after round; all that was acknowledged is there, and whole.

Says its seed first: the same seed makes the same rounds, as far as a busy machine allows. Stops at the first fault and
keeps the server's log in target/torture.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import time

from support.cluster import ROOT
from support.servers import watched
from support.torture import SETTINGS, Torture

KEPT = ROOT / "target" / "torture"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50, help="how often the server dies (50)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9), help="any number")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, {arguments.rounds} rounds", flush=True)
    started = time.monotonic()
    with watched(SETTINGS) as server:
        torture = Torture(server, arguments.seed)
        try:
            for turn in torture.plan(arguments.rounds):
                print(torture.round(turn), flush=True)
            torture.finish()
        except BaseException:
            KEPT.mkdir(parents=True, exist_ok=True)
            shutil.copy(server.log_file, KEPT / "log")
            print(f"seed {arguments.seed}; the server's log is {KEPT / 'log'}", file=sys.stderr, flush=True)
            raise
    print(*torture.figures(), f"seconds: {time.monotonic() - started:.0f}", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
