//! What runs by itself: the launcher, and the worker that writes anchors, and the witness.

mod launcher;
mod survey;
mod witness;
mod work;

use crate::pg::worker::{self, Work};

/// Registers the launcher; call in `_PG_init`.
pub fn init() {
    worker::register(Work { launch: launcher::run, visit: work::visit, witness: witness::tell });
}
