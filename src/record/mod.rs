//! What pgseal keeps about its histories, and how it notices that a record was changed.

pub mod columns;
pub mod definition;
pub mod epoch;
pub mod registry;
