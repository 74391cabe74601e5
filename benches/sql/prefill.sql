-- So that nobody starts with an empty table, for which the planner has no figures.
INSERT INTO history (tenant, at, payload)
SELECT 'tenant' || n % 100, now(), jsonb_build_object('task', 'prefill', 'n', n) FROM generate_series(1, 10000) AS n;
VACUUM ANALYZE history;
