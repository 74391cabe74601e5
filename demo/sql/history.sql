-- An ordinary history table, and an application that may only insert.
CREATE TABLE history (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant  text NOT NULL,
    at      timestamptz NOT NULL,
    payload jsonb NOT NULL
);
CREATE ROLE app LOGIN;
GRANT INSERT ON history TO app;
