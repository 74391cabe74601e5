//! Where secrets are kept: memory that all processes of the server share, that no core file has and that is not
//! swapped out where the system allows that, wiped when the server ends.
//!
//! | what | guarded by | written by |
//! |---|---|---|
//! | slots | LWLock `pgseal secrets` 0; none while the server has a single process yet | who fetched a secret |
//! | generation | none: atomic | the same, after the slot |
//!
//! Unlike the server's own shared memory it survives a crash of a backend: nothing has to be fetched again then.

use super::{server, unguarded};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mlock, mmap_anonymous};
use pgrx::{pg_guard, pg_sys};
use std::ffi::CStr;
use std::num::NonZeroUsize;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use zeroize::{Zeroize, Zeroizing};

const TRANCHE: &CStr = c"pgseal secrets";

/// How many secrets there can be at a time.
const SLOTS: usize = 512;
/// The longest label, in bytes.
pub const MAX_LABEL: usize = 63;
/// The longest secret, in bytes.
pub const MAX_BYTES: usize = 1024;

#[repr(C)]
struct Slot {
    /// Set last and cleared first, so that a process that is killed amid its work leaves no half of a secret.
    used: AtomicU32,
    label_length: u32,
    length: u32,
    label: [u8; MAX_LABEL + 1],
    bytes: [u8; MAX_BYTES],
}

#[repr(C)]
struct Region {
    generation: AtomicU64,
    slots: [Slot; SLOTS],
}

static REGION: AtomicPtr<Region> = AtomicPtr::new(ptr::null_mut());
static LOCK: AtomicPtr<pg_sys::LWLock> = AtomicPtr::new(ptr::null_mut());

/// Makes the memory; call in `_PG_init`, before anything is kept.
///
/// # Errors
///
/// What the system said when it gave no memory.
pub fn init() -> Result<(), String> {
    let size = NonZeroUsize::new(size_of::<Region>()).expect("not empty");
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at an address of the system's choice, which is never unmapped: every process that is
    // forked from now on has it at the same place. Zeroes are a valid `Region`.
    unsafe {
        let place = mmap_anonymous(None, size, protection, MapFlags::MAP_SHARED).map_err(|error| error.to_string())?;
        madvise(place, size.get(), MmapAdvise::MADV_DONTDUMP).map_err(|error| error.to_string())?;
        // Best effort: how much may be locked is limited.
        let _ = mlock(place, size.get());
        REGION.store(place.as_ptr().cast(), Ordering::Release);
        pg_sys::on_proc_exit(Some(server_ends), pg_sys::Datum::null());
    }
    Ok(())
}

/// Asks for the lock; call while the server collects requests for shared memory.
pub(super) fn request() {
    // SAFETY: called from the shmem_request hook.
    unsafe { pg_sys::RequestNamedLWLockTranche(TRANCHE.as_ptr(), 1) }
}

/// Finds the lock; call when shared memory was made.
pub(super) fn started() {
    // SAFETY: the tranche was requested; called from the shmem_startup hook.
    let lock = unsafe { &raw mut (*pg_sys::GetNamedLWLockTranche(TRANCHE.as_ptr())).lock };
    LOCK.store(lock, Ordering::Release);
}

/// Wiped by the process that made it, when no other is left. (Children forget the callback when they are forked.)
#[pg_guard]
unsafe extern "C-unwind" fn server_ends(_code: i32, _arg: pg_sys::Datum) {
    if let Some(region) = region() {
        // SAFETY: the last process of the server: nobody else reads or writes.
        unsafe { &mut (*region).slots }.iter_mut().for_each(clear);
    }
}

fn region() -> Option<*mut Region> {
    let region = REGION.load(Ordering::Acquire);
    (!region.is_null()).then_some(region)
}

struct Held(*mut pg_sys::LWLock);

impl Drop for Held {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: made only by `hold`; nothing between can raise.
            unsafe { unguarded::LWLockRelease(self.0) }
        }
    }
}

/// The server's first process has no part in locks: alone until shared memory was made, it only reads afterwards what
/// nobody else writes to any more.
fn hold(mode: pg_sys::LWLockMode::Type) -> Held {
    let lock = if server::takes_part_in_locks() { LOCK.load(Ordering::Acquire) } else { ptr::null_mut() };
    if !lock.is_null() {
        // SAFETY: the lock of shared memory that exists; this process can wait for it.
        unsafe { unguarded::LWLockAcquire(lock, mode) };
    }
    Held(lock)
}

fn read<R>(f: impl FnOnce(&[Slot]) -> R) -> Option<R> {
    let region = region()?;
    let _held = hold(pg_sys::LWLockMode::LW_SHARED);
    // SAFETY: the mapping lives as long as the process; writers hold the lock exclusively.
    Some(f(unsafe { &(*region).slots }))
}

fn write<R>(f: impl FnOnce(&mut [Slot]) -> R) -> Option<R> {
    let region = region()?;
    let _held = hold(pg_sys::LWLockMode::LW_EXCLUSIVE);
    // SAFETY: as in `read`; the exclusive lock makes this the only reference.
    Some(f(unsafe { &mut (*region).slots }))
}

fn clear(slot: &mut Slot) {
    slot.used.store(0, Ordering::Release);
    slot.bytes.zeroize();
    slot.label.zeroize();
    slot.length = 0;
    slot.label_length = 0;
}

fn is(slot: &Slot, label: &str) -> bool {
    slot.used.load(Ordering::Acquire) == 1 && slot.label.get(..slot.label_length as usize) == Some(label.as_bytes())
}

/// The secret with this label.
pub fn get(label: &str) -> Option<Zeroizing<Vec<u8>>> {
    read(|slots| {
        let slot = slots.iter().find(|slot| is(slot, label))?;
        Some(Zeroizing::new(slot.bytes.get(..slot.length as usize)?.to_vec()))
    })?
}

/// Keeps a secret under a label, instead of what it had; `false` if it is too long or there is no room.
pub fn put(label: &str, secret: &[u8]) -> bool {
    if label.len() > MAX_LABEL || secret.len() > MAX_BYTES {
        return false;
    }
    let kept = write(|slots| {
        let own = slots.iter().position(|slot| is(slot, label));
        let free = || slots.iter().position(|slot| slot.used.load(Ordering::Acquire) == 0);
        let Some(slot) = own.or_else(free).and_then(|place| slots.get_mut(place)) else { return false };
        clear(slot);
        slot.label[..label.len()].copy_from_slice(label.as_bytes());
        slot.label_length = label.len() as u32;
        slot.bytes[..secret.len()].copy_from_slice(secret);
        slot.length = secret.len() as u32;
        slot.used.store(1, Ordering::Release);
        true
    });
    changed();
    kept == Some(true)
}

/// Wipes the secret with this label.
pub fn remove(label: &str) {
    write(|slots| {
        slots.iter_mut().filter(|slot| is(slot, label)).for_each(clear);
    });
    changed();
}

fn changed() {
    if let Some(region) = region() {
        // SAFETY: an atomic of a mapping that lives as long as the process.
        unsafe { &(*region).generation }.fetch_add(1, Ordering::AcqRel);
    }
}

/// Another number whenever a secret was put or removed: what was derived from one may be out of date then.
pub fn generation() -> u64 {
    // SAFETY: as in `changed`.
    region().map_or(0, |region| unsafe { &(*region).generation }.load(Ordering::Acquire))
}
