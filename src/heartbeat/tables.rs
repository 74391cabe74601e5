//! Tables that the heartbeat reads with SQL, where they are as the install script makes them.

use crate::pg::{relation, scan};
use std::ffi::CStr;

/// Whether the table of schema `seal` is there with these columns, names and types.
pub fn has(name: &CStr, columns: &[(&str, &str)]) -> bool {
    let attributes = scan::seal_table(name).map(relation::attributes_of).unwrap_or_default();
    columns.iter().all(|(column, type_name)| {
        attributes.iter().any(|attribute| attribute.name == *column && attribute.type_name() == *type_name)
    })
}
