//! What this process has seen, brought to the disk.

use super::server;
use pgrx::pg_sys;

/// Length of the header of a page of the log; that of the first page of a segment is longer.
const PAGE_HEADER: u64 = size_of::<pg_sys::XLogPageHeaderData>().next_multiple_of(8) as u64;
const SEGMENT_HEADER: u64 = size_of::<pg_sys::XLogLongPageHeaderData>().next_multiple_of(8) as u64;

/// Waits until everything that is committed and visible by now would survive a crash, also where
/// `synchronous_commit` is off. What a server replays has been durable on its primary.
pub fn flush() {
    if server::in_recovery() {
        return;
    }
    // SAFETY: both are allowed in any backend outside recovery; what lies before the insert position
    // has been reserved by a record, see `end_of_records`.
    unsafe { pg_sys::XLogFlush(end_of_records(pg_sys::GetXLogInsertRecPtr(), segment_size())) }
}

fn segment_size() -> u64 {
    // SAFETY: fixed when the server starts.
    unsafe { pg_sys::wal_segment_size as u64 }
}

/// Where the newest record ends. The insert position lies behind the header of a page that nobody may have
/// begun yet, and a flush beyond what was written is an error.
fn end_of_records(insert: u64, segment_size: u64) -> u64 {
    let in_page = insert % u64::from(pg_sys::XLOG_BLCKSZ);
    let header = if insert % segment_size == in_page { SEGMENT_HEADER } else { PAGE_HEADER };
    if in_page == header { insert - in_page } else { insert }
}
