//! pgseal's shared memory: the heads of all chains, what is known of each database's anchors, the
//! launcher, and one run secret per backend.
//!
//! | what | guarded by | written by |
//! |---|---|---|
//! | head slots | LWLock `pgseal` 0 | the owner of the chain, at commit; the anchor worker |
//! | database slots | the same | who commits entries (`dirty`, `plan`); the launcher and its workers (the rest) |
//! | launcher slot | the same | the launcher and its workers |
//! | counters | none: atomics | whoever counts, see `counters` |
//! | progress | none: atomics | a backend that verifies and its parallel workers, see `progress` |
//! | run secrets | none: a slot belongs to one backend | that backend, read by its parallel workers after they start |

mod slots;

pub use slots::{ClosingSlot, DatabaseSlot, HeadSlot, LauncherSlot, Postponed, RunSlot, SlotKey};

use super::counters::{self, Counters};
use super::progress::{self, ProgressSlot};
use super::{clock, secret_memory, server, unguarded};
use crate::settings;
use pgrx::{pg_guard, pg_sys};
use std::ffi::CStr;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

const TRANCHE: &CStr = c"pgseal";
const HEADS: &CStr = c"pgseal heads";
const RUNS: &CStr = c"pgseal verification runs";
const DATABASES: &CStr = c"pgseal databases";
const LAUNCHER: &CStr = c"pgseal launcher";
const COUNTERS: &CStr = c"pgseal counters";
const PROGRESS: &CStr = c"pgseal progress";

/// Everything that the lock guards.
pub struct Shared<'a> {
    pub heads: &'a mut [HeadSlot],
    pub databases: &'a mut [DatabaseSlot],
    pub launcher: &'a mut LauncherSlot,
}

/// In how many databases of a cluster histories can be sealed.
pub const MAX_DATABASES: usize = 256;

static HEAD_SLOTS: AtomicPtr<HeadSlot> = AtomicPtr::new(ptr::null_mut());
static DATABASE_SLOTS: AtomicPtr<DatabaseSlot> = AtomicPtr::new(ptr::null_mut());
static LAUNCHER_SLOT: AtomicPtr<LauncherSlot> = AtomicPtr::new(ptr::null_mut());
static RUN_SLOTS: AtomicPtr<RunSlot> = AtomicPtr::new(ptr::null_mut());
static LOCK: AtomicPtr<pg_sys::LWLock> = AtomicPtr::new(ptr::null_mut());
static PREVIOUS_REQUEST: OnceLock<pg_sys::shmem_request_hook_type> = OnceLock::new();
static PREVIOUS_STARTUP: OnceLock<pg_sys::shmem_startup_hook_type> = OnceLock::new();

/// How many backends there can be.
pub(super) fn backends() -> usize {
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
        let backends = backends() * size_of::<RunSlot>() + progress::size(backends());
        pg_sys::RequestAddinShmemSpace(heads_bytes() + backends + databases + 1024);
        pg_sys::RequestNamedLWLockTranche(TRANCHE.as_ptr(), 1);
        secret_memory::request();
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
        let runs = area::<RunSlot>(RUNS, backends());
        let databases = area::<DatabaseSlot>(DATABASES, MAX_DATABASES);
        let launcher = area::<LauncherSlot>(LAUNCHER, 1);
        counters::place(area::<Counters>(COUNTERS, counters::DATABASES));
        progress::place(area::<ProgressSlot>(PROGRESS, backends()));
        pg_sys::LWLockRelease(guard);
        DATABASE_SLOTS.store(databases, Ordering::Relaxed);
        LAUNCHER_SLOT.store(launcher, Ordering::Relaxed);
        HEAD_SLOTS.store(heads, Ordering::Relaxed);
        RUN_SLOTS.store(runs, Ordering::Relaxed);
        LOCK.store(&raw mut (*pg_sys::GetNamedLWLockTranche(TRANCHE.as_ptr())).lock, Ordering::Relaxed);
        secret_memory::started();
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
        // SAFETY: made only by `hold`, so the lock is held: no closure that runs meanwhile calls the server, so that
        // no ERROR can have released it.
        unsafe { unguarded::LWLockRelease(self.0) }
    }
}

fn hold(mode: pg_sys::LWLockMode::Type) -> LwLockGuard {
    let lock = LOCK.load(Ordering::Relaxed);
    // SAFETY: set by `startup` before any backend exists. Triggers and the ends of transactions run with next to none
    // of the 200 locks held that a process may hold.
    unsafe { unguarded::LWLockAcquire(lock, mode) };
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
    if slot.active {
        clear_at_exit();
    }
    // SAFETY: as in `run_slot`; called in the leader only.
    unsafe { *RUN_SLOTS.load(Ordering::Relaxed).add(server::leader_number()) = slot }
}

/// Whether this process clears its slots when it exits.
static CLEARS_AT_EXIT: AtomicBool = AtomicBool::new(false);

#[pg_guard]
unsafe extern "C-unwind" fn backend_ends(_code: i32, _arg: pg_sys::Datum) {
    set_run_slot(RunSlot { secret: [0; 16], active: false });
    progress::hide();
}

/// Has what this backend shows of a verification cleared when it exits: a FATAL unwinds nothing, and its
/// number goes to the next one.
pub(super) fn clear_at_exit() {
    if !CLEARS_AT_EXIT.swap(true, Ordering::Relaxed) {
        // SAFETY: the callback is a function of this library, which is never unloaded. MyProc, whose
        // number it needs, is given up by a callback that was registered earlier and so runs later.
        unsafe { pg_sys::on_shmem_exit(Some(backend_ends), pg_sys::Datum::null()) }
    }
}
