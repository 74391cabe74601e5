//! What stands in shared memory: fixed in size, without pointers but for a latch.

use pgrx::pg_sys;

/// Which chain a slot is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct SlotKey {
    pub database: u32,
    pub chain: u32,
    pub history: [u8; 16],
}

/// One chain's newest entry, as the server remembers it. All zero: never used.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct HeadSlot {
    pub key: SlotKey,
    /// Oid of the history's table when the slot was made, to name it by.
    pub relation: u32,
    /// 0: free, 1: in use, 2: freed, but the search goes on behind it.
    pub state: u32,
    pub position: u64,
    /// µs since 2000-01-01 UTC.
    pub sealed_at: i64,
    pub epoch: u32,
    /// The value is the newest entry; otherwise only a floor, and the owner reloads it.
    pub valid: bool,
    /// A foreign row stands at the next position: the chain takes no more entries.
    pub closed: bool,
    /// A transaction that had sealed rolled back: look for a row at the next position.
    pub suspect: bool,
    pub mac: [u8; 32],
    /// Position in the newest anchor that has this chain; 0: in none that is known.
    pub anchored: u64,
}

/// What the server knows of one database's anchors. All zero: free.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct DatabaseSlot {
    /// Oid; 0: the slot is free.
    pub database: u32,
    /// Something was committed since the worker looked.
    pub dirty: bool,
    /// Since when, µs since 2000-01-01 UTC.
    pub dirty_since: i64,
    /// The worker could not anchor all; it is to look again after a while.
    pub pending: bool,
    /// `number`, `at` and `mac` are those of the newest published anchor.
    pub known: bool,
    /// Number of the newest anchor; 0: there is none.
    pub number: u64,
    /// Its time, µs since 2000-01-01 UTC.
    pub at: i64,
    pub mac: [u8; 32],
    /// Whether the worker looked for chains of before the server's start.
    pub discovered: bool,
    /// Whether it wrote a complete anchor since then.
    pub completed: bool,
    /// Chains of other places may still grow, see `record::anchor::Heads`.
    pub adopting: bool,
    /// Number of the newest anchor that listeners were told of.
    pub notified: u64,
    /// Number of the newest anchor that the witness command took.
    pub witnessed: u64,
    /// When either was last tried, µs since 2000-01-01 UTC; 0: never since the server's start.
    pub witnessed_at: i64,
    /// When the worker last ended well, µs since 2000-01-01 UTC; 0: never.
    pub worked_at: i64,
    /// What went wrong the last time; empty: nothing.
    pub trouble: Text<252>,
    /// Number of the anchor whose line waits for the witness command.
    pub line_number: u64,
    /// That line.
    pub line: Text<1020>,
    /// Since when the command runs, µs since 2000-01-01 UTC; 0: it does not.
    pub witnessing_since: i64,
    /// What the witness command complained about the last time; empty: nothing.
    pub witness_trouble: Text<252>,
    /// When the run worker is needed next, µs since 2000-01-01 UTC; 0: not known, `i64::MAX`: never.
    pub next_run: i64,
    /// When it is needed to send an alarm, likewise.
    pub next_alarm: i64,
    /// When it is needed to check what was sealed since the checkpoints, likewise.
    pub next_check: i64,
    /// When these were computed, µs since 2000-01-01 UTC.
    pub planned_at: i64,
    /// Counts what may have changed `next_run`: whoever computed it meanwhile computed it from what was before.
    pub plan: u32,
    /// No run worker is started before, µs since 2000-01-01 UTC.
    pub run_not_before: i64,
    /// Since when a run worker is being started or at work, µs since 2000-01-01 UTC; 0: none is.
    pub running_since: i64,
    /// Its process id; 0: there is none yet, or no more.
    pub run_pid: i32,
    /// The history that it is verifying; zero: none. It stays when the worker is ended amid that.
    pub running: [u8; 16],
    /// When the newest scheduled run of any history began and ended, µs since 2000-01-01 UTC; 0: none did since the
    /// server's start.
    pub last_run_started: i64,
    pub last_run_finished: i64,
    /// When the newest check since the checkpoints began, µs since 2000-01-01 UTC; 0: none did since the server's start.
    pub checked_at: i64,
    /// One of that check's histories could not be checked.
    pub check_failed: bool,
    /// What went wrong with runs the last time; empty: nothing.
    pub run_trouble: Text<252>,
    /// Histories whose run could not be made and has to wait.
    pub postponed: [Postponed; MAX_POSTPONED],
    pub closing: ClosingSlot,
}

