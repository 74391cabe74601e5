//! `seal.document`: the text that is signed, for people to look at.

use crate::pg::attributes::Attribute;
use crate::pg::error::Report;
use crate::pg::relation;
use crate::pg::row::Row;
use crate::record::columns::{self, SealPlaces};
use crate::record::definition::Definition;
use crate::record::registry;
use crate::seal::document::DocumentPlan;
use pgrx::PgSqlErrorCode;

/// The document of a row: of a history, under the epoch that sealed it; of anything else, all its
/// columns. `relation` is 0 for a row of no table.
pub fn of_row(relation: u32, attributes: &[Attribute], row: Row<'_>) -> String {
    let places = columns::signable(attributes);
    let registration = (relation != 0).then(|| registry::attached(relation::root_of(relation))).flatten();
    let plan = match registration {
        Some(registration) => {
            let definition = Definition::load(registration);
            let sealed_under = SealPlaces::find(attributes).and_then(|seal| row.get(seal.epoch));
            let epoch = match sealed_under {
                Some(number) => definition.epoch(number.as_i32()),
                None => definition.newest(),
            };
            let Some(epoch) = epoch else { no_epoch() };
            DocumentPlan::of_epoch(&definition, epoch, &places).unwrap_or_else(|missing| no_column(&missing.name))
        }
        None => DocumentPlan::of_places(&places),
    };
    let mut text = Vec::new();
    if let Err(malformed) = plan.write(row, &mut text) {
        Report::new(PgSqlErrorCode::ERRCODE_DATA_CORRUPTED, "the document of this row cannot be written")
            .detail(format!("Reason: {malformed}."))
            .hint("The table may be damaged: check it with the extension amcheck.")
            .raise();
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn no_epoch() -> ! {
    Report::new(PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT, "the epoch of this row is not known")
        .hint("Run: SELECT * FROM seal.findings().")
        .raise()
}

fn no_column(name: &str) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
        format!("column \"{name}\", which this row's epoch signs, is gone"),
    )
    .hint("Run: SELECT * FROM seal.findings().")
    .raise()
}
