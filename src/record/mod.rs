//! What pgseal keeps about its histories, and how it notices that a record was changed.

pub mod anchor;
pub mod arrivals;
pub mod changes;
pub mod checkpoint;
pub mod closing;
pub mod columns;
pub mod cut;
pub mod definition;
pub mod epoch;
mod history_ring;
pub mod identity;
pub mod journal;
pub mod journaled;
pub mod live;
pub mod nodes;
pub mod overall;
pub mod registry;
pub mod ring;
pub mod runs;
pub mod shape;
pub mod tables;
pub mod timekeeping;
pub mod witness;
