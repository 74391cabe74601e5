"""Who is measured: the same table, unprotected, with the tutorial's trigger, and sealed in two ways."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from support.database import Database

SQL = Path(__file__).parent / "sql"


def sql(name: str) -> str:
    return (SQL / name).read_text()


@dataclass(frozen=True)
class Variant:
    """A way to keep a history: the files that set it up, and the question whether the history is whole."""

    name: str
    title: str
    files: tuple[str, ...]
    check: str | None = None
    """A query with one value: a verdict, or how many faults there are."""

    def set_up(self, database: Database) -> None:
        for file in self.files:
            database.run(sql(file))

    def verdict(self, database: Database) -> str:
        """What the variant's own check says of its history."""
        if self.check is None:
            return "–"
        found = database.value(self.check)
        if isinstance(found, int):
            return "intact" if found == 0 else f"{found:,} breaks"
        return str(found)


VERIFY = "SELECT verdict FROM seal.verify_history()"

PLAIN = Variant("plain", "plain", ("plain.sql",))
PGCRYPTO = Variant("pgcrypto", "pgcrypto trigger", ("plain.sql", "pgcrypto.sql"), sql("pgcrypto_check.sql"))
PGSEAL = Variant("pgseal", "pgseal", ("plain.sql", "pgseal.sql"), VERIFY)
ONE_CHAIN = Variant("one_chain", "pgseal, one chain", ("plain.sql", "pgseal_one_chain.sql"), VERIFY)
SEALED = (PGSEAL, ONE_CHAIN)
ALL = {variant.name: variant for variant in (PLAIN, PGCRYPTO, *SEALED)}
