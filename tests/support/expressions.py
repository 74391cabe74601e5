"""A history with expressions that PostgreSQL prints otherwise once it has read its own text.

    expressive(db)         table expressive, a row in it, all in anchors
    printed(db)            by name, how the server prints each CHECK now
"""

from __future__ import annotations

from support.database import Database
from support.witnessing import anchored

# `word` and `other` are varchar, `amount` is numeric.
CHECKS = {
    "listed": "word IN ('a', 'it''s [b], (c)', '(ARRAY[d])::text[]')",
    "unlisted": "word NOT IN (other, 'x', lower(other), 'y')",
    "amounts": "amount = ANY (ARRAY[1, 2])",
    "ranged": "id BETWEEN 1 AND 5 AND amount > 0",
    "nested": "takes_text(ARRAY[[word, other], [other, word]])",
    "collated": "word IN ('a' COLLATE \"C\", 'b')",
}


def expressive(db: Database) -> None:
    """The same in a CHECK, an index, a policy, a trigger, a generated column, a default, a rule and a domain."""
    some = CHECKS["listed"]
    checks = ", ".join(f"CONSTRAINT {name} CHECK ({text} OR amount = 0)" for name, text in CHECKS.items())
    db.run(f"""
        CREATE FUNCTION takes_text(text[]) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';
        CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE DOMAIN choice AS varchar CHECK (VALUE IN ('a', 'b'));
        CREATE TABLE expressive (
            id int PRIMARY KEY, word varchar(20), other varchar DEFAULT 'a', amount numeric DEFAULT 0,
            choice choice DEFAULT 'a', words varchar[] DEFAULT ARRAY['a'::varchar] || ARRAY['b'::text],
            is_listed bool GENERATED ALWAYS AS ({some}) STORED, {checks});
        CREATE INDEX expressive_some ON expressive (id) WHERE {some};
        CREATE POLICY listed ON expressive USING ({some}) WITH CHECK (id BETWEEN 1 AND 5 AND amount > 0);
        CREATE TRIGGER listed AFTER INSERT ON expressive FOR EACH ROW WHEN (new.word IN ('a', 'b'))
            EXECUTE FUNCTION nothing();
        CREATE RULE listed AS ON UPDATE TO expressive WHERE old.word IN ('a', 'b') DO INSTEAD NOTHING;
        SELECT seal.attach('expressive');
        INSERT INTO expressive (id, word) VALUES (1, 'a');
    """)
    anchored(db)


def printed(db: Database) -> dict[str, str]:
    return dict(
        db.rows(
            """SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
                WHERE conrelid = 'expressive'::regclass AND contype = 'c'"""
        )
    )
