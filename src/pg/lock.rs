//! The heavyweight lock by which one transaction owns one chain.

use pgrx::pg_sys;

/// What a chain is to the lock manager: an object of pgseal's own table, so that it shows in
/// `pg_locks` and survives PREPARE TRANSACTION.
#[derive(Debug, Clone, Copy)]
pub struct ChainLock {
    /// Oid of `seal.history`.
    pub catalog: u32,
    /// Oid of the history's table.
    pub relation: u32,
    /// Number of the chain; the lock manager keeps 16 bits.
    pub number: u16,
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
    let tag = pg_sys::LOCKTAG {
        locktag_field1: super::server::database(),
        locktag_field2: lock.catalog,
        locktag_field3: lock.relation,
        locktag_field4: lock.number,
        locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
        locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
    };
    // SAFETY: TopTransactionResourceOwner is valid inside a transaction, where triggers run. The
    // guard restores the owner also when LockAcquire ends in an ERROR (deadlock, cancel).
    unsafe {
        let _restore = OwnerGuard(pg_sys::CurrentResourceOwner);
        pg_sys::CurrentResourceOwner = pg_sys::TopTransactionResourceOwner;
        let result = pg_sys::LockAcquire(&tag, pg_sys::ExclusiveLock as pg_sys::LOCKMODE, false, !wait);
        result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
    }
}
