CREATE EXTENSION pgseal;
SELECT seal.attach('history', tenant_column => 'tenant');
