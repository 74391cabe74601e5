//! The heartbeat: numbers by which a monitoring system sees that sealing, anchoring and the
//! scheduled verification go on, and that they have stopped when they have.
//!
//! Nothing here verifies, and nothing here fails: what is missing (a table, a key, an anchor) is
//! NULL or 0 in the answer.

mod alerts;
mod functions;
mod metrics;
pub mod runs;
mod tables;
