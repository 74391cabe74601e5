//! Safe wrappers around PostgreSQL's C interface: the only unsafe code of the crate.
//!
//! Every wrapper takes and returns plain Rust values. A PostgreSQL ERROR inside a wrapped call
//! arrives as a Rust panic, so destructors run; pgrx turns it back into the ERROR at the border.
#![allow(unsafe_code)]

pub mod aggregate;
pub mod attributes;
pub mod clock;
pub mod copying;
pub mod counters;
mod ddl;
pub mod durability;
pub mod entry_points;
pub mod error;
pub mod executor;
pub mod index;
pub mod invalidation;
pub mod jsonb;
pub mod key_provider;
pub mod lock;
pub mod object_access;
pub mod output;
pub mod preload;
pub mod progress;
pub mod relation;
pub mod row;
pub mod scan;
pub mod secret_memory;
pub mod server;
pub mod settings;
pub mod shared_memory;
pub mod snapshot;
pub mod spi;
pub mod startup;
pub mod statement;
pub mod transaction;
pub mod trigger;
mod unguarded;
pub mod user;
pub mod value;
pub mod worker;
