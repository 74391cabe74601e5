-- Roles, schema and tables. Every table is empty after CREATE EXTENSION, so that dump and restore
-- bring each row back exactly once.

DO $roles$
DECLARE
    role_name pg_catalog.name;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['pgseal_auditor', 'pgseal_operator', 'pgseal_admin'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role_name) THEN
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', role_name);
        END IF;
    END LOOP;
END
$roles$;

CREATE SCHEMA seal;
COMMENT ON SCHEMA seal IS 'pgseal: tamper-evident history tables';

CREATE TABLE seal.history (
    history_id    uuid PRIMARY KEY,
    relation      regclass NOT NULL,
    tenant_column text COLLATE "C",
    max_chains    integer,
    window_months integer,
    epoch         integer NOT NULL,
    epoch_digest  bytea NOT NULL,
    attached_at   timestamp with time zone NOT NULL,
    attached_by   text NOT NULL,
    detached_at   timestamp with time zone,
    detached_by   text,
    mac           bytea NOT NULL,
    detach_mac    bytea
);
CREATE UNIQUE INDEX ON seal.history (relation) WHERE detached_at IS NULL;
COMMENT ON TABLE seal.history IS 'The sealed tables and their settings. Written by pgseal only; every row carries a mac under the history''s key.';
COMMENT ON COLUMN seal.history.history_id IS 'Part of every entry''s signature; survives rename, dump and restore.';
COMMENT ON COLUMN seal.history.relation IS 'The table; the root of a partitioned one. Not part of the mac, since dump and restore change it.';
COMMENT ON COLUMN seal.history.epoch IS 'Number of the epoch in force.';
COMMENT ON COLUMN seal.history.epoch_digest IS 'SHA-256 of that epoch''s record.';
COMMENT ON COLUMN seal.history.mac IS 'HMAC over the settings of this row.';
COMMENT ON COLUMN seal.history.detach_mac IS 'HMAC over time and user of the detachment; NULL if there was no key at the time.';

CREATE TABLE seal.epoch (
    history_id uuid NOT NULL,
    epoch      integer NOT NULL,
    record     jsonb NOT NULL,
    mac        bytea NOT NULL,
    PRIMARY KEY (history_id, epoch)
);
COMMENT ON TABLE seal.epoch IS 'Which key and which columns were in force: one row per history and epoch. The digest of the record is part of the epoch''s key.';
COMMENT ON COLUMN seal.epoch.record IS 'id (random), key (its id), columns (id, name, type, default of an added one), tenant, baseline, previous (digest of the epoch before).';

CREATE TABLE seal.journal (
    at         timestamp with time zone NOT NULL,
    who        text NOT NULL,
    kind       text NOT NULL,
    history    text,
    sentence   text NOT NULL,
    details    jsonb NOT NULL,
    history_id uuid,
    chain      text COLLATE "C" NOT NULL,
    seq        bigint NOT NULL,
    anchor     bigint NOT NULL,
    key        text NOT NULL,
    prev       bytea NOT NULL,
    mac        bytea NOT NULL,
    PRIMARY KEY (chain, seq)
);
COMMENT ON TABLE seal.journal IS
'What administrators did: the truth about all settings, in a sealed chain of its own. Written by pgseal only, when the transaction commits.
Example: SELECT at, who, kind, history, sentence FROM seal.journal ORDER BY at;';
COMMENT ON COLUMN seal.journal.who IS 'The session''s user.';
COMMENT ON COLUMN seal.journal.kind IS 'attach, epoch, detach, definition, acknowledge, window, hold, release, verify, cut, clock, checkpoint, schedule, key, retire, export or stream.';
COMMENT ON COLUMN seal.journal.history IS 'Name of the table at the time.';
COMMENT ON COLUMN seal.journal.anchor IS 'Number of the newest anchor that was published before; 0: none.';

CREATE TABLE seal.anchor (
    chain     text COLLATE "C" NOT NULL,
    number    bigint NOT NULL,
    at        timestamp with time zone NOT NULL,
    complete  boolean NOT NULL,
    heads     jsonb NOT NULL,
    boot      text NOT NULL,
    boot_time bigint NOT NULL,
    key       text NOT NULL,
    prev      bytea NOT NULL,
    mac       bytea NOT NULL,
    PRIMARY KEY (chain, number)
);
COMMENT ON TABLE seal.anchor IS
'Where all chains stood, every few seconds with changes, in a sealed chain of its own. Each entry names the newest anchor. Written by pgseal''s worker only.
Example: SELECT number, at, heads FROM seal.anchor ORDER BY at DESC LIMIT 1;';
COMMENT ON COLUMN seal.anchor.complete IS 'Whether it has all chains, or those that changed since the anchor before.';
COMMENT ON COLUMN seal.anchor.heads IS 'By history id (or journal, or anchors: earlier chains of anchors), by chain: position and signature of the newest entry.';
COMMENT ON COLUMN seal.anchor.boot IS 'The operating system''s id of its boot.';
COMMENT ON COLUMN seal.anchor.boot_time IS 'Microseconds since that boot, whatever the clock says.';

CREATE TABLE seal.run (
    id     bigint PRIMARY KEY,
    record jsonb NOT NULL
);
COMMENT ON TABLE seal.run IS 'Every recorded run; the view seal.verification shows them. The journal has the digest of each record. Written by pgseal only.';
CREATE INDEX ON seal.run ((record ->> 'history_id'), id);
CREATE INDEX ON seal.run ((record ->> 'history_id'), id)
    WHERE record ->> 'verdict' IN ('intact', 'intact_in_window', 'tampered') AND record ->> 'findings_new' = '0';
CREATE SEQUENCE seal.run_id;
COMMENT ON SEQUENCE seal.run_id IS 'Numbers of runs; a gap is a run that was rolled back.';

CREATE TABLE seal.checkpoint (
    history_id uuid PRIMARY KEY,
    record     jsonb NOT NULL
);
COMMENT ON TABLE seal.checkpoint IS
'Up to where each history was verified by the last run that found it intact: by chain position and signature, and how many entries each tenant has there. The journal has the digest of each record. Written by pgseal only.
Example: SELECT record -> ''run'' AS run, record -> ''chains'' AS chains FROM seal.checkpoint;';

SELECT pg_catalog.pg_extension_config_dump('seal.journal', '');
SELECT pg_catalog.pg_extension_config_dump('seal.run', '');
SELECT pg_catalog.pg_extension_config_dump('seal.checkpoint', '');
SELECT pg_catalog.pg_extension_config_dump('seal.run_id', '');
SELECT pg_catalog.pg_extension_config_dump('seal.anchor', '');
SELECT pg_catalog.pg_extension_config_dump('seal.history', '');
SELECT pg_catalog.pg_extension_config_dump('seal.epoch', '');
