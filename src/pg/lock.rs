//! The heavyweight lock by which one transaction owns one chain.

use pgrx::pg_sys;

/// What a chain is to the lock manager: an object of pgseal's own table, so that it shows in
/// `pg_locks` and survives PREPARE TRANSACTION.
#[derive(Debug, Clone, Copy)]
pub struct ChainLock {
    /// Oid of `seal.history`; for an internal chain, of its table.
    pub catalog: u32,
    /// Oid of the history's table; for an internal chain, of its own.
    pub relation: u32,
    /// Number of the chain; the lock manager keeps 16 bits.
    pub number: u16,
}

impl ChainLock {
    /// The lock of an internal chain, whose table this is.
    pub fn internal(table: u32) -> ChainLock {
        ChainLock { catalog: table, relation: table, number: 0 }
    }

    fn tag(&self) -> pg_sys::LOCKTAG {
        pg_sys::LOCKTAG {
            locktag_field1: super::server::database(),
            locktag_field2: self.catalog,
            locktag_field3: self.relation,
            locktag_field4: self.number,
            locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
            locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
        }
    }
}

struct OwnerGuard(pg_sys::ResourceOwner);

impl Drop for OwnerGuard {
    fn drop(&mut self) {
        // SAFETY: puts back the owner that was current when the guard was made; it cannot have
        // been released meanwhile, since no (sub)transaction ends inside LockAcquire.
        unsafe { pg_sys::CurrentResourceOwner = self.0 }
    }
}

/// Takes the lock until the end of the top transaction, whatever savepoint is open: ROLLBACK TO
/// does not give the chain away. With `wait` it queues like a row lock does; otherwise `false`
/// says that another transaction has it.
pub fn acquire(lock: ChainLock, wait: bool) -> bool {
    try_acquire(lock, wait) != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}

fn try_acquire(lock: ChainLock, wait: bool) -> pg_sys::LockAcquireResult::Type {
    let tag = lock.tag();
    // SAFETY: TopTransactionResourceOwner is valid inside a transaction, where triggers run. The
    // guard restores the owner also when LockAcquire ends in an ERROR (deadlock, cancel).
    unsafe {
        let _restore = OwnerGuard(pg_sys::CurrentResourceOwner);
        pg_sys::CurrentResourceOwner = pg_sys::TopTransactionResourceOwner;
        pg_sys::LockAcquire(&tag, pg_sys::ExclusiveLock as pg_sys::LOCKMODE, false, !wait)
    }
}

/// Takes the lock if no transaction has it, this one neither; never waits.
pub fn acquire_unowned(lock: ChainLock) -> bool {
    match try_acquire(lock, false) {
        pg_sys::LockAcquireResult::LOCKACQUIRE_OK => true,
        pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL => false,
        _ => {
            release(lock);
            false
        }
    }
}

/// Gives back once what `acquire` took in this transaction.
pub fn release(lock: ChainLock) {
    let tag = lock.tag();
    // SAFETY: as in `acquire`; a lock that is not held gives a WARNING only.
    unsafe {
        let _restore = OwnerGuard(pg_sys::CurrentResourceOwner);
        pg_sys::CurrentResourceOwner = pg_sys::TopTransactionResourceOwner;
        pg_sys::LockRelease(&tag, pg_sys::ExclusiveLock as pg_sys::LOCKMODE, false);
    }
}