/// How far a database's periods are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct ClosingSlot {
    /// The stream that the rest is about; zero: none.
    pub stream: [u8; 16],
    /// How many of its periods are closed, counted from period 0.
    pub closed: u32,
    /// Of which attached histories openings are there: a sum of their ids.
    pub opened: u64,
    /// Only a new stream can go on here.
    pub needs_stream: bool,
    /// The time of day that was accepted last in this boot of the machine, µs since 2000-01-01 UTC.
    pub accepted_at: i64,
    /// The machine's time of that moment, µs since its boot; 0: nothing was accepted since then.
    pub accepted_boot_time: i64,
    /// What went wrong the last time; empty: nothing.
    pub trouble: Text<252>,
}

impl ClosingSlot {
    pub const FREE: ClosingSlot = ClosingSlot {
        stream: [0; 16],
        closed: 0,
        opened: 0,
        needs_stream: false,
        accepted_at: 0,
        accepted_boot_time: 0,
        trouble: Text::EMPTY,
    };
}

/// How many histories of a database can wait for another try without keeping the others waiting.
pub const MAX_POSTPONED: usize = 8;

/// A history whose run is tried again later. All zero: free.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Postponed {
    pub history: [u8; 16],
    /// How often in a row it failed; 0: somebody else was running it.
    pub failures: u32,
    /// It is not tried before, µs since 2000-01-01 UTC.
    pub not_before: i64,
}

impl Postponed {
    pub const FREE: Postponed = Postponed { history: [0; 16], failures: 0, not_before: 0 };
}

impl DatabaseSlot {
    pub const FREE: DatabaseSlot = DatabaseSlot {
        database: 0,
        dirty: false,
        dirty_since: 0,
        pending: false,
        known: false,
        number: 0,
        at: 0,
        mac: [0; 32],
        discovered: false,
        completed: false,
        adopting: false,
        notified: 0,
        witnessed: 0,
        witnessed_at: 0,
        worked_at: 0,
        trouble: Text::EMPTY,
        line_number: 0,
        line: Text::EMPTY,
        witnessing_since: 0,
        witness_trouble: Text::EMPTY,
        next_run: 0,
        next_alarm: 0,
        next_check: 0,
        planned_at: 0,
        plan: 0,
        run_not_before: 0,
        running_since: 0,
        run_pid: 0,
        running: [0; 16],
        last_run_started: 0,
        last_run_finished: 0,
        checked_at: 0,
        check_failed: false,
        run_trouble: Text::EMPTY,
        postponed: [Postponed::FREE; MAX_POSTPONED],
        closing: ClosingSlot::FREE,
    };

    /// Makes the next visit find out anew when the run worker is needed.
    pub fn plan_again(&mut self) {
        self.next_run = 0;
        self.next_alarm = 0;
        self.next_check = 0;
        self.plan = self.plan.wrapping_add(1);
    }
}

/// A short text in shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Text<const N: usize> {
    length: u32,
    bytes: [u8; N],
}

impl<const N: usize> Text<N> {
    const EMPTY: Text<N> = Text { length: 0, bytes: [0; N] };

    pub fn set(&mut self, text: &str) {
        let length = text.floor_char_boundary(self.bytes.len());
        self.bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        self.length = length as u32;
    }

    pub fn get(&self) -> String {
        let bytes = self.bytes.get(..self.length as usize).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// The process that starts anchor workers.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct LauncherSlot {
    /// 0: it does not run.
    pub pid: i32,
    /// Its latch, valid while `pid` is not 0.
    pub latch: *mut pg_sys::Latch,
    /// When it first started, in µs since 2000-01-01 UTC; what was sealed earlier is in no memory. 0: it never did.
    pub since: i64,
    /// Why it could not start a worker the last time; empty: it could.
    pub trouble: Text<252>,
    /// The schedule and the time zone that the settings had when it last looked.
    pub schedule: Text<252>,
    /// Since when they are so, µs since 2000-01-01 UTC; 0: since before the server's start.
    pub scheduled_since: i64,
    /// How often the settings wanted checks since the checkpoints when it last looked, µs; 0: never.
    pub check_interval: i64,
    /// The period that has ended and is to be closed everywhere, plus 1; 0: none is.
    pub closing: u32,
    /// Why periods cannot be closed; empty: they can.
    pub closing_trouble: Text<508>,
}

/// The secret of the verification that a backend is running; zero when none runs.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct RunSlot {
    pub secret: [u8; 16],
    pub active: bool,
}
