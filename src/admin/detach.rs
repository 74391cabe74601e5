//! Detach: a history becomes an ordinary table again.

use super::error::AdminError;
use super::{administering, attach, epochs, leaves, preconditions};
use crate::pg::error::{OrRaise, Report};
use crate::pg::{clock, relation, spi};
use crate::record::journal::{self, Act, Note};
use crate::record::{definition, journaled, registry};

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
        refuse_needed_columns(&table).or_raise();
        leaves::release(relation);
        registration.detached_at = Some(clock::now());
        registration.detached_by = Some(attach::user_name());
        let record_key = definition::record_key(&registration);
        epochs::mark_detached(&registration, record_key.as_ref());
        // Without a key the mark stays unproven, and verification says so.
        if journal::obstacle().is_none() {
            journal::note(Note {
                act: Act::Detach,
                history: Some(registration.history),
                table: Some(table.clone()),
                sentence: format!("{table} was detached"),
                details: journaled::detach_details(&registration),
            });
        }
    });
    format!("{table} is not sealed any more; its entries and their signatures stay")
}

/// An INSERT would have to fill a seal column that something of the user's needs.
fn refuse_needed_columns(table: &str) -> Result<(), AdminError> {
    match leaves::needs_of_values(table).into_iter().next() {
        Some(need) => Err(AdminError::NeededSealColumn {
            table: table.to_owned(),
            column: need.column,
            what: need.what,
            remedy: need.remedy,
        }),
        None => Ok(()),
    }
}
