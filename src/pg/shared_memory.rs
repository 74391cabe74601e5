//! pgseal's shared memory: the heads of all chains and one run secret per backend.
//!
//! | what | guarded by | written by |
//! |---|---|---|
//! | head slots | LWLock `pgseal` 0 | the owner of the chain, at commit |
//! | run secrets | none: a slot belongs to one backend | that backend, read by its parallel workers after they start |

use super::server;
use crate::settings;
use pgrx::{pg_guard, pg_sys};
use std::ffi::CStr;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

const TRANCHE: &CStr = c"pgseal";
const HEADS: &CStr = c"pgseal heads";
const RUNS: &CStr = c"pgseal verification runs";

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
}

/// The secret of the verification that a backend is running; zero when none runs.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct RunSlot {
    pub secret: [u8; 16],
    pub active: bool,
}

static HEAD_SLOTS: AtomicPtr<HeadSlot> = AtomicPtr::new(ptr::null_mut());
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
        pg_sys::RequestAddinShmemSpace(heads_bytes() + run_slots() * size_of::<RunSlot>() + 1024);
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
        pg_sys::LWLockRelease(guard);
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

/// Reads the head slots under the shared lock. The closure must be short and must not raise.
pub fn read_heads<R>(f: impl FnOnce(&[HeadSlot]) -> R) -> R {
    let _held = hold(pg_sys::LWLockMode::LW_SHARED);
    // SAFETY: the area has max_heads slots, initialised at start-up; writers hold the lock
    // exclusively.
    f(unsafe { std::slice::from_raw_parts(HEAD_SLOTS.load(Ordering::Relaxed), settings::max_heads()) })
}

/// Changes the head slots under the exclusive lock. The closure must be short and must not raise.
pub fn write_heads<R>(f: impl FnOnce(&mut [HeadSlot]) -> R) -> R {
    let _held = hold(pg_sys::LWLockMode::LW_EXCLUSIVE);
    // SAFETY: as in `read_heads`; the exclusive lock makes this the only reference.
    f(unsafe { std::slice::from_raw_parts_mut(HEAD_SLOTS.load(Ordering::Relaxed), settings::max_heads()) })
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
