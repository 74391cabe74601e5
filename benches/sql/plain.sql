-- What everything is compared with: a history table without any protection.
CREATE TABLE history (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant  text NOT NULL,
    at      timestamptz NOT NULL,
    payload jsonb NOT NULL
);
CREATE INDEX ON history (tenant);
