//! Why a row cannot be sealed.

use crate::key::KeyFault;
use crate::pg::counters::{self, Counted};
use crate::pg::error::Report;
use crate::pg::spi::literal;
use pgrx::PgSqlErrorCode;
use thiserror::Error;

#[derive(Debug, Clone, Error)]
pub enum SealError {
    #[error("table \"{table}\" is not attached to pgseal")]
    NotAttached { table: String },
    #[error("cannot seal a row of history \"{table}\" without a key")]
    NoKey { table: String, fault: KeyFault },
    #[error("the records of history \"{table}\" were changed outside pgseal")]
    Altered { table: String, sentence: String },
    #[error("the records of history \"{table}\" were changed outside pgseal")]
    OlderEpoch { table: String, chain: String, head: i32, known: i32 },
    #[error("the columns of history \"{table}\" are not those of its newest epoch")]
    ColumnsDiffer { table: String, detail: String },
    #[error("table \"{table}\" has no usable seal index")]
    NoIndex { table: String },
    #[error("trigger \"{trigger}\" on \"{table}\" would run after the row was signed")]
    LaterTrigger { table: String, trigger: String },
    #[error("column \"{column}\" of history \"{table}\" is filled by pgseal")]
    SuppliedSealColumn { table: String, column: &'static str },
    #[error("COPY into history \"{table}\" needs a list of columns")]
    CopyWithoutColumns { table: String, columns: String },
    #[error("the seal trigger of \"{table}\" fired for something other than an inserted row")]
    WrongEvent { table: String },
    #[error("pgseal.chain_name \"{name}\" cannot be used")]
    BadChainName { name: String },
    #[error("pgseal's shared memory has no room for another chain")]
    HeadsFull { slots: usize },
    #[error("pgseal's anchors cannot be read")]
    NoAnchors,
    #[error("pgseal's shared memory has no room for another database")]
    DatabasesFull { slots: usize },
    #[error("history \"{table}\" has no chain left for this transaction")]
    NoChain { table: String },
    #[error("a foreign row stands at position {position} of chain \"{chain}\"")]
    ForeignRow { chain: String, position: u64 },
}

impl SealError {
    /// Ends the statement that inserts the row, and counts that.
    pub fn refuse(self) -> ! {
        counters::count(self.counted(), 1);
        Report::from(self).raise()
    }

    fn counted(&self) -> Counted {
        match self {
            SealError::NoKey { .. } => Counted::KeyErrors,
            SealError::NotAttached { .. }
            | SealError::ColumnsDiffer { .. }
            | SealError::NoIndex { .. }
            | SealError::LaterTrigger { .. }
            | SealError::WrongEvent { .. }
            | SealError::BadChainName { .. } => Counted::DefinitionErrors,
            SealError::Altered { .. }
            | SealError::OlderEpoch { .. }
            | SealError::NoAnchors
            | SealError::ForeignRow { .. } => Counted::RecordErrors,
            SealError::HeadsFull { .. } | SealError::DatabasesFull { .. } | SealError::NoChain { .. } => {
                Counted::CapacityErrors
            }
            SealError::SuppliedSealColumn { .. } | SealError::CopyWithoutColumns { .. } => Counted::InputErrors,
        }
    }

    fn code(&self) -> PgSqlErrorCode {
        use PgSqlErrorCode::*;
        match self {
            SealError::HeadsFull { .. } | SealError::DatabasesFull { .. } => ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
            SealError::NoChain { .. } => ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            SealError::SuppliedSealColumn { .. } | SealError::CopyWithoutColumns { .. } => ERRCODE_GENERATED_ALWAYS,
            SealError::ForeignRow { .. }
            | SealError::Altered { .. }
            | SealError::OlderEpoch { .. }
            | SealError::NoAnchors => ERRCODE_DATA_CORRUPTED,
            SealError::WrongEvent { .. } => ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
            SealError::BadChainName { .. } => ERRCODE_INVALID_PARAMETER_VALUE,
            _ => ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        }
    }

