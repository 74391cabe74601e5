-- One strict order: every writer waits for the one before.
CREATE EXTENSION pgseal;
SELECT seal.attach('history', tenant_column => 'tenant', max_chains => 1);
