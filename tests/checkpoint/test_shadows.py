"""Operators, functions and views that somebody puts in the way of names are not the ones that are meant."""

from __future__ import annotations

import pytest

from support.checkpointing import add, answer, assert_full, assert_rests, checkpoint
from support.database import Database
from support.sealing import history
from support.tampering import triggers_off

EQUALITY = "CREATE OPERATOR {0}.= (leftarg = {1}, rightarg = {1}, function = shadow.{2})"
SHADOWS = {
    "equality in a schema of the path": EQUALITY.format("shadow", "text", "never"),
    "equality in the temporary schema": EQUALITY.format("pg_temp", "text", "never"),
    "equality of a type in the server's own": EQUALITY.format("pg_catalog", "varchar", "vary"),
    "less": "CREATE OPERATOR shadow.< (leftarg = text, rightarg = text, function = shadow.never)",
    "greater": "CREATE OPERATOR shadow.> (leftarg = text, rightarg = text, function = shadow.never)",
    "functions": "CREATE FUNCTION shadow.encode(bytea, text) RETURNS text LANGUAGE sql AS $$ SELECT 'ab' $$",
    "a view": "CREATE TEMPORARY VIEW h AS SELECT * FROM public.h WHERE tenant <> 'acme'",
}


@pytest.mark.parametrize("what", SHADOWS)
def test_shadows(db: Database, what: str) -> None:
    """Whatever the caller's path finds first."""
    history(db, "h", "id int PRIMARY KEY, tenant varchar(20), note text", "tenant_column => 'tenant'")
    db.run("CREATE INDEX ON h (tenant)")
    add(db, 1, 4, "acme")
    add(db, 5, 6, "zeta")
    checkpoint(db)
    add(db, 13, 14, "acme")
    db.run(
        "CREATE SCHEMA shadow;"
        " CREATE FUNCTION shadow.never(text, text) RETURNS bool LANGUAGE sql AS $$ SELECT false $$;"
        " CREATE FUNCTION shadow.vary(varchar, varchar) RETURNS bool LANGUAGE sql AS $$ SELECT false $$;"
        " CREATE TEMPORARY TABLE makes_the_schema (id int)"
    )
    db.run(SHADOWS[what])
    db.run("SET search_path = shadow, pg_temp, public, pg_catalog")
    assert_rests(answer(db, "acme", "public.h"), 6, since=2)
    with triggers_off(db.connection, "public.h"):
        db.run("UPDATE public.h SET note = 'x' WHERE id = 3")
    assert_full(answer(db, "acme", "public.h"), "tampered")
