//! Why a table cannot be attached, or a change to it is refused.

use crate::key::KeyFault;
use crate::pg::error::Report;
use crate::pg::spi::literal;
use pgrx::PgSqlErrorCode;
use thiserror::Error;

/// Most columns that a history may have: PostgreSQL passes at most 100 arguments to a function.
pub const MAX_COLUMNS: usize = 90;

#[derive(Debug, Error)]
pub enum AdminError {
    #[error("history must not be NULL")]
    NoTable,
    #[error("cannot follow a change of history \"{table}\" without its key")]
    NoKey { table: String, fault: KeyFault },
    #[error("\"{table}\" cannot be a history: it is {kind}")]
    WrongKind { table: String, kind: String },
    #[error("must be superuser to hand out what verifies a history")]
    NotSuperuser,
    #[error("must be owner of table \"{table}\"")]
    NotOwner { table: String },
    #[error("table \"{table}\" is already attached")]
    AlreadyAttached { table: String },
    #[error("table \"{table}\" is not attached to pgseal")]
    NotAttached { table: String },
    #[error("\"{table}\" is a partition of \"{root}\"")]
    IsLeaf { table: String, root: String },
    #[error("table \"{table}\" takes part in table inheritance")]
    Inherits { table: String },
    #[error("the database is not in UTF8")]
    NotUtf8,
    #[error("column \"{column}\" of table \"{table}\" has a name that pgseal needs")]
    ReservedColumn { table: String, column: String },
    #[error("column \"{column}\" does not exist in table \"{table}\"")]
    NoTenantColumn { table: String, column: String, columns: String },
    #[error("column \"{column}\" of table \"{table}\" cannot be the tenant: it is generated")]
    GeneratedTenant { table: String, column: String },
    #[error("column \"{column}\" of table \"{table}\" has a type that cannot be signed: {type_name}")]
    UnsignableType { table: String, column: String, type_name: String },
    #[error("foreign key \"{constraint}\" of table \"{table}\" changes rows of the history by itself")]
    CascadingKey { table: String, constraint: String },
    #[error("table \"{table}\" has {count} columns, at most {MAX_COLUMNS} can be signed")]
    TooManyColumns { table: String, count: usize },
    #[error("table \"{table}\" has no columns to sign")]
    NoColumns { table: String },
    #[error("table \"{table}\" already has rows")]
    HasRows { table: String },
    #[error("trigger \"{trigger}\" of table \"{table}\" would run after the row was signed")]
    LaterTrigger { table: String, trigger: String },
    #[error("invalid value for parameter \"{parameter}\": {value}")]
    InvalidParameter { parameter: &'static str, value: String, allowed: &'static str },
    #[error("history id {id} is already used in this database")]
    IdInUse { id: String },
    #[error("cannot {action} column \"{column}\" of history \"{table}\"")]
    SignedColumn { table: String, column: String, action: &'static str },
    #[error("cannot drop, rename or change a seal column of history \"{table}\"")]
    SealColumn { table: String },
    #[error("cannot detach history \"{table}\": seal column \"{column}\" is part of {what}")]
    NeededSealColumn { table: String, column: String, what: String, remedy: String },
    #[error("rule \"{rule}\" of table \"{table}\" changes what INSERT does")]
    InsertRule { table: String, rule: String },
    #[error("table \"{table}\" cannot be attached with its rows while {what} is there")]
    InTheWay { table: String, what: String },
    #[error("column \"{column}\" cannot be added to history \"{table}\" with a default that differs from row to row")]
    VolatileDefault { table: String, column: String },
    #[error("cannot {action} partition \"{leaf}\" from a history: it has sealed entries")]
    LeafHasEntries { leaf: String, action: &'static str },
    #[error("cannot detach partition \"{leaf}\" from a history concurrently")]
    DetachConcurrently { leaf: String },
    #[error("cannot drop table \"{table}\": it is a history")]
    DropHistory { table: String },
    #[error("cannot drop extension pgseal while histories are attached")]
    ExtensionInUse { tables: Vec<String> },
    #[error("cannot change the triggers of pgseal on table \"{table}\"")]
    OwnTrigger { table: String, history: String },
    #[error("cannot drop the index on (seal_chain, seal_seq) of table \"{table}\"")]
    SealIndex { table: String },
    #[error("trigger \"{trigger}\" of history \"{table}\" would run after the row was signed")]
    NewLaterTrigger { table: String, trigger: String },
    #[error("rule \"{rule}\" would change what INSERT does to history \"{table}\"")]
    NewInsertRule { table: String, rule: String },
    #[error("cannot change type {type_name}: history \"{table}\" uses it")]
    UsedType { table: String, type_name: String },
    #[error("history \"{table}\" cannot become a partition or a child of another table")]
    BecomesChild { table: String },
    #[error("the records of history \"{table}\" were changed outside pgseal")]
    Altered { table: String, sentence: String },
    #[error("no table is attached in this database")]
    NothingAttached,
    #[error("there is no next key to rotate to")]
    NoNextKey(KeyFault),
    #[error("key {id} is the same secret as key {same}")]
    SameKey { id: String, same: String },
    #[error("key \"{id}\" is not known in this database")]
    UnknownKey { id: String },
    #[error("key {id} is in force")]
    KeyInForce { id: String, tables: Vec<String> },
}

impl AdminError {
    fn code(&self) -> PgSqlErrorCode {
        use PgSqlErrorCode::*;
        match self {
            AdminError::WrongKind { .. }
            | AdminError::IsLeaf { .. }
            | AdminError::Inherits { .. }
            | AdminError::BecomesChild { .. } => ERRCODE_WRONG_OBJECT_TYPE,
            AdminError::NoTable => ERRCODE_NULL_VALUE_NOT_ALLOWED,
            AdminError::NotOwner { .. } | AdminError::NotSuperuser => ERRCODE_INSUFFICIENT_PRIVILEGE,
            AdminError::AlreadyAttached { .. } | AdminError::IdInUse { .. } => ERRCODE_DUPLICATE_OBJECT,
            AdminError::NotAttached { .. } | AdminError::UnknownKey { .. } => ERRCODE_UNDEFINED_OBJECT,
            AdminError::ReservedColumn { .. } => ERRCODE_DUPLICATE_COLUMN,
            AdminError::NoTenantColumn { .. } => ERRCODE_UNDEFINED_COLUMN,
            AdminError::InvalidParameter { .. } => ERRCODE_INVALID_PARAMETER_VALUE,
            AdminError::TooManyColumns { .. } => ERRCODE_TOO_MANY_COLUMNS,
            AdminError::Altered { .. } => ERRCODE_DATA_CORRUPTED,
            AdminError::HasRows { .. }
            | AdminError::NoKey { .. }
            | AdminError::NothingAttached
            | AdminError::NoNextKey(_)
            | AdminError::SameKey { .. }
            | AdminError::KeyInForce { .. }
            | AdminError::SignedColumn { .. }
            | AdminError::SealColumn { .. }
            | AdminError::NeededSealColumn { .. }
            | AdminError::InTheWay { .. }
            | AdminError::InsertRule { .. }
            | AdminError::LaterTrigger { .. }
            | AdminError::DetachConcurrently { .. }
            | AdminError::DropHistory { .. }
            | AdminError::ExtensionInUse { .. }
            | AdminError::OwnTrigger { .. }
            | AdminError::SealIndex { .. }
            | AdminError::NewLaterTrigger { .. }
            | AdminError::NewInsertRule { .. }
            | AdminError::UsedType { .. }
            | AdminError::LeafHasEntries { .. } => ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            _ => ERRCODE_FEATURE_NOT_SUPPORTED,
        }
    }

    fn detail(&self) -> Option<String> {
        Some(match self {
            AdminError::NoKey { fault, .. } | AdminError::NoNextKey(fault) => format!("{}.", fault.sentence()),
            AdminError::NothingAttached => "A key is rotated for the histories of a database.".into(),
            AdminError::SameKey { .. } => "A rotation to it would change nothing but its name.".into(),
            AdminError::KeyInForce { tables, .. } => format!("It seals {}.", tables.join(", ")),
            AdminError::WrongKind { .. } => {
                "Only plain and partitioned tables whose rows survive a crash can be a history.".into()
            }
            AdminError::IsLeaf { .. } => "A history is attached as a whole.".into(),
            AdminError::Inherits { .. } => "Triggers are not inherited, so rows of a child would not be sealed.".into(),
            AdminError::NotUtf8 => "Documents are UTF-8 text, the same in every database.".into(),
            AdminError::NoTenantColumn { columns, .. } => format!("Its columns are: {columns}."),
            AdminError::GeneratedTenant { .. } => "A generated column is computed after the row was signed.".into(),
            AdminError::UnsignableType { .. } => {
                "Its text depends on other objects or on settings, so the same value could have two signatures.".into()
            }
            AdminError::CascadingKey { .. } => {
                "ON DELETE or ON UPDATE CASCADE, SET NULL and SET DEFAULT change rows that are sealed.".into()
            }
            AdminError::InvalidParameter { allowed, .. } => format!("Allowed: {allowed}."),
            AdminError::SignedColumn { .. } => {
                "The entries sealed so far are signed with it and could not be verified any more.".into()
            }
            AdminError::NeededSealColumn { .. } => {
                "Detach has the seal columns accept NULL, so that rows can be inserted that are not sealed.".into()
            }
            AdminError::VolatileDefault { .. } => {
                "Entries sealed before would get content that no signature covers.".into()
            }
            AdminError::LeafHasEntries { .. } => "Their positions would be missing from their chains.".into(),
            AdminError::Altered { sentence, .. } => format!("What was found: {sentence}."),
            AdminError::DetachConcurrently { .. } => {
                "Only an empty partition can be detached, and whether it is empty must be known at the end.".into()
            }
            AdminError::DropHistory { .. } => {
                "Its entries would be gone, and verification would report them as missing.".into()
            }
            AdminError::ExtensionInUse { tables } => format!("Attached: {}.", tables.join(", ")),
            AdminError::OwnTrigger { .. } => {
                "Without them rows would not be sealed, or sealed ones could be changed.".into()
            }
            AdminError::SealIndex { .. } => "Without it no row could be sealed.".into(),
            AdminError::NewInsertRule { .. } => "Rows would not be stored as the application sent them.".into(),
            AdminError::UsedType { .. } => {
                "Values in sealed entries would be printed differently and could not be verified any more.".into()
            }
            AdminError::BecomesChild { .. } => "Changes of that table would reach into the history.".into(),
            AdminError::LaterTrigger { .. } | AdminError::NewLaterTrigger { .. } => {
                "BEFORE INSERT triggers fire in the order of their names, the seal trigger must be the last.".into()
            }
            _ => return None,
        })
    }

    fn hint(&self) -> String {
        match self {
            AdminError::WrongKind { kind, table } if kind.contains("unlogged") => {
                format!("Run: ALTER TABLE {table} SET LOGGED.")
            }
            AdminError::WrongKind { .. } => "Attach the table that stores the rows.".into(),
            AdminError::NoKey { fault, .. } | AdminError::NoNextKey(fault) => fault.remedy(),
            AdminError::NothingAttached => "Attach a table first: SELECT seal.attach('TABLE').".into(),
            AdminError::SameKey { id, .. } => {
                format!("Make a new secret (openssl rand -hex 32) where pgseal fetches key {id}, then rotate again.")
            }
            AdminError::UnknownKey { .. } => "Known keys: SELECT id, state FROM seal.keys.".into(),
            AdminError::KeyInForce { .. } => "Put another one in force first: SELECT seal.rotate_key().".into(),
            AdminError::NoTable => "Name a table, in quotes: 'TABLE'.".into(),
            AdminError::NotSuperuser => {
                "Ask a superuser to run it, and to send it where it is needed by a safe way.".into()
            }
            AdminError::NotOwner { .. } => "Ask its owner, or a superuser, to run it.".into(),
            AdminError::AlreadyAttached { table } => {
                format!(
                    "Nothing to do. To see its state: SELECT * FROM seal.status WHERE history = {}.",
                    literal(table)
                )
            }
            AdminError::NotAttached { .. } => "Attached tables: SELECT history FROM seal.status.".into(),
            AdminError::IsLeaf { root, .. } => format!("Run it for the whole history: {}.", literal(root)),
            AdminError::Inherits { .. } => "Use declarative partitioning instead of INHERITS.".into(),
            AdminError::NotUtf8 => {
                "Create a database with ENCODING 'UTF8' TEMPLATE template0 and move the table there.".into()
            }
            AdminError::ReservedColumn { table, column } => format!(
                "Rename it: ALTER TABLE {table} RENAME COLUMN {column} TO … . If it is left from an earlier attachment and no longer needed: ALTER TABLE {table} DROP COLUMN {column}."
            ),
            AdminError::NoTenantColumn { .. } => {
                "Name one of them as tenant_column, or leave it out for a history without tenants.".into()
            }
            AdminError::GeneratedTenant { .. } => "Name a column that the application fills.".into(),
            AdminError::UnsignableType { column, table, .. } => format!(
                "Store it as text, or as numeric for money: ALTER TABLE {table} ALTER COLUMN {column} TYPE text."
            ),
            AdminError::CascadingKey { constraint, table } => format!(
                "Recreate it with ON DELETE NO ACTION ON UPDATE NO ACTION: ALTER TABLE {table} DROP CONSTRAINT {constraint}."
            ),
            AdminError::TooManyColumns { .. } => "Put rarely used columns into one jsonb column.".into(),
            AdminError::NoColumns { .. } => "Add the columns first.".into(),
            AdminError::HasRows { table } => {
                format!(
                    "To seal them as a labelled baseline: SELECT seal.attach({}, existing => 'seal').",
                    literal(table)
                )
            }
            AdminError::LaterTrigger { table, trigger } => {
                format!("Rename it: ALTER TRIGGER {trigger} ON {table} RENAME TO \"a_{trigger}\".")
            }
            AdminError::InvalidParameter { parameter, .. } => {
                format!("Call it with another {parameter}, or leave it out.")
            }
            AdminError::IdInUse { .. } => {
                "Leave history_id out for a new history; give it only for the same history on another node.".into()
            }
            AdminError::SignedColumn { table, .. } => format!(
                "Add a new column and leave this one. To give the table up as a history: SELECT seal.detach({}).",
                literal(table)
            ),
            AdminError::SealColumn { table } => {
                format!("To give the table up as a history: SELECT seal.detach({}).", literal(table))
            }
            AdminError::NeededSealColumn { remedy, .. } => format!("Run: {remedy}."),
            AdminError::InsertRule { table, rule } => format!("Run: DROP RULE {rule} ON {table}."),
            AdminError::InTheWay { what, .. } => format!("Disable or drop {what} while attaching."),
            AdminError::VolatileDefault { column, .. } => format!(
                "Add column {column} without DEFAULT, then: ALTER TABLE … ALTER COLUMN {column} SET DEFAULT … ."
            ),
            AdminError::DetachConcurrently { .. } => "Run it without CONCURRENTLY.".into(),
            AdminError::DropHistory { table } | AdminError::BecomesChild { table } => {
                format!("To give the table up as a history first: SELECT seal.detach({}).", literal(table))
            }
            AdminError::ExtensionInUse { tables } => {
                let first = tables.first().map(|table| literal(table)).unwrap_or_default();
                format!("To give each up as a history first: SELECT seal.detach({first}).")
            }
            AdminError::OwnTrigger { table, history } => format!(
                "Name the trigger that you mean: ALTER TABLE {table} DISABLE TRIGGER … . To give the table up as a history: SELECT seal.detach({}).",
                literal(history)
            ),
            AdminError::SealIndex { table } => {
                format!("Leave it, or make another one first: CREATE UNIQUE INDEX ON {table} (seal_chain, seal_seq).")
            }
            AdminError::NewLaterTrigger { trigger, .. } => {
                format!("Give it a name that sorts before zzz_pgseal_seal, such as \"a_{trigger}\".")
            }
            AdminError::NewInsertRule { .. } => {
                "Use a trigger AFTER INSERT, or a rule on a view in front of the table.".into()
            }
            AdminError::UsedType { .. } => {
                "Create a new type, add a new column of it, and leave the old column as it is.".into()
            }
            AdminError::LeafHasEntries { .. } => {
                "Leave it attached. Old entries go by pruning, which keeps the chains whole.".into()
            }
            AdminError::Altered { table, .. } => {
                format!("Run: SELECT * FROM seal.findings(history => {}).", literal(table))
            }
        }
    }
}

impl From<AdminError> for Report {
    fn from(error: AdminError) -> Report {
        let report = Report::new(error.code(), error.to_string()).hint(error.hint());
        match error.detail() {
            Some(detail) => report.detail(detail),
            None => report,
        }
    }
}
