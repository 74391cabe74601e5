//! The moment at which a server really starts.
//!
//! `postgres -C shared_memory_size` loads the preloaded libraries too, prints a number and ends. What costs time, has
//! effects outside or may fail does not belong into `_PG_init` therefore, but here: after all libraries are loaded,
//! whatever their order, with our shared memory there and no other process yet.

use pgrx::{pg_guard, pg_sys};
use std::sync::OnceLock;

static PREVIOUS: OnceLock<pg_sys::shmem_startup_hook_type> = OnceLock::new();
static BEGIN: OnceLock<fn()> = OnceLock::new();
static BEGUN: OnceLock<()> = OnceLock::new();

/// Has `begin` called once, in the server's first process; a restart after a crash calls it no second time. Call in
/// `_PG_init`, once.
pub fn at_start(begin: fn()) {
    let _ = BEGIN.set(begin);
    // SAFETY: _PG_init of a preloaded library is the place to chain this hook; the previous value is kept and called.
    unsafe {
        let _ = PREVIOUS.set(pg_sys::shmem_startup_hook);
        pg_sys::shmem_startup_hook = Some(startup);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn startup() {
    if let Some(Some(previous)) = PREVIOUS.get() {
        // SAFETY: the hook that stood here before, called as the server calls this one.
        unsafe { previous() }
    }
    if let (Some(begin), Ok(())) = (BEGIN.get(), BEGUN.set(())) {
        begin();
    }
}

/// Whether this is a server for users: not the single-user mode in which pg_rewind and repairs run it, and not the
/// mode in which pg_upgrade does.
pub fn is_for_users() -> bool {
    // SAFETY: flags that the server sets before it loads any library and never changes in its first process.
    unsafe { pg_sys::IsPostmasterEnvironment && !pg_sys::IsBinaryUpgrade }
}
