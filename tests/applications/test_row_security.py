"""Row-level security: who may insert and see which entries, and that the auditor's answer covers all of them."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from support.application import assert_recorded
from support.database import Database
from support.roles import Roles
from support.sealing import append_only, refused

Session = psycopg.Connection[Any]
NEW_ROW = 'new row violates row-level security policy for table "h"'


@pytest.fixture
def acme(app: Database, roles: Roles) -> Session:
    """A session whose role stands for one tenant: inserts for it, and sees its entries only."""
    session = roles.session("acme")
    app.run(f"""GRANT INSERT, SELECT, UPDATE, DELETE ON h TO {session.info.user};
                CREATE POLICY own ON h TO {session.info.user} USING (tenant = 'acme');
                ALTER TABLE h ENABLE ROW LEVEL SECURITY""")
    return session


def count(session: Session) -> int:
    ((number,),) = session.execute("SELECT count(*) FROM h").fetchall()
    return int(number)


def test_inserts_of_ones_own_tenant_only(app: Database, acme: Session) -> None:
    app.run("INSERT INTO h (tenant) VALUES ('umbrella'), ('umbrella')")
    acme.execute("INSERT INTO h (tenant) VALUES ('acme')")
    assert acme.execute("INSERT INTO h (tenant) VALUES ('acme') RETURNING seal_seq").fetchall() == [(4,)]
    with refused("42501", NEW_ROW):
        acme.execute("INSERT INTO h (tenant) VALUES ('acme'), ('umbrella')")
    acme.execute("INSERT INTO h (id, tenant) VALUES (3, 'acme'), (50, 'acme') ON CONFLICT (id) DO NOTHING")
    with refused("42501", NEW_ROW):
        acme.execute("INSERT INTO h (id, tenant) VALUES (51, 'acme'), (1, 'umbrella') ON CONFLICT (id) DO NOTHING")
    assert count(acme) == 3
    assert_recorded(app, 5)


def test_changes_are_refused_or_find_nothing(app: Database, acme: Session) -> None:
    app.run("INSERT INTO h (tenant) VALUES ('umbrella'), ('acme')")
    for statement in ("UPDATE h SET payload = '1'", "DELETE FROM h"):
        with append_only(statement.split()[0]):
            acme.execute(statement.encode())
        acme.execute(f"{statement} WHERE tenant = 'umbrella'".encode())
    assert_recorded(app, 2)


def test_copy(app: Database, acme: Session) -> None:
    """The server has no COPY into a table with policies, for whom they are."""
    with refused("0A000", "COPY FROM not supported with row-level security", "Use INSERT statements instead."):
        acme.execute("COPY h (tenant) FROM STDIN")
    with app.connection.cursor() as cursor, cursor.copy("COPY h (tenant) FROM STDIN") as copy:
        copy.write("acme\numbrella\n")
    assert_recorded(app, 2)


def test_the_auditor_answers_for_what_policies_hide(app: Database, acme: Session, roles: Roles) -> None:
    app.run("INSERT INTO h (tenant) VALUES ('umbrella'), ('acme'), ('umbrella')")
    auditor = roles.session("auditor", member_of="pgseal_auditor")
    with refused("42501", "permission denied for table h"):
        count(auditor)
    answers = auditor.execute("SELECT verdict, entries, findings FROM seal.verify_history(history => 'h')").fetchall()
    assert answers == [("intact", 3, 0)]
    assert auditor.execute("SELECT verdict, entries FROM seal.verify_history('acme')").fetchall() == [("intact", 1)]
    with refused("42501", "permission denied"):
        acme.execute("SELECT * FROM seal.verify_history('acme')")
    assert_recorded(app, 3)


def test_forced_on_the_owner_too(app: Database, roles: Roles) -> None:
    """The owner inserts by policy as others do; verification does not ask by the owner's rights."""
    owner = roles.session("owner", member_of="pgseal_auditor")
    app.run(f"""ALTER TABLE h OWNER TO {owner.info.user};
                ALTER TABLE h ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
                CREATE POLICY own ON h USING (tenant = current_setting('app.tenant', true))""")
    owner.execute("SET app.tenant = 'acme'")
    owner.execute("INSERT INTO h (tenant) VALUES ('acme')")
    with refused("42501", NEW_ROW):
        owner.execute("INSERT INTO h (tenant) VALUES ('umbrella')")
    app.run("INSERT INTO h (tenant) VALUES ('umbrella')")
    assert count(owner) == 1
    assert owner.execute("SELECT verdict, entries FROM seal.verify_history(history => 'h')").fetchall() == [
        ("intact", 2)
    ]
    assert_recorded(app, 2)


def test_a_policy_that_only_lets_in(app: Database, roles: Roles) -> None:
    """Without a policy for SELECT nothing can be returned, seals neither."""
    writer = roles.session("writer")
    app.run(f"""GRANT INSERT, SELECT ON h TO {writer.info.user}; ALTER TABLE h ENABLE ROW LEVEL SECURITY;
                CREATE POLICY door ON h FOR INSERT TO {writer.info.user} WITH CHECK (tenant <> 'umbrella')""")
    writer.execute("INSERT INTO h (tenant) VALUES ('acme')")
    with refused("42501", NEW_ROW):
        writer.execute("INSERT INTO h (tenant) VALUES ('acme') RETURNING seal_mac")
    assert count(writer) == 0
    assert_recorded(app, 1)
