#!/usr/bin/env python3
"""make bench: a plain table, the tutorial's pgcrypto trigger and pgseal, side by side.

Rounds of alternating runs, all with fsync on; the table shows medians, and ratios within the rounds. About an hour on
2 cores; --quick takes some minutes and is only a first look. A whole run writes results.json, .md and .svg beside this
file; a quick one, or one of some parts, into target/bench.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from catalogue import FULL, QUICK
from figures import Figures
from progress import progress
from publish import PUBLISHED, RESULTS, UNPUBLISHED, publish
from server import SETTINGS, place
from support.cluster import ROOT, Cluster
from table import caption, terminal
from variants import ALL
from workloads import PARTS, Benchmark


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few short runs, for a first look")
    parser.add_argument("--rounds", type=int, help="alternating rounds of each measurement")
    parser.add_argument("--only", nargs="+", choices=ALL, default=list(ALL), metavar="VARIANT", help=", ".join(ALL))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    if arguments.rounds:
        plan = replace(plan, rounds=arguments.rounds)
    variants = [ALL[name] for name in arguments.only]
    whole = not arguments.quick and plan.rounds >= FULL.rounds and variants == list(ALL.values())
    whole = whole and arguments.parts == list(PARTS)

    with Cluster(defaults=SETTINGS) as cluster:
        figures = Figures(plan, place(cluster))
        benchmark = Benchmark(cluster, variants, plan, figures)
        try:
            for part in arguments.parts:
                PARTS[part](benchmark)
        except KeyboardInterrupt:
            whole, figures.interrupted = False, True
        except Exception:
            # What was measured so far is not to be measured again.
            figures.save(UNPUBLISHED / RESULTS)
            raise
    progress("")
    print(f"{caption(figures)}\n\n{terminal(figures, variants)}\n")
    folder = PUBLISHED if whole else UNPUBLISHED
    figures.save(folder / RESULTS)
    for path in publish(folder):
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
