"""The page as it stands, line by line, with what differs from run to run masked."""

from __future__ import annotations

from pathlib import Path

from support.anchoring import settle
from support.cluster import ROOT
from support.database import Database
from support.markdown import named
from support.reporting import headline, masked, report, section
from support.sealing import history
from support.windows import add, damage, ledger

INTACT = Path(__file__).with_name("intact.txt")
TAMPERED = """\
PGSEAL REPORT: TAMPERED
Something is not as it was sealed: see the findings. Who did it, and why, this page does not say."""


def test_all_is_well(sealed: Database) -> None:
    assert masked(report(sealed)) + "\n" == INTACT.read_text()


def test_the_page_in_the_documentation_is_the_same() -> None:
    """But for values: its labels, in their order."""
    shown = named(ROOT / "docs" / "report.md", "a report").split("\n")
    labels = [line[:13].strip() for line in INTACT.read_text().split("\n")]
    assert [line[:13].strip() for line in shown] == labels


def test_a_tenant_and_a_period(sealed: Database) -> None:
    text = report(sealed, tenant="acme", history="h", since="2020-01-01", until="2120-01-01")
    assert headline(text) == "INTACT"
    assert section(text, "Asked") == [
        "tenant 'acme', public.h, from 2020-01-01 00:00:00 UTC to 2120-01-01 00:00:00 UTC;"
        " the period limits what is counted and listed, the verdict is about all times"
    ]
    assert section(masked(text), "Verdict") == [
        "intact: 3 entries of tenant 'acme', all valid, sealed from «time» to «time»; 3 of them in the asked period"
    ]
    assert section(text, "Changes")[0] == "2 by administrators in the asked period"


def test_a_period_without_entries_never_looks_like_success(sealed: Database) -> None:
    text = report(sealed, until="2020-01-01")
    assert headline(text) == "INTACT, BUT NOTHING WAS SEALED IN THE ASKED PERIOD"
    assert section(text, "Verdict")[0].endswith("; NONE OF THEM IN THE ASKED PERIOD")
    assert section(text, "Changes") == ["none by administrators in the asked period"]


def test_limits_of_a_period(sealed: Database) -> None:
    """The first moment belongs to it, the last does not."""
    first, second = (at for (at,) in sealed.rows("SELECT seal_at::text FROM h WHERE id IN (1, 4) ORDER BY id"))
    assert "; 3 of them in" in section(report(sealed, since=first, until=second), "Verdict")[0]
    assert "; 2 of them in" in section(report(sealed, since=second), "Verdict")[0]
    assert "; 5 of them in" in section(report(sealed, since="-infinity", until="2100-01-01"), "Verdict")[0]
    assert "of them in" not in section(report(sealed, since="-infinity", until="infinity"), "Verdict")[0]


def test_findings_are_sentences_with_the_next_step(sealed: Database) -> None:
    damage(sealed, "UPDATE h SET note = 'changed' WHERE id = 2", "DELETE FROM h WHERE id = 4")
    sealed.run("SELECT seal.acknowledge('lost in an accident', 'h', kind => 'missing')")
    text = masked(report(sealed))
    assert text.startswith(TAMPERED)
    assert section(text, "Verdict") == ["tampered: 4 entries, sealed from «time» to «time»"]
    assert section(text, "Findings") == [
        "2: 1 new, 1 acknowledged; 0 before the window",
        'new: entry 2 was changed after it was sealed (chain main.«tag», row {"id": 2})',
        "acknowledged: entry 4 was removed (chain main.«tag»); by postgres on «time»: lost in an accident",
        "Next step: cause not determined; the original value cannot be recovered from pgseal, look into a backup:"
        " SELECT * FROM seal.findings(history => 'public.h')",
    ]
    (*_, last) = section(text, "Changes")
    assert last == "«time» postgres: 1 finding of public.h was acknowledged: lost in an accident"


def test_of_many_findings_the_first_are_listed_and_all_counted(db: Database) -> None:
    ledger(db, None)
    add(db, 1, 60)
    damage(db, "UPDATE h SET note = 'x' WHERE id <= 50")
    listed = section(report(db), "Findings")
    assert listed[0].startswith("50: 50 new") and listed[-2] == "and 30 more" and len(listed) == 1 + 20 + 2


def test_nothing_attached(db: Database) -> None:
    text = report(db)
    assert headline(text) == "NOTHING SEALED"
    assert text.split("\n")[1] == "There is no entry to verify. This is not a success."
    assert section(text, "History") == ["none"] and section(text, "Verdict") == ["nothing_sealed: 0 entries"]
    next_step = "attach a table: SELECT seal.attach('TABLE', tenant_column => 'COLUMN')"
    assert section(text, "Findings") == [f"none; {next_step}"]
    assert section(text, "Anchor") == ["there is none yet"]


def test_an_unknown_tenant(sealed: Database) -> None:
    text = report(sealed, tenant="nobody")
    assert headline(text) == "NOTHING SEALED"
    assert section(text, "Findings") == ["none; no entry of tenant 'nobody' is in public.h: check the spelling"]


def test_an_empty_history_beside_another(sealed: Database) -> None:
    history(sealed, "e")
    text = report(sealed)
    assert headline(text) == "NOTHING SEALED IN 1 OF 2 HISTORIES"
    assert [name.split(",")[0] for name in (line for line in text.split("\n") if line.startswith("History"))] == [
        "History      public.h",
        "History      public.e",
    ]
    assert headline(report(sealed, history="h")) == "INTACT"


def test_what_was_attached_anew_and_what_is_not_verified_any_more(sealed: Database) -> None:
    history(sealed, "gone")
    sealed.run("SELECT seal.detach('gone')")
    sealed.run("SELECT seal.detach('h'); ALTER TABLE h ADD COLUMN extra int")
    drops = ", ".join(f"DROP COLUMN seal_{name}" for name in ("chain", "seq", "epoch", "anchor", "at", "prev", "mac"))
    sealed.run(f"ALTER TABLE h {drops}")
    sealed.run("SELECT seal.attach('h', tenant_column => 'tenant', existing => 'seal')")
    sealed.run("ALTER TABLE h ADD COLUMN later int, ADD COLUMN twice int GENERATED ALWAYS AS (id * 2) STORED")
    settle(sealed, "h")
    text = masked(report(sealed))
    assert section(text, "Sealed") == [
        "since «time» by postgres; nothing was ever pruned",
        "from «time» to «time» the table was not sealed: postgres had detached it",
        "rows from before «time» were sealed as they stood then",
        "1 column was added on «time», and signed since then: later",
    ]
    assert section(text, "Keys") == ["key 1 with fingerprint «short», epochs 1 to 3; NOT SIGNED: twice"]
    assert section(text, "Detached") == ["public.gone was detached on «time» by postgres and is not verified any more"]
    # Of the history alone: what it was before is told too.
    assert "«time» postgres: public.h was detached" in section(masked(report(sealed, history="h")), "Changes")
    assert section(report(sealed, history="h"), "Detached") == []


def test_many_chains_are_summed_up(db: Database) -> None:
    history(db)
    sessions = [db.connect(autocommit=False) for _ in range(8)]
    for number, session in enumerate(sessions):
        session.execute("INSERT INTO h VALUES (%s, 'x')", [number])
    for session in sessions:
        session.commit()
    heads = section(report(db), "Heads")
    assert len(heads) == 7 and heads[-1] == "and 2 more chains; format => 'json' has all"
    assert all(": entry 1, mac " in head for head in heads[:-1])
