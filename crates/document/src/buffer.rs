//! Room in the output: growth that fails with an error instead of aborting the server.

use crate::error::Malformed;

/// The longest text that is written: PostgreSQL's own limit for a value (`MaxAllocSize`, less its length header).
///
/// A few bytes of jsonb can stand for a very long text (`[1e131071, 1e131071, …]`), so without a limit one INSERT
/// could exhaust the server's memory.
pub const MAX_TEXT: usize = 0x3fff_ffff - 4;

/// What [`reserve`] leaves free beyond `extra`, for separators and brackets.
const SLACK: usize = 16;

/// Makes room for `extra` bytes and a few more. `extra` may be a generous estimate: the limit is checked by [`check`].
#[inline]
pub(crate) fn reserve(out: &mut Vec<u8>, extra: usize) -> Result<(), Malformed> {
    let wanted = extra.saturating_add(SLACK);
    if out.capacity() - out.len() >= wanted {
        return Ok(());
    }
    out.try_reserve(wanted).map_err(|_| Malformed::TooLong)
}

/// Makes room for exactly `extra` bytes, which must fit below the limit.
pub(crate) fn reserve_exact(out: &mut Vec<u8>, extra: usize) -> Result<(), Malformed> {
    if out.len().saturating_add(extra) > MAX_TEXT {
        return Err(Malformed::TooLong);
    }
    reserve(out, extra)
}

/// Fails when more than [`MAX_TEXT`] has been written.
#[inline]
pub(crate) fn check(out: &[u8]) -> Result<(), Malformed> {
    if out.len() > MAX_TEXT { Err(Malformed::TooLong) } else { Ok(()) }
}
