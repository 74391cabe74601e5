//! Every setting of pgseal. Those of anchors, witnesses and the schedule can be reloaded, all others are read
//! once, when the server starts.

pub mod alert;

use crate::pg;
use crate::pg::error::Report;
use crate::pg::settings::Checked;
use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, PgSqlErrorCode, PostgresGucEnum};
use pgseal_chain::PeriodKind;
use pgseal_schedule::{Fault, Schedule, Zone};
use std::ffi::CString;
use std::time::Duration;

/// `pgseal.key_command`: prints the secret; `%k` is the key id. The KMS hook.
static KEY_COMMAND: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
/// `pgseal.key_file`: holds the secret; `%k` is the key id.
static KEY_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
/// `pgseal.key`: the secret itself, hex. For trials.
static KEY: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
/// `pgseal.verification_file`: holds verification secrets, instead of a key.
static VERIFICATION_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
/// `pgseal.key_command_timeout`, seconds.
static KEY_COMMAND_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(10);
/// `pgseal.key_evolution`: how long the secrets of closings last.
static KEY_EVOLUTION: GucSetting<Evolution> = GucSetting::<Evolution>::new(Evolution::Off);
/// `pgseal.key_state_file`: where the secret of the period in force is kept.
static KEY_STATE_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
/// `pgseal.require_key`: whether a server without a usable key starts.
static REQUIRE_KEY: GucSetting<bool> = GucSetting::<bool>::new(true);
/// `pgseal.chain_name`: the node's name in its chains' names.
static CHAIN_NAME: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"main"));
/// `pgseal.max_heads`: how many chains the server remembers, over all histories and databases.
static MAX_HEADS: GucSetting<i32> = GucSetting::<i32>::new(16_384);
/// `pgseal.anchor_interval`, milliseconds.
static ANCHOR_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(5_000);
/// `pgseal.witness_command`: gets the line of an anchor on standard input.
static WITNESS_COMMAND: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
/// `pgseal.witness_interval`, seconds.
static WITNESS_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(60);
/// `pgseal.schedule`: when histories are verified by themselves.
static SCHEDULE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
/// `pgseal.checkpoint_interval`, seconds; 0: no checks between runs.
static CHECKPOINT_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(0);
/// `pgseal.schedule_timezone`: whose clocks that means.
static SCHEDULE_TIMEZONE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

/// What `pgseal.key_evolution` can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
enum Evolution {
    #[name = c"off"]
    Off,
    #[name = c"day"]
    Day,
    #[name = c"month"]
    Month,
}

/// The word for no schedule.
pub const NO_SCHEDULE: &str = "off";

/// What a schedule can be: a cron expression, or nothing.
struct ScheduleCheck;

impl Checked for ScheduleCheck {
    fn check(value: &str) -> Result<(), Report> {
        match value {
            "" | NO_SCHEDULE => Ok(()),
            text => Schedule::parse(text).map(|_| ()).map_err(invalid_schedule),
        }
    }
}

/// Whose clocks a schedule can go by.
struct ZoneCheck;

impl Checked for ZoneCheck {
    fn check(value: &str) -> Result<(), Report> {
        if value.is_empty() || Zone::named(value).is_some() {
            return Ok(());
        }
        let message = format!("unknown time zone \"{value}\" in pgseal.schedule_timezone");
        Err(Report::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message).hint(
            "Write its name in the IANA database, such as 'Europe/Berlin' or 'UTC'; empty means that of log_timezone.",
        ))
    }
}

/// How an expression that cannot be read is refused.
pub fn invalid_schedule(fault: Fault) -> Report {
    Report::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, fault.to_string())
        .detail(fault.detail())
        .hint(Fault::HINT)
}

