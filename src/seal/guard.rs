//! Append-only: nothing but pruning removes or changes an entry.

use crate::pg::error::Report;
use crate::pg::relation;
use crate::pg::spi::literal;
use crate::pg::trigger::{Fired, TriggerCall};
use pgrx::PgSqlErrorCode;

/// Ends an UPDATE, DELETE or TRUNCATE of a history with an ERROR.
pub fn refuse(call: &TriggerCall<'_>) -> ! {
    let table = relation::name_of(call.relation());
    let (statement, consequence) = match call.fired() {
        Fired::BeforeUpdateRow => ("UPDATE", "A changed entry would no longer fit its signature."),
        Fired::BeforeDeleteRow => ("DELETE", "A removed entry would leave a gap in its chain."),
        _ => ("TRUNCATE", "Removed entries would leave their chains without them."),
    };
    Report::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("{statement} is not allowed on history \"{table}\""),
    )
    .detail(format!("It is append-only: its rows are sealed. {consequence}"))
    .hint(format!(
        "Insert a new row that corrects the old one. To give the table up as a history: SELECT seal.detach({}).",
        literal(&table)
    ))
    .raise()
}
