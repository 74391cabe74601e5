//! Which histories are to be run now, and when the next one is.
//!
//! A history's last run is the newest that the schedule brought about, as the journal has it, or its attachment. Its next
//! run is due at the first time of its schedule after that, however long ago: of the times that passed while nothing
//! could run, one is caught up.

use super::check;
use crate::alert;
use crate::pg::shared_memory::{self, DatabaseSlot, Postponed};
use crate::pg::snapshot::Sees;
use crate::pg::{clock, relation, server, user};
use crate::record::definition;
use crate::record::journaled::Journaled;
use crate::record::{journal, journaled, registry};
use crate::settings;
use pgseal_chain::HistoryId;
use pgseal_schedule::{Schedule, Zone};

/// A run that begins later than this after its time was missed, µs.
pub const LATE: i64 = 3_600_000_000;

/// By so much the clock may be set back without anybody taking what was before for the future, µs.
pub const TOLERANCE: i64 = 120_000_000;

/// The longest time after which a run is tried again, µs.
pub const LONGEST_RETRY: i64 = 3_600_000_000;

/// A history whose run is due.
#[derive(Debug, Clone)]
pub struct Due {
    pub history: HistoryId,
    /// Name of its table.
    pub table: String,
    /// Oid of its table; 0 where only the journal knows the history.
    pub relation: u32,
    /// Since when, µs since 2000-01-01 UTC.
    pub at: i64,
    /// Its time passed while nothing could run.
    pub missed: bool,
    /// Its time was long ago.
    pub overdue: bool,
    /// How often in a row its run failed.
    pub failures: u32,
}

/// What is to be done now and later.
pub struct Plan {
    /// Those that failed before come last.
    pub due: Vec<Due>,
    /// When the first of the others is due, µs since 2000-01-01 UTC; `i64::MAX`: never.
    later: i64,
    /// When the next alarm is to be sent, likewise.
    next_alarm: i64,
    /// When the histories are to be checked from their checkpoints on, likewise.
    next_check: i64,
    /// Histories that have a schedule.
    scheduled: Vec<HistoryId>,
    /// The slot's count when this plan was begun.
    number: u32,
}

struct Candidate {
    history: HistoryId,
    table: String,
    relation: u32,
    journaled: Option<Journaled>,
    /// The same of entries that are not authentic here, perhaps for want of their key. They bring runs about, and keep
    /// none from being made.
    unproven: Option<Journaled>,
    attached_at: i64,
}

impl Plan {
    /// Call in a transaction.
    pub fn make() -> Plan {
        let slot = shared_memory::database(server::database(), |slot| *slot).unwrap_or(DatabaseSlot::FREE);
        let mut plan = Plan {
            due: Vec::new(),
            later: i64::MAX,
            next_alarm: i64::MAX,
            next_check: i64::MAX,
            scheduled: Vec::new(),
            number: slot.plan,
        };
        if registry::catalog().is_none() {
            return plan;
        }
        let launcher = shared_memory::read_launcher();
        let (now, zone) = (clock::now(), settings::schedule_zone());
        for candidate in user::with_rights_of(user::extension_owner(), candidates) {
            plan.next_check = check::due(&slot, now);
            let Some(at) = candidate.due(zone, now, launcher.scheduled_since) else { continue };
            plan.scheduled.push(candidate.history);
            let postponed = slot.postponed.iter().find(|postponed| {
                // One that waits for longer than it can was put off by a clock that was ahead.
                postponed.history == candidate.history.0 && postponed.not_before <= now + LONGEST_RETRY
            });
            let begin = at.max(postponed.map_or(i64::MIN, |postponed| postponed.not_before));
            if begin > now {
                plan.later = plan.later.min(begin);
                continue;
            }
            let overdue = at < now - LATE;
            let was_down = at < launcher.since && launcher.since <= now;
            let failures = postponed.map_or(0, |postponed| postponed.failures);
            plan.due.push(Due {
                history: candidate.history,
                table: candidate.table,
                relation: candidate.relation,
                at,
                // Of one that failed somebody was told already.
                missed: failures == 0 && (was_down || overdue),
                overdue,
                failures,
            });
        }
        let alarms = user::with_rights_of(user::extension_owner(), alert::next_attempt);
        plan.next_alarm = alarms.unwrap_or(i64::MAX);
        plan.due.sort_by_key(|due| (due.failures, due.at));
        plan
    }

