//! The server's clock.

use super::unguarded;

/// Now, in microseconds since 2000-01-01 00:00 UTC.
pub fn now() -> i64 {
    // SAFETY: reads the system clock; no precondition.
    unsafe { unguarded::GetCurrentTimestamp() }
}

/// µs since the operating system's boot, time asleep included; no clock setting changes it.
pub fn since_boot() -> i64 {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |time| time.tv_sec() * 1_000_000 + time.tv_nsec() / 1_000)
}

/// The operating system's random id of its boot; empty where there is none.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// A time in µs since 2000-01-01 UTC as people read it.
pub fn text(micros: i64) -> String {
    let mut quoted = Vec::new();
    match pgseal_document::write_timestamptz(micros, &mut quoted) {
        Ok(()) => String::from_utf8_lossy(&quoted).trim_matches('"').to_owned(),
        Err(_) => format!("{micros} µs since 2000"),
    }
}
