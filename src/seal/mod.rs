//! The INSERT path: the trigger, the document, who owns which chain, and the heads.

mod copying;
pub mod document;
pub mod error;
pub mod guard;
pub mod heads;
pub mod newest_anchor;
pub mod ownership;
pub mod plan;
pub mod reload;
mod stored;
pub mod transaction;
pub mod trigger;

use crate::pg;

/// Registers what sealing listens to; call in `_PG_init`.
pub fn init() {
    pg::transaction::register(transaction::on_transaction, transaction::on_savepoint);
    pg::executor::on_conflict_plans(transaction::expect_skipped_rows);
    pg::copying::before_copy_without_columns(copying::check_columns);
    pg::invalidation::on_relation_change(plan::forget);
}
