//! Closes periods: the launcher sees that one has ended and has it closed in every database; then its secret gives way
//! to the next one. The worker writes what is to be written in its database.
//!
//! | a crash after | leaves |
//! |---|---|
//! | some databases are closed | their closings, which are not written again |
//! | all are | the same; the state file still has the period's secret |
//! | the state file was replaced | the next period in force |

use crate::key::evolution::{self, EvolutionFault, State};
use crate::pg::error::Report;
use crate::pg::shared_memory::{self, ClosingSlot, Shared};
use crate::pg::snapshot::Sees;
use crate::pg::{clock, worker};
use crate::record::closing::{self, Written};
use crate::record::{overall, registry, tables};
use crate::seal::newest_anchor;
use crate::seal::plan;
use pgrx::PgSqlErrorCode;
use pgseal_chain::Seen;
use std::time::{Duration, Instant};

/// Also where no period ends, the state is looked at so often.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// How soon again what could not be closed is tried.
const RETRY: Duration = Duration::from_secs(5);
/// How often what clock and machine say is remembered, µs.
const REMEMBER_EVERY: i64 = 3_600_000_000;

/// What is in the way, and what to do about it.
type Trouble = Option<(String, String)>;

/// What the launcher does about periods.
#[derive(Default)]
pub struct Periods {
    not_before: Option<Instant>,
    /// When a stream was last tried to be begun, and what was in the way.
    stream_tried: Option<Instant>,
    stream_fault: Trouble,
}

impl Periods {
    /// Does what is due and says when to look again. `visit` has the worker visit a database.
    pub fn tend(&mut self, visit: impl FnMut(u32)) -> Duration {
        if evolution::kind().is_none() {
            return LONGEST_SLEEP;
        }
        if let Some(wait) = self.not_before.map(|at| at.saturating_duration_since(Instant::now()))
            && !wait.is_zero()
        {
            return wait;
        }
        let (trouble, wait) = match self.work(visit) {
            Ok((wait, waiting)) => (waiting, wait),
            Err(fault) => (Some((fault.to_string(), fault.remedy())), LONGEST_SLEEP),
        };
        // Nobody is kept from waking the launcher for a period that ends.
        self.not_before = trouble.is_some().then(|| Instant::now() + wait.min(RETRY));
        note(trouble);
        wait
    }

    /// Begins a stream where a database can only go on with a new one; what is in the way is told, and keeps the
    /// others from nothing.
    fn begin_stream(&mut self, state: &mut State, at: i64) -> Trouble {
        let is_needed = shared_memory::read(|_, databases| {
            databases.iter().any(|slot| slot.database != 0 && slot.closing.needs_stream)
        });
        if !is_needed {
            self.stream_tried = None;
            return None;
        }
        if self.stream_tried.is_none_or(|at| at.elapsed() >= LONGEST_SLEEP) {
            self.stream_tried = Some(Instant::now());
            match evolution::begin_stream(at) {
                Ok(begun) => {
                    *state = begun;
                    log_stream(state);
                    forget_streams(state);
                    return None;
                }
                Err(fault) => self.stream_fault = Some((fault.to_string(), fault.remedy())),
            }
        }
        self.stream_fault.clone()
    }

    fn work(&mut self, mut visit: impl FnMut(u32)) -> Result<(Duration, Trouble), EvolutionFault> {
        let mut state = evolution::load()?;
        let now = evolution::now();
        if let Some(accepted) = accepted(&state.seen, &now) {
            state.seen = accepted;
        }
        let believed = state.seen.believe(&now);
        let without_stream = self.begin_stream(&mut state, believed.time);
        let kind = state.stream.kind;
        if kind.period(believed.time) > state.period {
            shared_memory::write(|Shared { launcher, .. }| launcher.closing = state.period + 1);
            let done = close_everywhere(&state, &mut visit);
            if worker::is_to_end() {
                return Ok((Duration::ZERO, None));
            }
            if !done {
                let what = format!("period {} has ended, but is not closed in every database", kind.name(state.period));
                let fix = "See SELECT item, problem, fix FROM seal.check_setup() WHERE NOT ok, in each database.";
                return Ok((RETRY, Some((what, fix.to_owned()))));
            }
            evolution::store(&state.next(believed.seen))?;
            shared_memory::write(|Shared { launcher, .. }| launcher.closing = 0);
            return Ok((Duration::ZERO, None));
        }
        if believed.seen.boot != state.seen.boot || (believed.seen.at - state.seen.at).abs() >= REMEMBER_EVERY {
            evolution::store(&State { seen: believed.seen.clone(), ..state.clone() })?;
        }
        let left = u64::try_from(kind.start(state.period + 1) - believed.time).unwrap_or(0);
        let trouble = believed.disagrees.map(|off| {
            let what =
                format!("the clock is off by {} s from what the machine counted, which is followed", off / 1_000_000);
            (what, "If the clock is right, run: SELECT seal.accept_clock('reason').".to_owned())
        });
        Ok((Duration::from_micros(left).clamp(Duration::from_millis(50), LONGEST_SLEEP), without_stream.or(trouble)))
    }
}

/// Has the period closed in each database; whether it is now.
fn close_everywhere(state: &State, visit: &mut impl FnMut(u32)) -> bool {
    let mut done = true;
    for database in worker::databases() {
        if worker::is_to_end() {
            return false;
        }
        if !is_closed(database, state) {
            visit(database);
            // What has no place in memory has nothing to close.
            done &= is_closed(database, state) || shared_memory::database(database, |_| ()).is_none();
        }
    }
    done
}

