"""A history whose definition PostgreSQL prints in one way when it is made, and in another when a dump has been read.

    spelled(db)          table spelled, a row in it, all in anchors
    spellings(db)        by item, how the server prints it
"""

from __future__ import annotations

from support.database import Database
from support.witnessing import anchored

NOTES = ("'a'", "'it''s, b'", "'(ARRAY[c])'")
LIST = ", ".join(NOTES)

# Conditions that are not the one that `spelled` has.
ALTERED = (
    f"note IN ({LIST}, 'it''s', 'b')",
    f"note IN ({NOTES[1]}, {NOTES[0]}, {NOTES[2]})",
    f"note NOT IN ({LIST}) OR id < 9",
    f"note IN ({LIST}) OR other = 'c'",
    "note IN ('a', 'it''s, b', 'it''s, b')",
    "note IN ('a', 'it''s, b')",
)


def spelled(db: Database) -> None:
    """CHECK, index, policy, trigger, generated column and domain, each with such a list."""
    db.run(f"""
        CREATE DOMAIN listed_too AS varchar CHECK (VALUE IN ({LIST}));
        CREATE TABLE spelled (
            id int PRIMARY KEY, note varchar(20), other varchar DEFAULT 'a', domain listed_too DEFAULT 'a',
            is_listed bool GENERATED ALWAYS AS (note IN ({LIST}, other)) STORED,
            CONSTRAINT listed CHECK (note IN ({LIST}))
        );
        CREATE INDEX spelled_some ON spelled (id) WHERE note IN ({LIST});
        CREATE POLICY listed ON spelled USING (note IN ({LIST}));
        CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER listed AFTER INSERT ON spelled FOR EACH ROW WHEN (new.note IN ({LIST}))
            EXECUTE FUNCTION nothing();
        SELECT seal.attach('spelled');
        INSERT INTO spelled VALUES (1, 'a'), (2, 'it''s, b');
    """)
    anchored(db)


def spellings(db: Database) -> dict[str, str]:
    return dict(
        db.rows("""
            SELECT 'check', pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'listed'
            UNION ALL SELECT 'domain', pg_get_constraintdef(oid) FROM pg_constraint
                       WHERE contypid = 'listed_too'::regtype
            UNION ALL SELECT 'generated', pg_get_expr(adbin, adrelid) FROM pg_attrdef
                       WHERE adrelid = 'spelled'::regclass AND adnum = 5
            UNION ALL SELECT 'index', pg_get_indexdef('spelled_some'::regclass)
            UNION ALL SELECT 'policy', pg_get_expr(polqual, polrelid) FROM pg_policy
                       WHERE polrelid = 'spelled'::regclass
            UNION ALL SELECT 'trigger', pg_get_triggerdef(oid) FROM pg_trigger
                       WHERE tgrelid = 'spelled'::regclass AND tgname = 'listed'""")
    )
