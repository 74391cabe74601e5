//! pgseal's shared memory: the heads of all chains, what is known of each database's anchors, the
//! launcher, and one run secret per backend.
//!
//! | what | guarded by | written by |
//! |---|---|---|
//! | head slots | LWLock `pgseal` 0 | the owner of the chain, at commit; the anchor worker |
//! | database slots | the same | who commits entries (`dirty`, `plan`); the launcher and its workers (the rest) |
//! | launcher slot | the same | the launcher and its workers |
//! | counters | none: atomics | whoever counts, see `counters` |
//! | run secrets | none: a slot belongs to one backend | that backend, read by its parallel workers after they start |

use super::counters::{self, Counters};
use super::{clock, server};
use crate::settings;
use pgrx::{pg_guard, pg_sys};
use std::ffi::CStr;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

const TRANCHE: &CStr = c"pgseal";
const HEADS: &CStr = c"pgseal heads";
const RUNS: &CStr = c"pgseal verification runs";
const DATABASES: &CStr = c"pgseal databases";
const LAUNCHER: &CStr = c"pgseal launcher";
const COUNTERS: &CStr = c"pgseal counters";

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
    /// What went wrong with runs the last time; empty: nothing.
    pub run_trouble: Text<252>,
    /// Histories whose run could not be made and has to wait.
    pub postponed: [Postponed; MAX_POSTPONED],
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
        plan: 0,
        run_not_before: 0,
        running_since: 0,
        run_pid: 0,
        running: [0; 16],
        last_run_started: 0,
        last_run_finished: 0,
        run_trouble: Text::EMPTY,
        postponed: [Postponed::FREE; MAX_POSTPONED],
    };

    /// Makes the next visit find out anew when the run worker is needed.
    pub fn plan_again(&mut self) {
        self.next_run = 0;
        self.next_alarm = 0;
        self.plan = self.plan.wrapping_add(1);
    }
}

/// A short text in shared memory.
#[derive(Debug, Clone, Copy)]
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
    /// When it first started, in µs since 2000-01-01 UTC; what was sealed earlier is in no memory.
    pub since: i64,
    /// Why it could not start a worker the last time; empty: it could.
    pub trouble: Text<252>,
    /// The schedule and the time zone that the settings had when it last looked.
    pub schedule: Text<252>,
    /// Since when they are so, µs since 2000-01-01 UTC; 0: since before the server's start.
    pub scheduled_since: i64,
}

/// Everything that the lock guards.
pub struct Shared<'a> {
    pub heads: &'a mut [HeadSlot],
    pub databases: &'a mut [DatabaseSlot],
    pub launcher: &'a mut LauncherSlot,
}

/// In how many databases of a cluster histories can be sealed.
pub const MAX_DATABASES: usize = 256;

/// The secret of the verification that a backend is running; zero when none runs.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct RunSlot {
    pub secret: [u8; 16],
    pub active: bool,
}

static HEAD_SLOTS: AtomicPtr<HeadSlot> = AtomicPtr::new(ptr::null_mut());
static DATABASE_SLOTS: AtomicPtr<DatabaseSlot> = AtomicPtr::new(ptr::null_mut());
static LAUNCHER_SLOT: AtomicPtr<LauncherSlot> = AtomicPtr::new(ptr::null_mut());
static RUN_SLOTS: AtomicPtr<RunSlot> = AtomicPtr::new(ptr::null_mut());
static LOCK: AtomicPtr<pg_sys::LWLock> = AtomicPtr::new(ptr::null_mut());
static PREVIOUS_REQUEST: OnceLock<pg_sys::shmem_request_hook_type> = OnceLock::new();
static PREVIOUS_STARTUP: OnceLock<pg_sys::shmem_startup_hook_type> = OnceLock::new();

fn run_slots() -> usize {
    // SAFETY: fixed before the shared memory hooks run.
    unsafe { pg_sys::MaxBackends.max(1) as usize }
}

fn heads_bytes() -> usize {
    settings::max_heads() * size_of::<HeadSlot>()
}

