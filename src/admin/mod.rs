//! What administrators do: attach, detach, the epochs that follow a changed definition, and the
//! guard that refuses or journals what DDL does to a history.

mod attach;
mod change;
mod clock;
mod detach;
mod drops;
mod epochs;
mod error;
mod functions;
pub mod guard;
mod history_secret;
mod hold;
mod leaves;
mod permitted;
mod preconditions;
mod rotation;
mod schedule;
mod watch;
mod window;

pub use error::AdminError;

use crate::pg;
use std::cell::Cell;

/// Registers what the guard listens to; call in `_PG_init`, before `seal::init`: what it journals at
/// the end of a transaction comes before that is written.
pub fn init() {
    pg::transaction::register(guard::on_transaction, guard::on_savepoint);
    pg::object_access::listen(guard::before_drop, guard::when_altered);
}

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
pub fn administering<R>(work: impl FnOnce() -> R) -> R {
    let result = {
        let _restore = Administering(ADMINISTERING.replace(true));
        work()
    };
    if !is_administering() {
        guard::look_again();
    }
    result
}

fn is_administering() -> bool {
    ADMINISTERING.get()
}
