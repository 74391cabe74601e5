-- The tutorial's own check: how many rows are not linked to the one before, or do not have the hash they should.
SELECT count(*)
FROM (
    SELECT prev_hash IS DISTINCT FROM lag(hash) OVER (ORDER BY id) AS unlinked,
           hash <> history_link(prev_hash, tenant, at, payload) AS changed
    FROM history
) AS entry
WHERE unlinked OR changed