/// Registers the hooks that reserve and find the memory. Call in `_PG_init`.
pub fn init() {
    // SAFETY: _PG_init of a preloaded library is the place to chain these hooks; the previous
    // values are kept and called.
    unsafe {
        let _ = PREVIOUS_REQUEST.set(pg_sys::shmem_request_hook);
        pg_sys::shmem_request_hook = Some(request);
        let _ = PREVIOUS_STARTUP.set(pg_sys::shmem_startup_hook);
        pg_sys::shmem_startup_hook = Some(startup);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn request() {
    // SAFETY: called by the postmaster while it collects requests.
    unsafe {
        if let Some(Some(previous)) = PREVIOUS_REQUEST.get() {
            previous();
        }
        let databases = MAX_DATABASES * size_of::<DatabaseSlot>() + size_of::<LauncherSlot>() + counters::SIZE;
        pg_sys::RequestAddinShmemSpace(heads_bytes() + run_slots() * size_of::<RunSlot>() + databases + 1024);
        pg_sys::RequestNamedLWLockTranche(TRANCHE.as_ptr(), 1);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn startup() {
    // SAFETY: called with shared memory created; runs again after a crash restart, when the
    // memory is new and must be zeroed again. ShmemInitStruct needs AddinShmemInitLock.
    unsafe {
        if let Some(Some(previous)) = PREVIOUS_STARTUP.get() {
            previous();
        }
        let guard = &raw mut (*pg_sys::MainLWLockArray.add(ADDIN_SHMEM_INIT_LOCK)).lock;
        pg_sys::LWLockAcquire(guard, pg_sys::LWLockMode::LW_EXCLUSIVE);
        let heads = area::<HeadSlot>(HEADS, settings::max_heads());
        let runs = area::<RunSlot>(RUNS, run_slots());
        let databases = area::<DatabaseSlot>(DATABASES, MAX_DATABASES);
        let launcher = area::<LauncherSlot>(LAUNCHER, 1);
        counters::place(area::<Counters>(COUNTERS, counters::DATABASES));
        pg_sys::LWLockRelease(guard);
        DATABASE_SLOTS.store(databases, Ordering::Relaxed);
        LAUNCHER_SLOT.store(launcher, Ordering::Relaxed);
        HEAD_SLOTS.store(heads, Ordering::Relaxed);
        RUN_SLOTS.store(runs, Ordering::Relaxed);
        LOCK.store(&raw mut (*pg_sys::GetNamedLWLockTranche(TRANCHE.as_ptr())).lock, Ordering::Relaxed);
    }
}

/// Number of AddinShmemInitLock in the server's list of individual LWLocks, the same since 9.6.
const ADDIN_SHMEM_INIT_LOCK: usize = 21;

unsafe fn area<T>(name: &CStr, count: usize) -> *mut T {
    let mut found = false;
    // SAFETY: the caller holds AddinShmemInitLock; the size was requested before.
    unsafe {
        let area: *mut T = pg_sys::ShmemInitStruct(name.as_ptr(), count * size_of::<T>(), &mut found).cast();
        if !found {
            ptr::write_bytes(area, 0, count);
        }
        area
    }
}

struct LwLockGuard(*mut pg_sys::LWLock);

impl Drop for LwLockGuard {
    fn drop(&mut self) {
        // SAFETY: made only by `hold`, so the lock is held. After an ERROR the server may have
        // released all LWLocks already, which LWLockHeldByMe tells.
        unsafe {
            if pg_sys::LWLockHeldByMe(self.0) {
                pg_sys::LWLockRelease(self.0);
            }
        }
    }
}

fn hold(mode: pg_sys::LWLockMode::Type) -> LwLockGuard {
    let lock = LOCK.load(Ordering::Relaxed);
    // SAFETY: set by `startup` before any backend exists.
    unsafe { pg_sys::LWLockAcquire(lock, mode) };
    LwLockGuard(lock)
}

/// Reads the slots under the shared lock. The closure must be short and must not raise.
pub fn read<R>(f: impl FnOnce(&[HeadSlot], &[DatabaseSlot]) -> R) -> R {
    let _held = hold(pg_sys::LWLockMode::LW_SHARED);
    // SAFETY: the areas have these lengths and were initialised at start-up; writers hold the lock
    // exclusively.
    unsafe {
        let heads = std::slice::from_raw_parts(HEAD_SLOTS.load(Ordering::Relaxed), settings::max_heads());
        f(heads, std::slice::from_raw_parts(DATABASE_SLOTS.load(Ordering::Relaxed), MAX_DATABASES))
    }
}

/// The launcher as it is now.
pub fn read_launcher() -> LauncherSlot {
    let _held = hold(pg_sys::LWLockMode::LW_SHARED);
    // SAFETY: as in `read`.
    unsafe { *LAUNCHER_SLOT.load(Ordering::Relaxed) }
}

/// Changes the slots under the exclusive lock. The closure must be short and must not raise.
pub fn write<R>(f: impl FnOnce(Shared<'_>) -> R) -> R {
    let _held = hold(pg_sys::LWLockMode::LW_EXCLUSIVE);
    // SAFETY: as in `read`; the exclusive lock makes these the only references.
    unsafe {
        f(Shared {
            heads: std::slice::from_raw_parts_mut(HEAD_SLOTS.load(Ordering::Relaxed), settings::max_heads()),
            databases: std::slice::from_raw_parts_mut(DATABASE_SLOTS.load(Ordering::Relaxed), MAX_DATABASES),
            launcher: &mut *LAUNCHER_SLOT.load(Ordering::Relaxed),
        })
    }
}

/// Looks at what is known of a database; `None` if nothing is. As for `read`.
pub fn database<R>(database: u32, look: impl FnOnce(&DatabaseSlot) -> R) -> Option<R> {
    read(|_, databases| databases.iter().find(|slot| slot.database == database).map(look))
}

/// Changes what is known of a database; `None` if nothing is. As for `write`.
pub fn change_database<R>(database: u32, change: impl FnOnce(&mut DatabaseSlot) -> R) -> Option<R> {
    write(|Shared { databases, .. }| databases.iter_mut().find(|slot| slot.database == database).map(change))
}

/// Wakes the launcher, if it runs.
pub fn wake_launcher() {
    let launcher = read_launcher();
    if launcher.pid != 0 && !launcher.latch.is_null() {
        // SAFETY: a process latch lives in shared memory as long as the server; setting that of
        // another process that took the place is harmless.
        unsafe { pg_sys::SetLatch(launcher.latch) }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn launcher_ends(_code: i32, _arg: pg_sys::Datum) {
    write(|shared| {
        shared.launcher.pid = 0;
        shared.launcher.latch = ptr::null_mut();
    });
}

/// Makes this process the launcher, until it exits.
pub fn become_launcher(pid: i32) {
    // SAFETY: MyLatch of a background worker is the latch of its PGPROC in shared memory.
    let latch = unsafe { pg_sys::MyLatch };
    write(|shared| {
        shared.launcher.pid = pid;
        shared.launcher.latch = latch;
        if shared.launcher.since == 0 {
            shared.launcher.since = clock::now();
        }
    });
    // SAFETY: the callback is a function of this library, which is never unloaded.
    unsafe { pg_sys::on_shmem_exit(Some(launcher_ends), pg_sys::Datum::null()) }
}

#[pg_guard]
unsafe extern "C-unwind" fn run_worker_ends(_code: i32, database: pg_sys::Datum) {
    // SAFETY: this process's id, fixed since its start.
    let pid = unsafe { pg_sys::MyProcPid };
    change_database(database.value() as u32, |slot| {
        if slot.run_pid != pid {
            return;
        }
        slot.run_pid = 0;
        if slot.running_since != 0 {
            slot.running_since = 0;
            let now = clock::now();
            // Whoever ended it to make way has said so, and when it is tried again.
            if slot.run_not_before <= now {
                slot.run_not_before = now + RETRY_AFTER_END;
                slot.run_trouble.set("the run worker ended before it was done");
            }
        }
    });
    wake_launcher();
}

/// How long after the end of a run worker amid its work the next is started, µs.
const RETRY_AFTER_END: i64 = 60_000_000;

/// Makes this process the run worker of a database, until it exits.
pub fn become_run_worker(database: u32) {
    // SAFETY: this process's id, fixed since its start.
    let pid = unsafe { pg_sys::MyProcPid };
    change_database(database, |slot| slot.run_pid = pid);
    // SAFETY: the callback is a function of this library, which is never unloaded.
    unsafe { pg_sys::on_shmem_exit(Some(run_worker_ends), pg_sys::Datum::from(database)) }
}

/// The run slot of this backend, or of the leader for a parallel worker.
pub fn run_slot() -> RunSlot {
    // SAFETY: leader_number() is below MaxBackends. Only the leader writes the slot, before it
    // launches workers and after they ended.
    unsafe { *RUN_SLOTS.load(Ordering::Relaxed).add(server::leader_number()) }
}

pub fn set_run_slot(slot: RunSlot) {
    // SAFETY: as in `run_slot`; called in the leader only.
    unsafe { *RUN_SLOTS.load(Ordering::Relaxed).add(server::leader_number()) = slot }
}
