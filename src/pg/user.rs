//! Whose rights a piece of work runs with.

use pgrx::pg_sys;

struct Switch {
    user: pg_sys::Oid,
    context: i32,
}

impl Drop for Switch {
    fn drop(&mut self) {
        // SAFETY: puts back what `GetUserIdAndSecContext` returned in this backend.
        unsafe { pg_sys::SetUserIdAndSecContext(self.user, self.context) }
    }
}

/// Runs `work` with the rights of `user`, in a security-restricted operation: no temporary
/// tables, no SET ROLE, nothing that outlives it. The caller's rights come back also after an ERROR.
pub fn with_rights_of<R>(user: u32, work: impl FnOnce() -> R) -> R {
    let mut saved = Switch { user: pg_sys::InvalidOid, context: 0 };
    // SAFETY: plain reads and writes of this backend's user state; `saved` restores it.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&mut saved.user, &mut saved.context);
        let restricted = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION;
        pg_sys::SetUserIdAndSecContext(user.into(), saved.context | restricted as i32);
    }
    let _restore = saved;
    work()
}

/// The owner of the schema `seal`, who may read and write pgseal's tables.
pub fn extension_owner() -> u32 {
    let rows = super::spi::execute("SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname = 'seal'");
    super::spi::value(rows).and_then(|oid| oid.parse().ok()).unwrap_or(pg_sys::InvalidOid.to_u32())
}

/// Whether the current user is a superuser.
pub fn is_superuser() -> bool {
    // SAFETY: a lookup of the current user's role, inside a transaction.
    unsafe { pg_sys::superuser() }
}
