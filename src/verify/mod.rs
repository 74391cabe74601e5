//! The auditor's side: one unordered pass over a history, and where something is off an ordered
//! one that names it.

pub mod acknowledge;
pub mod answer;
pub mod audit;
mod basis;
mod closings;
pub mod configuration;
pub mod document;
mod ends;
pub mod entry;
pub mod functions;
pub mod generated;
mod internal;
mod lag;
pub mod locate;
pub mod outcome;
pub mod pass;
pub mod progress;
pub mod reading;
pub mod recorded;
pub mod run;
mod since;
pub mod status;
pub mod witness;
pub mod worker;
