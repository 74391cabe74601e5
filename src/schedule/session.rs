//! What every worker's session is set to, whatever a database or a role has set: nothing of that keeps it
//! from reading, or from writing what it found.

use crate::pg::{spi, worker};

const SETTINGS: &str = "SELECT pg_catalog.set_config(name, value, false)
    FROM (VALUES ('statement_timeout', '0'), ('idle_in_transaction_session_timeout', '0'),
                 ('default_transaction_isolation', 'read committed'), ('default_transaction_read_only', 'off'),
                 ('default_transaction_deferrable', 'off'), ('session_replication_role', 'origin'),
                 ('search_path', 'pg_catalog, pg_temp'), ('quote_all_identifiers', 'off'), ('row_security', 'off'),
                 ('jit', 'off'), ('max_parallel_workers_per_gather', '0')) AS s (name, value)";

/// Call before the first transaction of work.
pub fn prepare() -> Result<(), String> {
    worker::attempt(|| spi::execute(SETTINGS)).map(drop)
}
