"""psql: scripts with \\i, ON_ERROR_ROLLBACK, \\copy, PREPARE and EXECUTE, \\gset and \\gexec."""

from __future__ import annotations

import re
from pathlib import Path

from support.application import assert_recorded
from support.database import Database


def script(db: Database, name: str, text: str) -> Path:
    """A file that psql, as the server's user, can read."""
    path = db.cluster.home / f"{db.name}-{name}"
    path.write_text(text)
    path.chmod(0o644)
    return path


def test_a_script_that_goes_on_after_errors(app: Database) -> None:
    """With ON_ERROR_ROLLBACK each statement has a savepoint of its own."""
    inserts = script(
        app,
        "inserts.sql",
        """INSERT INTO h (tenant) VALUES ('acme');
           INSERT INTO h (tenant) VALUES ('umbrella'), ('nobody');
           UPDATE h SET tenant = 'umbrella';
           INSERT INTO h (tenant) VALUES ('umbrella');""",
    )
    done = app.psql(
        rf"""\set ON_ERROR_ROLLBACK on
             \set ON_ERROR_STOP off
             \set VERBOSITY verbose
             BEGIN;
             \i {inserts}
             DELETE FROM h;
             \i {inserts}
             COMMIT;"""
    )
    assert re.findall(r"ERROR:  (\w{5})", done.stderr) == ["23514", "55000", "55000", "23514", "55000"]
    assert done.stderr.count("HINT:  Insert a new row that corrects the old one.") == 3
    assert_recorded(app, 4)


def test_a_script_that_stops_at_the_first_error(app: Database) -> None:
    inserts = script(app, "stops.sql", "INSERT INTO h DEFAULT VALUES;\nDELETE FROM h;\nINSERT INTO h DEFAULT VALUES;\n")
    done = app.cluster.run("psql", "-X", "-1", "-v", "ON_ERROR_STOP=1", "-d", app.name, "-f", inserts, check=False)
    assert done.returncode == 3 and 'DELETE is not allowed on history "public.h"' in done.stderr
    assert_recorded(app, 0)


def test_copy_of_a_file(app: Database) -> None:
    lines = script(app, "lines.csv", "tenant,payload\n" + 'acme,"{""a"": 1}"\numbrella,{}\n' * 50)
    options = "WITH (FORMAT csv, HEADER)"
    done = app.psql(rf"\copy h FROM {lines} {options}", check=False)
    assert done.returncode != 0 and 'COPY into history "public.h" needs a list of columns' in done.stderr
    assert "HINT:  Name the columns that the data has: COPY public.h (id, tenant, at, payload) FROM …" in done.stderr
    assert app.psql(f"\\unset QUIET\n\\copy h (tenant, payload) FROM {lines} {options}").stdout == "COPY 100\n"
    assert_recorded(app, 100)


def test_prepared_by_name(app: Database) -> None:
    app.psql(
        """PREPARE add (text, int) AS INSERT INTO h (tenant, payload) VALUES ($1, to_jsonb($2));
           EXECUTE add ('acme', 1); EXECUTE add ('acme', 2); EXECUTE add ('umbrella', 3);
           EXECUTE add ('acme', 4); EXECUTE add ('acme', 5); EXECUTE add ('acme', 6);
           ALTER TABLE h ADD COLUMN origin text DEFAULT 'here';
           EXECUTE add ('acme', 7);
           BEGIN; EXECUTE add ('acme', 8); ROLLBACK;
           EXECUTE add ('umbrella', 9);
           DEALLOCATE add;"""
    )
    assert app.value("SELECT array_agg(payload::int ORDER BY id) FROM h") == [1, 2, 3, 4, 5, 6, 7, 9]
    assert_recorded(app, 8)


def test_variables_and_generated_statements(app: Database) -> None:
    done = app.psql(
        r"""INSERT INTO h (tenant) VALUES ('acme') RETURNING id, seal_seq AS place \gset
            \echo :id :place
            SELECT format('INSERT INTO h (payload) VALUES (%L)', g) FROM generate_series(1, 5) g \gexec"""
    )
    assert done.stdout.split("\n")[0] == "1 1"
    assert_recorded(app, 6)
