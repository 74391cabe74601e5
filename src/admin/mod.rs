//! What administrators do: attach, detach, and the epochs that follow a changed definition.

mod attach;
mod change;
mod detach;
mod epochs;
mod error;
mod functions;
mod leaves;
mod preconditions;

use std::cell::Cell;

thread_local! {
    static ADMINISTERING: Cell<bool> = const { Cell::new(false) };
}

struct Administering(bool);

impl Drop for Administering {
    fn drop(&mut self) {
        ADMINISTERING.set(self.0);
    }
}

/// While `work` runs, definition changes are pgseal's own and are not judged as a user's.
fn administering<R>(work: impl FnOnce() -> R) -> R {
    let _restore = Administering(ADMINISTERING.replace(true));
    work()
}

fn is_administering() -> bool {
    ADMINISTERING.get()
}
