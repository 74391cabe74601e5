//! Why pruning stopped. What is raised undoes the batch: nothing is lost.

use crate::pg::error::Report;
use crate::pg::spi::literal;
use pgrx::PgSqlErrorCode;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum PruneError {
    #[error("entries of history \"{table}\" changed while they were being pruned")]
    Changed { table: String, chain: String, what: String },
    #[error("anchors changed while they were being pruned")]
    AnchorsChanged { chain: String },
    #[error("history \"{table}\" cannot be verified on record: {fault}")]
    AnotherKey { table: String, fault: String, remedy: Option<String> },
    #[error("cannot prune while the server only replays")]
    InRecovery,
}

impl From<PruneError> for Report {
    fn from(error: PruneError) -> Report {
        let message = error.to_string();
        match error {
            PruneError::Changed { table, chain, what } => Report::new(PgSqlErrorCode::ERRCODE_DATA_CORRUPTED, message)
                .detail(format!("Chain {chain}: {what}. Nothing of this batch was deleted."))
                .hint(format!("Run: SELECT * FROM seal.findings(history => {}).", literal(&table))),
            PruneError::AnchorsChanged { chain } => Report::new(PgSqlErrorCode::ERRCODE_DATA_CORRUPTED, message)
                .detail(format!("Their chain: {chain}. None of them was deleted."))
                .hint("Run: SELECT * FROM seal.findings()."),
            PruneError::AnotherKey { remedy, .. } => {
                Report::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message)
                    .detail("Nothing was recorded or deleted: a record under this server's key would be a forgery to the right one.")
                    .hint(remedy.unwrap_or_else(|| "Run: SELECT * FROM seal.check_setup() WHERE NOT ok.".to_owned()))
            }
            PruneError::InRecovery => Report::new(PgSqlErrorCode::ERRCODE_READ_ONLY_SQL_TRANSACTION, message)
                .hint("Run it on the primary; here: SELECT * FROM seal.verify_history()."),
        }
    }
}
