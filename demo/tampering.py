"""Six ways to change history, each on a row of its own, and the way back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from session import Session

Row = dict[str, Any]
Finding = tuple[str, str, int, int, str]  # kind, chain, first and last position, detail

VERSION_1_10 = re.compile(r"(?<![\d.])1\.10(?!\d)")


@dataclass(frozen=True)
class Attack:
    """What is shown, and what is run (the same, but for what would not fit into a line)."""

    shown: str
    statement: str
    touched: int | None  # the row to be put back


class Tampering:
    """Chooses the victims among the rows of a history and keeps copies of them."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.rows: list[Row] = session.rows("SELECT id, tenant, payload, seal_chain, seal_seq FROM history ORDER BY id")
        self.chains: dict[str, list[Row]] = {}
        for row in sorted(self.rows, key=lambda row: row["seal_seq"]):
            self.chains.setdefault(row["seal_chain"], []).append(row)
        self.by_length = sorted(self.chains.values(), key=len, reverse=True)
        self.used: set[int] = set()
        self.before: set[Finding] = set()

    def attacks(self) -> list[Attack]:
        # Those that need a certain row choose first.
        value, old_payload = self._value(), self._old_payload()
        return [value, self._middle(), self._newest(), self._forged(), self._tenant(), old_payload]

    # -- the six --------------------------------------------------------------------------------------------------

    def _value(self) -> Attack:
        """One version in one event: 1.10 becomes 1.1, or where there is none, its last digit another."""
        versions = [row for row in self.rows if row["payload"].get("to") and not self._is_newest(row)]
        row = next((row for row in versions if VERSION_1_10.search(row["payload"]["to"])), versions[len(versions) // 2])
        old = row["payload"]["to"]
        new = VERSION_1_10.sub("1.1", old)
        if new == old:
            new = re.sub(r"\d(?=\D*$)", lambda digit: str((int(digit.group()) + 1) % 10), old)
        statement = f"UPDATE history SET payload['to'] = '\"{new}\"' WHERE id = {row['id']}"
        return self._attack(row, f"{statement} -- was {old}", statement)

    def _middle(self) -> Attack:
        row = self._pick(self._chain(0), 0.5)
        statement = f"DELETE FROM history WHERE id = {row['id']}"
        return self._attack(row, f"{statement} -- in the middle", statement)

    def _newest(self) -> Attack:
        row = self._chain(1)[-1]
        statement = f"DELETE FROM history WHERE id = {row['id']}"
        return self._attack(row, f"{statement} -- the newest of its chain", statement)

    def _forged(self) -> Attack:
        """The newest entry of a chain once more, one position further, as its own successor."""
        row = self._chain(2)[-1]
        statement = (
            "INSERT INTO history (tenant, at, payload, seal_chain, seal_seq, seal_epoch, seal_anchor, seal_at,"
            " seal_prev, seal_mac) SELECT tenant, at, payload, seal_chain, seal_seq + 1, seal_epoch, seal_anchor,"
            f" seal_at, seal_mac, seal_mac FROM history WHERE id = {row['id']}"
        )
        shown = f"INSERT INTO history SELECT … seal_seq + 1 … WHERE id = {row['id']} -- one more"
        return Attack(shown, statement, None)

    def _tenant(self) -> Attack:
        row = self._pick(self._chain(3), 0.33)
        other = next(other["tenant"] for other in self.rows if other["tenant"] != row["tenant"])
        statement = f"UPDATE history SET tenant = '{other}' WHERE id = {row['id']}"
        return self._attack(row, f"{statement} -- was {row['tenant']}", statement)

    def _old_payload(self) -> Attack:
        """What was said of a package before takes the place of what was said later: another version, best."""
        first: dict[str, Row] = {}
        for row in sorted(self.rows, key=lambda row: int(row["payload"]["line"])):
            version = row["payload"].get("to")
            older = first.setdefault(row["payload"].get("package"), row) if version else row
            if older["payload"].get("to") != version and self._is_free(row):
                break
        else:
            older, row = self.rows[0], self._pick(self._chain(4), 0.7)
        source = f"(SELECT payload FROM history WHERE id = {older['id']})"
        statement = f"UPDATE history SET payload = {source} WHERE id = {row['id']}"
        return self._attack(row, statement.replace(source, f"(that of {older['id']})"), statement)

    # -- doing and undoing ----------------------------------------------------------------------------------------

    def new_findings(self) -> list[Finding]:
        """What seal.findings() says now and did not say when last asked."""
        rows = self.session.rows("SELECT kind, chain, position, last_position, detail FROM seal.findings()")
        now: set[Finding] = {tuple(row.values()) for row in rows}
        new = sorted(now - self.before, key=str)
        self.before = now
        return new

    def keep(self, attacks: list[Attack]) -> None:
        """Copies the victims."""
        ids = ", ".join(str(attack.touched) for attack in attacks if attack.touched is not None)
        self.session.run(f"CREATE TABLE kept AS SELECT * FROM history WHERE id IN ({ids})")
        self.last_id = max(row["id"] for row in self.rows)

    def switch_off(self) -> list[str]:
        """Every trigger of the table, after those that watch DDL. Returns the statements."""
        enable = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}
        watching = self.session.rows("SELECT evtname AS name, evtenabled AS mode FROM pg_event_trigger ORDER BY 1")
        triggers = self.session.rows(
            "SELECT tgname AS name, tgenabled AS mode FROM pg_trigger"
            " WHERE tgrelid = 'history'::regclass AND NOT tgisinternal ORDER BY 1"
        )
        self.switch_on = [f"ALTER TABLE history {enable[row['mode']]} TRIGGER {row['name']};" for row in triggers]
        self.switch_on += [f"ALTER EVENT TRIGGER {row['name']} {enable[row['mode']]};" for row in watching]
        statements = [f"ALTER EVENT TRIGGER {row['name']} DISABLE;" for row in watching]
        statements.append("ALTER TABLE history DISABLE TRIGGER ALL;")
        self.session.run("\n".join(statements))
        return statements

    def undo(self) -> None:
        """Puts every row back byte for byte, and each trigger back to how it was."""
        self.session.run(
            "BEGIN;\n"
            f"DELETE FROM history WHERE id IN (SELECT id FROM kept) OR id > {self.last_id};\n"
            "INSERT INTO history OVERRIDING SYSTEM VALUE SELECT * FROM kept;\n"
            "DROP TABLE kept;\n" + "\n".join(self.switch_on) + "\nCOMMIT;\n"
        )

    # -- victims --------------------------------------------------------------------------------------------------

    def _attack(self, row: Row, shown: str, statement: str) -> Attack:
        self.used.add(row["id"])
        return Attack(shown, statement, row["id"])

    def _chain(self, number: int) -> list[Row]:
        return self.by_length[number % len(self.by_length)]

    def _is_newest(self, row: Row) -> bool:
        return self.chains[row["seal_chain"]][-1] is row

    def _is_free(self, row: Row) -> bool:
        """Neither chosen already, nor beside a chosen row, nor at the end of its chain."""
        chain, position = self.chains[row["seal_chain"]], row["seal_seq"]
        around = chain[max(0, position - 3) : position + 2]
        return position + 2 < len(chain) and not any(neighbour["id"] in self.used for neighbour in around)

    def _pick(self, chain: list[Row], part: float) -> Row:
        """The first free row from a certain part of the chain on."""
        start = int(len(chain) * part)
        return next((row for row in chain[start:] + chain[:start] if self._is_free(row)), chain[start])