fn is_closed(database: u32, state: &State) -> bool {
    let slot = shared_memory::database(database, |slot| slot.closing);
    slot.is_some_and(|slot| slot.stream == state.stream.id && (slot.closed > state.period || slot.needs_stream))
}

fn forget_streams(state: &State) {
    shared_memory::write(|Shared { databases, .. }| {
        for slot in databases.iter_mut().filter(|slot| slot.database != 0 && slot.closing.stream != state.stream.id) {
            slot.closing.needs_stream = false;
            slot.dirty = true;
        }
    });
}

/// What somebody accepted since the state was written, in this boot.
fn accepted(seen: &Seen, now: &Seen) -> Option<Seen> {
    let mut newest: Option<(i64, i64)> = None;
    shared_memory::read(|_, databases| {
        for slot in databases.iter().map(|slot| slot.closing).filter(|slot| slot.accepted_boot_time > 0) {
            newest = newest.max(Some((slot.accepted_boot_time, slot.accepted_at)));
        }
    });
    let (boot_time, at) = newest?;
    let is_newer = seen.boot != now.boot || boot_time > seen.boot_time;
    (is_newer && boot_time <= now.boot_time).then(|| Seen { at, boot: now.boot.clone(), boot_time })
}

fn log_stream(state: &State) {
    let first = state.stream.kind.name(state.period);
    Report::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, "pgseal began a new stream of evolving secrets")
        .detail(format!("It begins with period {first}; a database was restored, copied or promoted."))
        .hint("Nothing is to be done. The journal of each database has it.")
        .log();
}

fn note(trouble: Trouble) {
    let (sentence, fix) = trouble.unwrap_or_default();
    let before = shared_memory::write(|Shared { launcher, .. }| {
        let before = launcher.closing_trouble.get();
        launcher.closing_trouble.set(&sentence);
        before
    });
    if !sentence.is_empty() && before.is_empty() {
        Report::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "pgseal cannot close periods")
            .detail(format!("Reason: {sentence}."))
            .hint(fix)
            .log();
    }
}

/// Whether the worker has something to close, so that it writes an anchor first.
pub fn is_due() -> bool {
    evolution::kind().is_some() && shared_memory::read_launcher().closing > 0
}

/// The worker's part, after its anchor is published.
pub fn write() {
    if evolution::kind().is_none() || newest_anchor::slot().is_none() {
        return;
    }
    // A missing state is the launcher's to complain about.
    let Ok(state) = evolution::load() else { return };
    let has_ended = shared_memory::read_launcher().closing == state.period + 1;
    match worker::attempt(|| in_database(&state, has_ended)) {
        Ok(Ok(slot)) => remember(slot),
        Ok(Err(trouble)) | Err(trouble) => note_trouble(&trouble),
    }
}

fn remember(closing: ClosingSlot) {
    let _ = newest_anchor::update(|slot| {
        slot.pending |= !closing.trouble.get().is_empty();
        slot.closing = closing;
    });
    if closing.needs_stream {
        shared_memory::wake_launcher();
    }
}

fn note_trouble(trouble: &str) {
    let _ = newest_anchor::update(|slot| {
        slot.closing.trouble.set(trouble);
        slot.pending = true;
    });
}

fn in_database(state: &State, has_ended: bool) -> Result<ClosingSlot, String> {
    let known = newest_anchor::slot().map_or(ClosingSlot::FREE, |slot| slot.closing);
    let fresh = ClosingSlot {
        accepted_at: known.accepted_at,
        accepted_boot_time: known.accepted_boot_time,
        ..ClosingSlot::FREE
    };
    let known = if known.stream == state.stream.id { known } else { ClosingSlot { stream: state.stream.id, ..fresh } };
    if registry::catalog().is_none() || registry::registrations().is_empty() {
        return Ok(ClosingSlot { closed: if has_ended { state.period + 1 } else { known.closed }, ..known });
    }
    if let Some(problem) = tables::problems().into_iter().next() {
        return Err(problem);
    }
    let known = match shared_memory::read_launcher().closing_trouble.get().is_empty() {
        true => known,
        // The clock may be in question.
        false => {
            let (accepted_at, accepted_boot_time) = accepted_here();
            ClosingSlot { accepted_at, accepted_boot_time, ..known }
        }
    };
    let attached = registry::registrations().into_iter().filter(|row| row.is_attached());
    let opened = attached.fold(1_u64, |sum, row| {
        sum.wrapping_add(row.history.0.iter().fold(7, |bits: u64, byte| bits.rotate_left(5) ^ u64::from(*byte)))
    });
    let is_closed = !has_ended || known.closed > state.period;
    if known.opened == opened && is_closed && !known.needs_stream && known.trouble.get().is_empty() {
        return Ok(known);
    }
    let mut slot = ClosingSlot { opened, needs_stream: false, ..known };
    slot.trouble.set("");
    match closing::write_period(state, has_ended)? {
        Written::All => slot.closed = if has_ended { state.period + 1 } else { slot.closed },
        Written::Later => slot = ClosingSlot { opened: known.opened, ..slot },
        Written::NeedsStream => slot.needs_stream = true,
    }
    if slot.opened != opened {
        slot.trouble.set("a table is locked, so that its chains could not be closed yet");
    }
    Ok(slot)
}

/// The moment at which the clock was accepted last, if that was in this boot.
fn accepted_here() -> (i64, i64) {
    let Ok(prefix) = plan::chain_prefix() else { return (0, 0) };
    let accepted = overall::as_seen(Sees::Stored).accepted_clock.filter(|accepted| accepted.chain == prefix);
    match accepted.filter(|accepted| accepted.moment.boot == clock::boot_id()) {
        Some(accepted) => (accepted.moment.at, accepted.moment.boot_time),
        None => (0, 0),
    }
}