    fn detail(&self) -> String {
        match self {
            SealError::NotAttached { .. } => "Its trigger calls pgseal, but seal.history has no row for it.".into(),
            SealError::NoKey { fault, .. } => format!("{}.", fault.sentence()),
            SealError::Altered { sentence, .. } => format!("What was found: {sentence}."),
            SealError::OlderEpoch { chain, head, known, .. } => {
                format!("Chain {chain} has entries of epoch {head}, but seal.history knows only {known}.")
            }
            SealError::ColumnsDiffer { detail, .. } => detail.clone(),
            SealError::NoIndex { .. } => "It needs a valid unique index on (seal_chain, seal_seq).".into(),
            SealError::LaterTrigger { .. } => "A later trigger could change or drop what was signed.".into(),
            SealError::SuppliedSealColumn { .. } => {
                "A value given for it is refused, not replaced, so that a restored row is never sealed anew.".into()
            }
            SealError::CopyWithoutColumns { .. } => {
                "Without a list it means every column, also the seven that are filled by pgseal.".into()
            }
            SealError::WrongEvent { .. } => "It seals rows BEFORE INSERT FOR EACH ROW.".into(),
            SealError::BadChainName { .. } => {
                "A chain name has 1 to 63 bytes, without slash, dot, white space and control characters.".into()
            }
            SealError::HeadsFull { slots } => format!("All {slots} slots are taken."),
            SealError::NoAnchors => {
                "Table seal.anchor is gone, has other columns than pgseal made it with, or lost its primary key.".into()
            }
            SealError::DatabasesFull { slots } => format!("Histories can be sealed in {slots} databases of a server."),
            SealError::NoChain { .. } => "Every chain it may use is closed or owned by another transaction.".into(),
            SealError::ForeignRow { .. } => "It was not written by pgseal's trigger in this transaction.".into(),
        }
    }

    fn hint(&self) -> String {
        match self {
            SealError::NotAttached { table } => format!("Run: SELECT seal.attach({}), or drop the trigger.", literal(table)),
            SealError::NoKey { fault, .. } => fault.remedy(),
            SealError::Altered { table, .. } | SealError::OlderEpoch { table, .. } => format!("Run: SELECT * FROM seal.findings(history => {}).", literal(table)),
            SealError::ColumnsDiffer { table, .. } => format!("Run as the table's owner: SELECT seal.open_epoch({}).", literal(table)),
            SealError::NoIndex { table } => format!("Run: CREATE UNIQUE INDEX ON {table} (seal_chain, seal_seq)."),
            SealError::LaterTrigger { trigger, table } => {
                format!("Rename it so that it sorts before the seal trigger: ALTER TRIGGER \"{trigger}\" ON {table} RENAME TO \"a_{trigger}\".")
            }
            SealError::SuppliedSealColumn { .. } => {
                "Leave the seal_ columns out of the column list, and give them no DEFAULT. To load rows that are sealed already with pg_restore --data-only, add --disable-triggers.".into()
            }
            SealError::CopyWithoutColumns { table, columns } => {
                format!("Name the columns that the data has: COPY {table} ({columns}) FROM …, or \\copy in psql.")
            }
            SealError::WrongEvent { .. } => "Run: SELECT seal.detach(…) and seal.attach(…) to have the triggers made again.".into(),
            SealError::BadChainName { .. } => "Set pgseal.chain_name in postgresql.conf and restart the server.".into(),
            SealError::HeadsFull { .. } => "Raise pgseal.max_heads in postgresql.conf and restart the server.".into(),
            SealError::NoAnchors => "Run: SELECT * FROM seal.findings(), and undo what was done to seal.anchor.".into(),
            SealError::DatabasesFull { .. } => "Attach histories in fewer databases of this server.".into(),
            SealError::NoChain { .. } => "Run: SELECT * FROM seal.findings(), and see which chains were closed by a foreign row.".into(),
            SealError::ForeignRow { .. } => "Run: SELECT * FROM seal.findings(). The next transaction goes on in another chain.".into(),
        }
    }
}

impl From<SealError> for Report {
    fn from(error: SealError) -> Report {
        Report::new(error.code(), error.to_string()).detail(error.detail()).hint(error.hint())
    }
}
