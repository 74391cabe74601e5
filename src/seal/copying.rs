//! COPY into a history without a list of columns: the server would ask the data for the seal columns and then speak of
//! data that is missing, which tells nobody what to do.

use super::error::SealError;
use crate::pg::relation::{self, Relation};
use crate::pg::spi::identifier;
use crate::record::{columns, registry, shape};

/// Refuses it where the rows would be sealed. Where the seal trigger is off, whole rows are brought back.
pub fn check_columns(table: u32) {
    let Some(open) = Relation::open(table).filter(is_sealing) else { return };
    if registry::attached(relation::root_of(table)).is_none() {
        return;
    }
    let names: Vec<String> =
        columns::signable(&open.attributes()).iter().map(|column| identifier(&column.name)).collect();
    let refusal = SealError::CopyWithoutColumns { table: relation::name_of(table), columns: names.join(", ") };
    drop(open);
    refusal.refuse();
}

fn is_sealing(table: &Relation) -> bool {
    table.triggers().iter().any(|trigger| trigger.name == shape::SEAL_TRIGGER.as_bytes() && !trigger.disabled)
}