/// Defines the settings; call in `_PG_init`.
pub fn init() {
    GucRegistry::define_string_guc(
        c"pgseal.key_command",
        c"Command that prints the sealing secret as hex or base64 (the KMS hook).",
        c"Run by the server's start, as the server's user; %k stands for the key id.",
        &KEY_COMMAND,
        GucContext::Postmaster,
        GucFlags::SUPERUSER_ONLY,
    );
    GucRegistry::define_string_guc(
        c"pgseal.key_file",
        c"File that holds the sealing secret as hex or base64.",
        c"Must not be readable by group or others; %k stands for the key id.",
        &KEY_FILE,
        GucContext::Postmaster,
        GucFlags::SUPERUSER_ONLY,
    );
    pg::settings::define_secret(
        c"pgseal.key",
        c"The sealing secret itself, as hex. For trials only.",
        c"Whoever reads postgresql.conf has it: use pgseal.key_command or pgseal.key_file.",
        &KEY,
    );
    GucRegistry::define_string_guc(
        c"pgseal.verification_file",
        c"File with lines of seal.history_secret: this server verifies these histories and seals nothing.",
        c"Instead of a key. Must not be readable by group or others.",
        &VERIFICATION_FILE,
        GucContext::Postmaster,
        GucFlags::SUPERUSER_ONLY,
    );
    GucRegistry::define_int_guc(
        c"pgseal.key_command_timeout",
        c"Seconds after which pgseal.key_command is killed.",
        c"The whole process group gets SIGKILL.",
        &KEY_COMMAND_TIMEOUT,
        1,
        600,
        GucContext::Postmaster,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_enum_guc(
        c"pgseal.key_evolution",
        c"How long a period lasts, at whose end every history is closed under a secret that is then erased.",
        c"off: there are no periods. Needs pgseal.key_state_file, and a key source that tells %p = sign from verify.",
        &KEY_EVOLUTION,
        GucContext::Postmaster,
        GucFlags::empty(),
    );
    GucRegistry::define_string_guc(
        c"pgseal.key_state_file",
        c"File that holds the secret of the period in force.",
        c"Written by the server; outside the data directory, in a folder that the server's user can write.",
        &KEY_STATE_FILE,
        GucContext::Postmaster,
        GucFlags::SUPERUSER_ONLY,
    );
    GucRegistry::define_bool_guc(
        c"pgseal.require_key",
        c"Whether the server refuses to start without a usable key.",
        c"Off: it starts, and every INSERT into a history fails. Single-user mode and pg_upgrade need none.",
        &REQUIRE_KEY,
        GucContext::Postmaster,
        GucFlags::empty(),
    );
    GucRegistry::define_string_guc(
        c"pgseal.chain_name",
        c"Name of this node in the names of its chains.",
        c"One per node; letters, digits and other characters, but no slash, dot or white space.",
        &CHAIN_NAME,
        GucContext::Postmaster,
        GucFlags::empty(),
    );
    GucRegistry::define_int_guc(
        c"pgseal.max_heads",
        c"How many chains the server can remember in shared memory.",
        c"One slot of 96 bytes for each chain of each history that sealed since the server started.",
        &MAX_HEADS,
        16,
        1_000_000,
        GucContext::Postmaster,
        GucFlags::empty(),
    );
    GucRegistry::define_int_guc(
        c"pgseal.anchor_interval",
        c"How long after a change the anchor that has it is written at the latest.",
        c"Nothing is written while nothing changes.",
        &ANCHOR_INTERVAL,
        100,
        3_600_000,
        GucContext::Sighup,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_string_guc(
        c"pgseal.witness_command",
        c"Command that takes a copy of an anchor out of the server, one line on standard input.",
        c"Run as the server's user after the anchor is durable; killed after 10 seconds.",
        &WITNESS_COMMAND,
        GucContext::Sighup,
        GucFlags::SUPERUSER_ONLY,
    );
    GucRegistry::define_int_guc(
        c"pgseal.witness_interval",
        c"How often an anchor is handed to the witness at most.",
        c"Also for the notification on channel pgseal_anchor.",
        &WITNESS_INTERVAL,
        0,
        86_400,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    pg::settings::define_checked::<ScheduleCheck>(
        c"pgseal.schedule",
        c"Cron expression: when every history is verified, and pruned where it has a window.",
        c"Five fields, or six with the second first; empty or off: never. seal.set_schedule sets another for one history.",
        &SCHEDULE,
    );
    pg::settings::define_checked::<ZoneCheck>(
        c"pgseal.schedule_timezone",
        c"Time zone of pgseal.schedule and seal.set_schedule.",
        c"A name of the IANA database; empty: that of log_timezone.",
        &SCHEDULE_TIMEZONE,
    );
    GucRegistry::define_int_guc(
        c"pgseal.checkpoint_interval",
        c"How often every history is verified from its newest checkpoint on.",
        c"0: never. Only runs (pgseal.schedule, seal.verify_and_prune) verify everything, and make checkpoints.",
        &CHECKPOINT_INTERVAL,
        0,
        86_400,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    alert::init();
    pg::settings::reserve_prefix(c"pgseal");
}

fn text(setting: &GucSetting<Option<CString>>) -> Option<String> {
    let value = setting.get()?.to_string_lossy().into_owned();
    (!value.is_empty()).then_some(value)
}

pub fn key_command() -> Option<String> {
    text(&KEY_COMMAND)
}

pub fn key_file() -> Option<String> {
    text(&KEY_FILE)
}

pub fn key() -> Option<zeroize::Zeroizing<String>> {
    text(&KEY).map(zeroize::Zeroizing::new)
}

pub fn verification_file() -> Option<String> {
    text(&VERIFICATION_FILE)
}

pub fn key_command_timeout() -> Duration {
    Duration::from_secs(KEY_COMMAND_TIMEOUT.get().max(1) as u64)
}

/// How long periods are; `None`: there are none.
pub fn key_evolution() -> Option<PeriodKind> {
    match KEY_EVOLUTION.get() {
        Evolution::Off => None,
        Evolution::Day => Some(PeriodKind::Day),
        Evolution::Month => Some(PeriodKind::Month),
    }
}

pub fn key_state_file() -> Option<String> {
    text(&KEY_STATE_FILE)
}

pub fn require_key() -> bool {
    REQUIRE_KEY.get()
}

pub fn chain_name() -> String {
    text(&CHAIN_NAME).unwrap_or_default()
}

pub fn max_heads() -> usize {
    MAX_HEADS.get() as usize
}

pub fn anchor_interval() -> Duration {
    Duration::from_millis(ANCHOR_INTERVAL.get().max(1) as u64)
}

pub fn witness_command() -> Option<String> {
    text(&WITNESS_COMMAND)
}

pub fn witness_interval() -> Duration {
    Duration::from_secs(WITNESS_INTERVAL.get().max(0) as u64)
}

/// How often histories are verified from their checkpoints on; `None`: never.
pub fn checkpoint_interval() -> Option<Duration> {
    let seconds = u64::try_from(CHECKPOINT_INTERVAL.get()).unwrap_or(0);
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// `pgseal.schedule` as it is written; `None` where nothing is scheduled.
pub fn schedule() -> Option<String> {
    text(&SCHEDULE).filter(|text| text != NO_SCHEDULE)
}

/// Whose clocks schedules go by: those of `pgseal.schedule_timezone`, else of `log_timezone`, else UTC.
pub fn schedule_zone() -> Zone {
    let name = text(&SCHEDULE_TIMEZONE).unwrap_or_else(pg::settings::log_timezone);
    Zone::named(&name).unwrap_or(Zone::UTC)
}
