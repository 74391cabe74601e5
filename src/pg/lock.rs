//! Heavyweight locks: by which one transaction owns one chain, and by which one process runs one history.

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

/// The lock of whoever verifies a history on record and prunes it. Of the kind of advisory locks, which a worker can
/// keep over its transactions and which are given back at its end however it ends; no advisory lock of a user has
/// such a tag.
#[derive(Debug, Clone, Copy)]
pub struct RunLock {
    /// Oid of `seal.run`.
    pub catalog: u32,
    /// Oid of the history's table.
    pub relation: u32,
}

/// How long a `RunLock` is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The end of the transaction, or of the savepoint that took it.
    TransactionEnd,
    /// `release_run`, or the end of the process.
    Released,
}

impl RunLock {
    fn tag(&self) -> pg_sys::LOCKTAG {
        pg_sys::LOCKTAG {
            locktag_field1: super::server::database(),
            locktag_field2: self.catalog,
            locktag_field3: self.relation,
            locktag_field4: 0,
            locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
            locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
        }
    }
}

/// Takes the lock if nobody else has it; never waits.
pub fn acquire_run(lock: RunLock, until: Until) -> bool {
    let tag = lock.tag();
    let session = until == Until::Released;
    // SAFETY: inside a transaction, whose current resource owner keeps the lock unless the session does.
    let result = unsafe { pg_sys::LockAcquire(&tag, pg_sys::ExclusiveLock as pg_sys::LOCKMODE, session, true) };
    result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}

/// Gives back what this session took with `Until::Released`.
pub fn release_run(lock: RunLock) {
    let tag = lock.tag();
    // SAFETY: a lock that is not held gives a WARNING only.
    unsafe {
        pg_sys::LockRelease(&tag, pg_sys::ExclusiveLock as pg_sys::LOCKMODE, true);
    }
}

/// Whether somebody holds, or waits for, a lock on a database that connections have to wait for: to drop it, to
/// copy it, to move it. Call in a transaction.
pub fn is_database_wanted(database: u32) -> bool {
    let tag = pg_sys::LOCKTAG {
        locktag_field1: pg_sys::InvalidOid.to_u32(),
        locktag_field2: pg_sys::DatabaseRelationId.to_u32(),
        locktag_field3: database,
        locktag_field4: 0,
        locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
        locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
    };
    let mode = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;
    // SAFETY: inside a transaction; the mode is that of a connection that begins, and what is taken is given back.
    unsafe {
        if pg_sys::LockAcquire(&tag, mode, false, true) == pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL {
            return true;
        }
        pg_sys::LockRelease(&tag, mode, false);
    }
    false
}
