//! The auditor's side: one unordered pass over a history, and where something is off an ordered
//! one that names it.

pub mod acknowledge;
pub mod answer;
pub mod audit;
mod basis;
pub mod configuration;
pub mod document;
pub mod entry;
pub mod functions;
pub mod generated;
mod internal;
pub mod locate;
pub mod pass;
mod recorded;
pub mod run;
pub mod status;
pub mod witness;
pub mod worker;
