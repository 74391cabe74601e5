//! How far each verification is, in shared memory: one slot per backend, which its parallel workers
//! count into.
//!
//! Atomics, so that a worker counts without a lock. What only the backend itself changes stands
//! between two steps of `version`, and whoever reads looks again if that moved meanwhile.

use super::{server, shared_memory};
use pgrx::pg_sys;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};

/// The progress of one backend. All zero: it verifies nothing.
#[repr(C)]
pub struct ProgressSlot {
    /// Odd while the fields are being changed.
    version: AtomicU32,
    /// Oid; 0: nothing is verified.
    database: AtomicU32,
    relation: AtomicU32,
    pid: AtomicI32,
    phase: AtomicU32,
    /// µs since 2000-01-01 UTC.
    started: AtomicI64,
    done: AtomicU64,
    expected: AtomicU64,
}

/// What a slot says.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub pid: i32,
    /// Oid of the history's table.
    pub relation: u32,
    /// Number of the phase, whose meaning is the writer's.
    pub phase: u32,
    /// µs since 2000-01-01 UTC.
    pub started: i64,
    /// Entries of this phase.
    pub done: u64,
    /// 0: not known.
    pub expected: u64,
}

static SLOTS: AtomicPtr<ProgressSlot> = AtomicPtr::new(ptr::null_mut());

/// How often a reader looks again at a slot that is being changed, before it leaves it out.
const LOOKS: usize = 100;

/// How much shared memory the slots of so many backends need, in bytes.
pub(super) fn size(backends: usize) -> usize {
    backends * size_of::<ProgressSlot>()
}

/// # Safety
/// `area` must have a slot for each backend, in shared memory, zeroed when the server started.
pub(super) unsafe fn place(area: *mut ProgressSlot) {
    SLOTS.store(area, Ordering::Relaxed);
}

fn all() -> &'static [ProgressSlot] {
    let area = SLOTS.load(Ordering::Relaxed);
    if area.is_null() {
        return &[];
    }
    // SAFETY: `place` got so many; they are in shared memory as long as the process lives, any bytes
    // are valid atomics, and nothing refers to them but by shared references.
    unsafe { std::slice::from_raw_parts(area, shared_memory::backends()) }
}

/// The slot of this backend, or of the leader for a parallel worker.
fn own() -> Option<&'static ProgressSlot> {
    all().get(server::leader_number())
}

impl ProgressSlot {
    /// Changes fields that belong together. Only the backend that the slot belongs to may.
    fn change(&self, change: impl FnOnce(&ProgressSlot)) {
        self.version.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::Release);
        change(self);
        self.version.fetch_add(1, Ordering::Release);
    }

    fn read(&self, database: u32) -> Option<Progress> {
        for _ in 0..LOOKS {
            let before = self.version.load(Ordering::Acquire);
            let of_database = self.database.load(Ordering::Relaxed) == database;
            let progress = Progress {
                pid: self.pid.load(Ordering::Relaxed),
                relation: self.relation.load(Ordering::Relaxed),
                phase: self.phase.load(Ordering::Relaxed),
                started: self.started.load(Ordering::Relaxed),
                done: self.done.load(Ordering::Relaxed),
                expected: self.expected.load(Ordering::Relaxed),
            };
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && before == self.version.load(Ordering::Relaxed) {
                return of_database.then_some(progress);
            }
            std::hint::spin_loop();
        }
        None
    }
}

/// Whether this backend has a slot in use.
pub fn is_shown() -> bool {
    own().is_some_and(|slot| slot.database.load(Ordering::Relaxed) != 0)
}

/// Shows that this backend works on a table since `started`, in µs since 2000-01-01 UTC. It is taken
/// back by [`hide`], and at the latest when the process exits.
pub fn show(relation: u32, phase: u32, started: i64) {
    shared_memory::clear_at_exit();
    let Some(slot) = own() else { return };
    slot.change(|slot| {
        slot.relation.store(relation, Ordering::Relaxed);
        // SAFETY: this process's id, fixed since its start.
        slot.pid.store(unsafe { pg_sys::MyProcPid }, Ordering::Relaxed);
        slot.phase.store(phase, Ordering::Relaxed);
        slot.started.store(started, Ordering::Relaxed);
        slot.done.store(0, Ordering::Relaxed);
        slot.expected.store(0, Ordering::Relaxed);
        slot.database.store(server::database(), Ordering::Relaxed);
    });
}

/// Another phase begins; of how many entries, 0: it counts none.
pub fn enter(phase: u32, expected: u64) {
    let Some(slot) = own() else { return };
    slot.change(|slot| {
        slot.phase.store(phase, Ordering::Relaxed);
        slot.done.store(0, Ordering::Relaxed);
        slot.expected.store(expected, Ordering::Relaxed);
    });
}

/// The phase is called by another number and counts on.
pub fn rename(phase: u32) {
    if let Some(slot) = own() {
        slot.phase.store(phase, Ordering::Relaxed);
    }
}

/// How many entries this backend's phase has counted.
pub fn counted() -> u64 {
    own().map_or(0, |slot| slot.done.load(Ordering::Relaxed))
}

/// Counts entries of this backend's phase, or of its leader's for a parallel worker. Cannot fail.
pub fn count(entries: u64) {
    if let Some(slot) = own() {
        slot.done.fetch_add(entries, Ordering::Relaxed);
    }
}

/// Gives the slot back. Cannot fail.
pub fn hide() {
    if let Some(slot) = own() {
        slot.change(|slot| slot.database.store(0, Ordering::Relaxed));
    }
}

/// Everything that backends of this database show.
pub fn of_database() -> Vec<Progress> {
    let database = server::database();
    all().iter().filter_map(|slot| slot.read(database)).collect()
}
