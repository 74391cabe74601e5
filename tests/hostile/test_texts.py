"""Any text where a person may write one: it is taken, or refused with a SQLSTATE of ours and the place of the fault.

Valid texts are changed by some letters, so that most of what is generated comes far into what reads it. The session
lives on, and the server's log has no panic (every server's log is read at its end).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import sql

from support.cluster import Cluster
from support.database import Database
from support.refusal import BAD_PARAMETER, UNDEFINED_OBJECT, Refusal, said
from support.sealing import history

QUICK = settings(
    max_examples=20, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip

ADDRESSES = ["a@example.org", '"Roe, J" <b@example.org>, Jürgen <c@xn--bcher-kva.example>']
CRONS = ["0 3 * * *", "*/5 0-23/2 1,15 JAN-MAR 1-5", "0 0 0 L * MON#1", "@daily"]
VALID = {
    "mail_server": ["smtp+starttls://mail.example.org:587", "smtps://[2001:db8::1]:465"],
    "mail_from": ADDRESSES[:1],
    "mail_to": ADDRESSES,
    "mail_cc": ADDRESSES,
    "mail_subject": ["pgseal on %h: %s", "100%% %R"],
    "mail_text": ["%s\\n\\n%R\\n%k%d%h%t%v%n%N%r%a%m"],
    "schedule": CRONS,
    "schedule_timezone": ["Europe/Berlin", "UTC"],
}

LINE = (
    "pgseal-anchor 1 database=db chain=main.0a1b2c3d number=17 at=2026-11-21T22:00:00.123456Z full=yes heads=3 key=1"
    f" anchor={'0' * 64} mac={'1' * 64}"
)
ASKED = {
    "SELECT seal.set_schedule('h', %s)": CRONS,
    "SELECT * FROM seal.check_witness(%s)": [LINE],
    "SELECT * FROM seal.verify_history(witness => %s)": [LINE],
    "SELECT * FROM seal.check_report(%s)": ["{}", '{"format": 1, "mac": "00"}', "report\nmac: 00"],
    "SELECT * FROM seal.report(previous => %s)": ["{}", '{"format": 1}'],
    "SELECT * FROM seal.verify_history(%s)": ["acme", "h"],
    "SELECT * FROM seal.findings(%s)": ["acme", "h"],
    "SELECT seal.hold('h', %s, 'a reason')": ["acme"],
    "SELECT seal.hold('h', 'acme', %s)": ["case 12/2026"],
}

letters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
texts = st.one_of(st.text(letters, max_size=20), st.text("%<>@[]:/\"\\,#*?-+= \t\n09az", max_size=6))


@st.composite
def spoilt(draw: st.DrawFn, valid: list[str]) -> str:
    """A valid text of which a part, maybe empty, is another one."""
    text = draw(st.sampled_from(valid))
    first = draw(st.integers(0, len(text)))
    last = draw(st.integers(first, min(first + 3, len(text))))
    return text[:first] + draw(texts) + text[last:]


@pytest.fixture(scope="module")
def hostile(cluster: Cluster) -> Iterator[Database]:
    with cluster.database() as database:
        history(database, "h", "id int PRIMARY KEY, tenant text", "'tenant'")
        database.run("INSERT INTO h VALUES (1, 'acme'), (2, NULL)")
        yield database


def refused(db: Database, statement: str | sql.Composable, parameters: list[str] | None = None) -> Refusal | None:
    """What is said of it; None where it is taken. A query leaves nothing, and the session is the same afterwards."""
    session = db.connection
    process = session.info.backend_pid
    heard = None
    try:
        if isinstance(statement, str):
            with session.transaction(force_rollback=True):
                session.execute(statement.encode(), parameters)
        else:
            session.execute(statement, parameters)
    except psycopg.Error as error:
        heard = said(error.diag)
    assert session.execute("SELECT pg_backend_pid()").fetchone() == (process,)
    return heard


@pytest.mark.parametrize("name", VALID)
def test_a_setting(hostile: Database, name: str) -> None:
    setting = sql.SQL("pgseal.") + sql.Identifier(name)

    @QUICK
    @given(spoilt(VALID[name]))
    def try_it(text: str) -> None:
        heard = refused(hostile, sql.SQL("ALTER SYSTEM SET {} = {}").format(setting, sql.Literal(text)))
        if heard is None:
            return
        assert heard.state == BAD_PARAMETER, heard
        if "\n" in text and "newline" in heard.message:
            return
        assert heard.message == f'invalid value for parameter "pgseal.{name}"' or text in heard.message, heard
        if place := re.match(r"At byte ([0-9]+)", heard.detail):
            assert 1 <= int(place[1]) <= len(text.encode()) + 1, heard

    try:
        try_it()
    finally:
        hostile.run(f"ALTER SYSTEM RESET pgseal.{name}")


@pytest.mark.parametrize("statement", ASKED)
def test_an_argument(hostile: Database, statement: str) -> None:
    @QUICK
    @given(spoilt(ASKED[statement]))
    def try_it(text: str) -> None:
        heard = refused(hostile, statement, [text])
        assert heard is None or heard.state in (BAD_PARAMETER, UNDEFINED_OBJECT), (text, heard)

    try_it()