    /// When the run worker is needed next, µs since 2000-01-01 UTC; `i64::MAX`: never.
    fn next_run(&self) -> i64 {
        self.due.iter().map(|due| due.at).fold(self.later, i64::min)
    }

    /// Tells the launcher, unless what it was made from has changed since.
    pub fn publish(&self) {
        let next_run = self.next_run();
        shared_memory::change_database(server::database(), |slot| {
            if slot.plan == self.number {
                slot.next_run = next_run;
                slot.next_alarm = self.next_alarm;
                slot.next_check = self.next_check;
                slot.planned_at = clock::now();
            }
            let waits = |postponed: &Postponed| self.scheduled.contains(&HistoryId(postponed.history));
            slot.postponed.iter_mut().filter(|postponed| !waits(postponed)).for_each(|free| *free = Postponed::FREE);
        });
    }
}

impl Candidate {
    /// When it is to run; `None`: never.
    fn due(&self, zone: Zone, now: i64, scheduled_since: i64) -> Option<i64> {
        let own = self.journaled.as_ref().and_then(|journaled| journaled.schedule.clone());
        let follows_server = own.is_none() && settings::schedule().is_some();
        let judged = own.or_else(settings::schedule);
        let unproven = self.unproven.as_ref().filter(|_| judged.is_none());
        let text = judged.or_else(|| unproven?.schedule.clone());
        let text = text.filter(|text| text != settings::NO_SCHEDULE)?;
        // What happened in the future happened before the clock was set right.
        let is_past = |at: &i64| *at <= now + TOLERANCE;
        let last = self.journaled.as_ref().and_then(|of| of.scheduled_run).filter(is_past);
        let last = last.or(Some(self.attached_at).filter(is_past));
        let set = self.journaled.iter().map(|of| of.scheduled_at).chain(follows_server.then_some(scheduled_since));
        let since = set.filter(is_past).chain(last).max();
        Schedule::parse(&text).ok()?.next_after(zone, since.unwrap_or(0))
    }
}

/// Histories that are attached, or whose detachment or disappearance is not pgseal's own doing.
fn candidates() -> Vec<Candidate> {
    let mut journaled = journaled::as_seen(Sees::Stored);
    let mut unproven = journaled::histories(&journal::unproven(Sees::Stored));
    let registrations = registry::registrations();
    let mut found = Vec::new();
    for row in registrations.iter().filter(|row| definition::is_to_be_verified(row)) {
        let journaled = journaled.remove(&row.history);
        found.push(Candidate {
            history: row.history,
            table: relation::name_of(row.relation),
            relation: row.relation,
            attached_at: journaled.as_ref().map_or(row.attached_at, |journaled| journaled.attached_at),
            journaled,
            unproven: unproven.remove(&row.history),
        });
    }
    journaled.retain(|history, of| of.detached.is_none() && registrations.iter().all(|row| row.history != *history));
    found.extend(journaled.into_iter().map(|(history, of)| Candidate {
        history,
        table: of.table.clone(),
        relation: 0,
        attached_at: of.attached_at,
        journaled: Some(of),
        unproven: None,
    }));
    found
}

/// Tries a history again no sooner than this, µs since 2000-01-01 UTC.
pub fn postpone(history: HistoryId, failures: u32, not_before: i64) {
    shared_memory::change_database(server::database(), |slot| {
        let known = slot.postponed.iter().position(|postponed| postponed.history == history.0);
        let place = known.or_else(|| slot.postponed.iter().position(|postponed| postponed.history == [0; 16]));
        match place {
            Some(place) => slot.postponed[place] = Postponed { history: history.0, failures, not_before },
            // No room: all of them wait.
            None => slot.run_not_before = slot.run_not_before.max(not_before),
        }
    });
}

/// The history was run.
pub fn forget(history: HistoryId) {
    shared_memory::change_database(server::database(), |slot| {
        for postponed in slot.postponed.iter_mut().filter(|postponed| postponed.history == history.0) {
            *postponed = Postponed::FREE;
        }
    });
}
