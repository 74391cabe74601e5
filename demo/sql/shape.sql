-- Gaps and forks, counted from the columns alone: pgseal is not asked.
--   gap   a position that is not the one after the position before it
--   fork  an entry that shares its predecessor with another, or does not name the entry before it
SELECT json_build_object(
    'entries', count(*),
    'chains', array_agg(DISTINCT seal_chain ORDER BY seal_chain),
    'gaps', count(*) FILTER (WHERE seal_seq <> coalesce(before_seq, 0) + 1),
    'forks', count(*) FILTER (WHERE sharing > 1 OR seal_prev <> coalesce(before_mac, decode(repeat('00', 32), 'hex')))
)
FROM (
    SELECT seal_chain, seal_seq, seal_prev,
           lag(seal_seq) OVER chain AS before_seq,
           lag(seal_mac) OVER chain AS before_mac,
           count(*) OVER (PARTITION BY seal_chain, seal_prev) AS sharing
    FROM history
    WINDOW chain AS (PARTITION BY seal_chain ORDER BY seal_seq)
) AS entry;
