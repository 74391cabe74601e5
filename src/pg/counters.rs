//! What is counted since the server's start, for each database, in shared memory beside the slots.
//!
//! Atomics, so that counting takes no lock and may happen at commit and right before an ERROR.

use super::server;
use pgrx::pg_sys;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Entries that were committed.
    EntriesSealed,
    /// Transactions that had to wait until another one gave a chain free.
    ChainWaits,
    /// Transactions that took another chain because the one used last was taken.
    ChainChanges,
    /// Chains that take no more entries, since a foreign row stands in their way.
    ChainsClosed,
    /// Rows refused: there is no key, or another one.
    KeyErrors,
    /// Rows refused: table, columns, triggers or settings are not such that a row can be sealed.
    DefinitionErrors,
    /// Rows refused: what pgseal or somebody else stored is not as it was.
    RecordErrors,
    /// Rows refused: something is full.
    CapacityErrors,
    /// Rows refused: of no form that can be sealed.
    InputErrors,
}

const COUNTS: usize = Counted::InputErrors as usize + 1;

/// The counts of one database. All zero: free.
#[repr(C)]
pub struct Counters {
    /// Oid; 0: free.
    database: AtomicU32,
    counts: [AtomicU64; COUNTS],
}

static COUNTERS: AtomicPtr<Counters> = AtomicPtr::new(ptr::null_mut());
/// The counters of this process's database, once it has counted anything.
static OWN: AtomicPtr<Counters> = AtomicPtr::new(ptr::null_mut());

/// How much shared memory they need, in bytes.
pub(super) const SIZE: usize = DATABASES * size_of::<Counters>();

/// In how many databases of a server is counted.
pub(super) const DATABASES: usize = super::shared_memory::MAX_DATABASES;

/// # Safety
/// `area` must be [`DATABASES`] counters in shared memory, zeroed when the server started.
pub(super) unsafe fn place(area: *mut Counters) {
    COUNTERS.store(area, Ordering::Relaxed);
}

fn all() -> &'static [Counters] {
    let area = COUNTERS.load(Ordering::Relaxed);
    if area.is_null() {
        return &[];
    }
    // SAFETY: `place` got so many; they are in shared memory as long as the process lives, any
    // bytes are valid atomics, and nothing refers to them but by shared references.
    unsafe { std::slice::from_raw_parts(area, DATABASES) }
}

/// Counts something of this database; does nothing where there is no room for one more database.
/// Cannot fail.
pub fn count(what: Counted, times: u64) {
    if let Some(own) = own() {
        own.counts[what as usize].fetch_add(times, Ordering::Relaxed);
    }
}

fn own() -> Option<&'static Counters> {
    let known = OWN.load(Ordering::Relaxed);
    if !known.is_null() {
        // SAFETY: points into `all()`. Its database cannot be dropped while this process is
        // connected to it, so nobody frees it.
        return Some(unsafe { &*known });
    }
    let found = claim(server::database())?;
    OWN.store(ptr::from_ref(found).cast_mut(), Ordering::Relaxed);
    Some(found)
}

fn claim(database: u32) -> Option<&'static Counters> {
    if database == pg_sys::InvalidOid.to_u32() {
        return None;
    }
    let known = all().iter().find(|counters| counters.database.load(Ordering::Acquire) == database);
    known.or_else(|| {
        all().iter().find(|counters| {
            match counters.database.compare_exchange(0, database, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => true,
                Err(other) => other == database,
            }
        })
    })
}

/// How often that was counted in this database since the server's start.
pub fn value(what: Counted) -> u64 {
    let database = server::database();
    let of_database = |counters: &&Counters| counters.database.load(Ordering::Acquire) == database;
    all().iter().filter(of_database).map(|counters| counters.counts[what as usize].load(Ordering::Relaxed)).sum()
}

/// Makes room: forgets databases that `is_gone` says are dropped.
pub fn forget(is_gone: impl Fn(u32) -> bool) {
    for counters in all() {
        let database = counters.database.load(Ordering::Acquire);
        if database != 0 && is_gone(database) {
            counters.counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
            counters.database.store(0, Ordering::Release);
        }
    }
}
