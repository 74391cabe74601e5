"""Views over a history: those that take inserts by themselves, WITH CHECK OPTION, by trigger, by rule."""

from __future__ import annotations

import pytest

from support.application import assert_recorded
from support.database import Database
from support.roles import Roles
from support.sealing import append_only, refused

CHECKED = "CREATE VIEW acme AS SELECT id, tenant, payload FROM h WHERE tenant = 'acme' WITH {} CHECK OPTION"


@pytest.mark.parametrize("kind", ["LOCAL", "CASCADED"])
def test_with_check_option(app: Database, kind: str) -> None:
    app.run(CHECKED.format(kind))
    app.run("INSERT INTO acme (tenant, payload) VALUES ('acme', '1'), ('acme', '2')")
    with refused("44000", 'new row violates check option for view "acme"'):
        app.run("INSERT INTO acme (tenant) VALUES ('acme'), ('umbrella')")
    app.run("INSERT INTO acme (id, tenant) VALUES (1, 'acme'), (9, 'acme') ON CONFLICT (id) DO NOTHING")
    with append_only("UPDATE"):
        app.run("UPDATE acme SET payload = '3'")
    with append_only("DELETE"):
        app.run("DELETE FROM acme")
    assert app.value("SELECT count(*) FROM acme") == 3
    assert_recorded(app, 3)


def test_with_check_option_and_copy(app: Database) -> None:
    """COPY goes into a view only by a trigger of it; nothing is sealed twice or by halves."""
    app.run(CHECKED.format("LOCAL"))
    with refused("42809", 'cannot copy to view "acme"', "INSTEAD OF INSERT trigger"):
        app.run("COPY acme FROM PROGRAM 'true'")
    app.run("""CREATE FUNCTION record() RETURNS trigger LANGUAGE plpgsql AS $$
               BEGIN INSERT INTO h (tenant, payload) VALUES (NEW.tenant, NEW.payload); RETURN NEW; END $$;
               CREATE VIEW door AS SELECT tenant, payload FROM h;
               CREATE TRIGGER record INSTEAD OF INSERT ON door FOR EACH ROW EXECUTE FUNCTION record()""")
    with app.connection.cursor() as cursor, cursor.copy("COPY door FROM STDIN") as copy:
        copy.write("acme\t1\numbrella\t2\n")
    app.run("INSERT INTO door VALUES ('acme', '3'), ('acme', '4')")
    assert_recorded(app, 4)


def test_a_view_of_all_columns(app: Database, roles: Roles) -> None:
    """Its seal columns are left out like the table's; SELECT * is expanded when the view is made."""
    app.run("CREATE VIEW everything AS SELECT * FROM h; CREATE VIEW other WITH (security_invoker) AS TABLE h")
    app.run("INSERT INTO everything (tenant) VALUES ('acme')")
    app.run("INSERT INTO everything DEFAULT VALUES")
    client = roles.session("client")
    app.run(f"GRANT INSERT, SELECT ON other TO {client.info.user}")
    with refused("42501", "permission denied for table h"):
        client.execute("INSERT INTO other (tenant) VALUES ('acme')")
    app.run(f"GRANT INSERT ON h TO {client.info.user}")
    client.execute("INSERT INTO other (tenant) VALUES ('acme')")
    with refused(
        "428C9", 'column "seal_chain" of history "public.h" is filled by pgseal', "Leave the seal_ columns out"
    ):
        app.run("INSERT INTO everything SELECT * FROM everything")
    assert_recorded(app, 3)


def test_a_view_over_a_view_with_defaults_of_its_own(app: Database) -> None:
    app.run("CREATE VIEW inner_view AS SELECT id, tenant, payload FROM h WHERE tenant <> 'umbrella' WITH CHECK OPTION")
    app.run("CREATE VIEW outer_view AS SELECT tenant, payload FROM inner_view")
    app.run("ALTER VIEW outer_view ALTER COLUMN tenant SET DEFAULT 'globex'")
    app.run("INSERT INTO outer_view (payload) VALUES ('1')")
    with refused("44000", 'new row violates check option for view "inner_view"'):
        app.run("INSERT INTO outer_view (tenant) VALUES ('umbrella')")
    assert app.rows("SELECT tenant, seal_seq FROM h") == [("globex", 1)]
    assert_recorded(app, 1)


def test_a_rule_of_a_view(app: Database) -> None:
    app.run("""CREATE VIEW door AS SELECT tenant, payload FROM h;
               CREATE RULE enter AS ON INSERT TO door DO INSTEAD
                   INSERT INTO h (tenant, payload) VALUES (NEW.tenant, NEW.payload) RETURNING tenant, payload""")
    assert app.rows("INSERT INTO door VALUES ('acme', '1'), ('umbrella', '2') RETURNING tenant") == [
        ("acme",),
        ("umbrella",),
    ]
    assert_recorded(app, 2)
