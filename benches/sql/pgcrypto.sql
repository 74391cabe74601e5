-- The hash chain of the usual tutorial: a plpgsql trigger with pgcrypto, writers queued behind an advisory lock.
CREATE EXTENSION pgcrypto;

ALTER TABLE history ADD COLUMN prev_hash bytea, ADD COLUMN hash bytea NOT NULL;

CREATE FUNCTION history_link(prev bytea, tenant text, at timestamptz, payload jsonb) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
    SELECT hmac(
        coalesce(prev, ''::bytea) || convert_to(concat_ws('|', tenant, extract(epoch FROM at), payload), 'UTF8'),
        'a secret that stands in the function', 'sha256')
$$;

CREATE FUNCTION history_chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(4711);
    SELECT hash INTO NEW.prev_hash FROM history ORDER BY id DESC LIMIT 1;
    NEW.hash := history_link(NEW.prev_hash, NEW.tenant, NEW.at, NEW.payload);
    RETURN NEW;
END
$$;

CREATE TRIGGER history_chain BEFORE INSERT ON history FOR EACH ROW EXECUTE FUNCTION history_chain();
