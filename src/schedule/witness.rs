//! Hands the line of the newest anchor outside: to the witness command, and to whoever listens.
//!
//! The command runs in a worker of its own that is connected to no database, so that it is in
//! nobody's way, however long it takes.

use crate::command::ShellCommand;
use crate::pg::error::Report;
use crate::pg::shared_memory::{self, DatabaseSlot};
use crate::pg::{clock, server, spi, worker};
use crate::record::anchor::Anchor;
use crate::record::witness;
use crate::seal::newest_anchor;
use crate::settings;
use pgrx::PgSqlErrorCode;
use std::time::Duration;

/// How long the command may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// A worker that has not come back after this long never will.
const LOST_AFTER: Duration = Duration::from_secs(30);
/// Whatever the setting says: a command that fails at once is not tried all the time.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// How much the command may print.
const MAX_OUTPUT: usize = 64 * 1024;

const CHANNEL: &str = "pgseal_anchor";

/// The number and line of an anchor.
pub type NumberedLine = (u64, String);

/// The line of this anchor, if the witness is to get one now; listeners get it when the transaction
/// commits.
pub fn line_that_is_due(anchor: Option<&Anchor>) -> Option<NumberedLine> {
    let anchor = anchor?;
    let slot = newest_anchor::slot()?;
    let slot = DatabaseSlot { number: anchor.number, ..slot };
    if due_in(&slot) != Some(Duration::ZERO) {
        return None;
    }
    let line = witness::line(anchor, server::database_name())?.to_string();
    if anchor.number > slot.notified {
        spi::execute(&format!("SELECT pg_catalog.pg_notify('{CHANNEL}', {})", spi::literal(&line)));
    }
    Some((anchor.number, line))
}

/// Leaves the line for the witness command, once its anchor is durable.
pub fn leave(line: NumberedLine) -> impl FnOnce(&mut DatabaseSlot) {
    let (number, line) = line;
    let wanted = settings::witness_command().is_some();
    move |slot| {
        slot.witnessed_at = clock::now();
        slot.notified = number;
        if wanted {
            slot.line_number = number;
            slot.line.set(&line);
        } else {
            slot.witness_trouble.set("");
        }
    }
}

/// How long an anchor that the witness has not seen waits for its turn; `None`: there is none.
pub fn due_in(slot: &DatabaseSlot) -> Option<Duration> {
    let seen = if settings::witness_command().is_some() { slot.witnessed.min(slot.notified) } else { slot.notified };
    let unseen = slot.known && slot.number > seen && !is_busy(slot);
    let since = Duration::from_micros(clock::now().saturating_sub(slot.witnessed_at).max(0) as u64);
    unseen.then(|| settings::witness_interval().max(SHORTEST_INTERVAL).saturating_sub(since))
}

/// Whether a line waits for its command to be started.
pub fn is_waiting(slot: &DatabaseSlot) -> bool {
    slot.line_number > slot.witnessed && !is_running(slot)
}

/// Whether a line waits or its command runs.
fn is_busy(slot: &DatabaseSlot) -> bool {
    is_waiting(slot) || is_running(slot)
}

fn is_running(slot: &DatabaseSlot) -> bool {
    slot.witnessing_since != 0 && clock::now().saturating_sub(slot.witnessing_since) < LOST_AFTER.as_micros() as i64
}

/// Runs the witness command in a worker of its own. One that fails is tried again later, with the
/// newest anchor of then.
pub fn tell(database: u32) {
    let waiting = shared_memory::database(database, |slot| (slot.line_number, slot.line.get()));
    let Some((number, line)) = waiting else { return };
    let outcome = settings::witness_command().map(|command| {
        let input = format!("{line}\n");
        let stop = worker::is_to_end;
        ShellCommand { line: &command, input: Some(input.as_bytes()), time_limit: TIME_LIMIT, max_output: MAX_OUTPUT }
            .run(&stop)
            .map_err(|error| format!("pgseal.witness_command {error}"))
    });
    let trouble = outcome.and_then(Result::err).unwrap_or_default();
    shared_memory::change_database(database, |slot| {
        slot.witnessing_since = 0;
        slot.witnessed_at = clock::now();
        slot.line_number = 0;
        slot.witness_trouble.set(&trouble);
        if trouble.is_empty() {
            slot.witnessed = number;
        }
    });
    shared_memory::wake_launcher();
    if !trouble.is_empty() {
        Report::new(PgSqlErrorCode::ERRCODE_EXTERNAL_ROUTINE_EXCEPTION, trouble)
            .detail(format!("Anchor {number} was not handed to the witness."))
            .hint("Run the command by hand as the server's user, with a line on standard input.")
            .log();
    }
}

/// Starts the command for a line that waits.
pub fn start(database: u32) {
    shared_memory::change_database(database, |slot| slot.witnessing_since = clock::now());
    if !worker::start_witness(database) {
        shared_memory::change_database(database, |slot| {
            slot.witnessing_since = 0;
            slot.line_number = 0;
            slot.witness_trouble
                .set("no worker could be started for pgseal.witness_command: raise max_worker_processes");
        });
    }
}
