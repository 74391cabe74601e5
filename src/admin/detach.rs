//! Detach: a history becomes an ordinary table again.

use super::error::AdminError;
use super::{administering, attach, epochs, leaves, preconditions};
use crate::pg::error::{OrRaise, Report};
use crate::pg::{clock, relation, spi};
use crate::record::{definition, registry};
use crate::seal::transaction;

/// Takes triggers, guard and NOT NULL away and keeps the columns. Works without a key, too.
pub fn detach(relation: u32) -> String {
    let table = relation::name_of(relation);
    let root = relation::root_of(relation);
    if root != relation {
        Report::from(AdminError::IsLeaf { table, root: relation::name_of(root) }).raise();
    }
    preconditions::require_ownership(relation).or_raise();
    let Some(mut registration) = registry::attached(relation) else {
        Report::from(AdminError::NotAttached { table }).raise()
    };
    administering(|| {
        spi::execute(&format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"));
        leaves::release(relation);
        registration.detached_at = Some(clock::now());
        registration.detached_by = Some(attach::user_name());
        let record_key = definition::record_key(&registration);
        epochs::mark_detached(&registration, record_key.as_ref());
    });
    transaction::detaches(registration.history);
    format!("{table} is not sealed any more; its entries and their signatures stay")
}
