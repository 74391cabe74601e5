//! What runs by itself: the launcher, the worker that writes anchors, the witness, and the worker that verifies
//! histories when their schedule says so.

mod alarm;
mod check;
mod closing;
pub mod exclusive;
mod launcher;
pub mod missed;
mod plan;
mod runner;
mod runs;
mod session;
mod state;
mod survey;
mod witness;
mod work;

pub use survey::{chains_of_soon, number_of};

pub use state::{state, state_text};

use crate::pg::worker::{self, Work};

/// Registers the launcher; call in `_PG_init`.
pub fn init() {
    worker::register(Work { launch: launcher::run, visit: work::visit, witness: witness::tell, run: runner::work });
}
