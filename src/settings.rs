//! Every setting of pgseal. Those of anchors, witnesses and alarms can be reloaded, all others are read
//! once, when the server starts.

use crate::alert::{address, message};
use crate::pg;
use crate::pg::settings::{Check, define_checked};
use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting};
use std::ffi::{CStr, CString};
use std::time::Duration;

/// `pgseal.key_command`: prints the secret; `%k` is the key id. The KMS hook.
static KEY_COMMAND: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
/// `pgseal.key_file`: holds the secret; `%k` is the key id.
static KEY_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
/// `pgseal.key`: the secret itself, hex. For trials.
static KEY: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
/// `pgseal.key_command_timeout`, seconds.
static KEY_COMMAND_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(10);
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

/// `pgseal.mail_server`: `smtp://host:port` and the like.
static MAIL_SERVER: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
/// `pgseal.mail_credentials_file`: holds `user:password`.
static MAIL_CREDENTIALS_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
/// `pgseal.mail_tls_ca_file`: certificates in PEM form.
static MAIL_TLS_CA_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
/// `pgseal.mail_from`: one address.
static MAIL_FROM: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
/// `pgseal.mail_to`: addresses.
static MAIL_TO: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
/// `pgseal.mail_cc`: addresses.
static MAIL_CC: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
/// `pgseal.mail_subject`: a template.
static MAIL_SUBJECT: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(DEFAULT_SUBJECT));
/// `pgseal.mail_text`: a template.
static MAIL_TEXT: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(DEFAULT_TEXT));
/// `pgseal.mail_on_success`.
static MAIL_ON_SUCCESS: GucSetting<bool> = GucSetting::<bool>::new(false);
/// `pgseal.alert_command`: gets the text of an alarm on standard input.
static ALERT_COMMAND: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
/// `pgseal.alert_retry_interval`, milliseconds.
static ALERT_RETRY_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(60_000);

const DEFAULT_SUBJECT: &CStr = c"pgseal on %h: %s";
const DEFAULT_TEXT: &CStr = c"%s\n\n%R\n\ntime: %m\nhost: %h\ndatabase: %d\nkind: %k\nhistory: %t\nverdict: %v\nfindings: %n, new ones: %N\nrun: %r\nnewest anchor: %a\n";

struct MailServer;
struct MailFrom;
struct MailTo;
struct MailCc;
struct MailSubject;
struct MailText;

/// No value at all is one that may be set.
fn unless_empty<T>(value: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<(), String> {
    if value.is_empty() { Ok(()) } else { parse(value).map(drop) }
}

impl Check for MailServer {
    const NAME: &'static str = "pgseal.mail_server";
    fn check(value: &str) -> Result<(), String> {
        unless_empty(value, address::Server::parse)
    }
}

impl Check for MailFrom {
    const NAME: &'static str = "pgseal.mail_from";
    fn check(value: &str) -> Result<(), String> {
        unless_empty(value, address::parse_one)
    }
}

impl Check for MailTo {
    const NAME: &'static str = "pgseal.mail_to";
    fn check(value: &str) -> Result<(), String> {
        unless_empty(value, address::parse_list)
    }
}

impl Check for MailCc {
    const NAME: &'static str = "pgseal.mail_cc";
    fn check(value: &str) -> Result<(), String> {
        unless_empty(value, address::parse_list)
    }
}

impl Check for MailSubject {
    const NAME: &'static str = "pgseal.mail_subject";
    fn check(value: &str) -> Result<(), String> {
        message::check(value)
    }
}

impl Check for MailText {
    const NAME: &'static str = "pgseal.mail_text";
    fn check(value: &str) -> Result<(), String> {
        message::check(value)
    }
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
    define_alarms();
    pg::settings::reserve_prefix(c"pgseal");
}

fn define_alarms() {
    define_checked::<MailServer>(
        c"pgseal.mail_server",
        c"Mail server for alarms: smtp://, smtp+starttls:// or smtps://, then host:port.",
        c"Empty: no mail is sent. User and password stand in the file of pgseal.mail_credentials_file.",
        &MAIL_SERVER,
    );
    GucRegistry::define_string_guc(
        c"pgseal.mail_credentials_file",
        c"File that holds user:password for the mail server.",
        c"Must not be readable by group or others. Read for each mail.",
        &MAIL_CREDENTIALS_FILE,
        GucContext::Sighup,
        GucFlags::SUPERUSER_ONLY,
    );
    GucRegistry::define_string_guc(
        c"pgseal.mail_tls_ca_file",
        c"Further root certificates for the mail server, in PEM form.",
        c"Beside those of the operating system.",
        &MAIL_TLS_CA_FILE,
        GucContext::Sighup,
        GucFlags::empty(),
    );
    define_checked::<MailFrom>(
        c"pgseal.mail_from",
        c"Address from which alarms are sent.",
        c"One, such as pgseal@example.org or \"Database\" <pgseal@example.org>.",
        &MAIL_FROM,
    );
    define_checked::<MailTo>(
        c"pgseal.mail_to",
        c"Addresses to which alarms are sent.",
        c"Several with commas between them.",
        &MAIL_TO,
    );
    define_checked::<MailCc>(
        c"pgseal.mail_cc",
        c"Addresses that get a copy of alarms.",
        c"Several with commas between them.",
        &MAIL_CC,
    );
    define_checked::<MailSubject>(
        c"pgseal.mail_subject",
        c"Subject of alarms, with placeholders.",
        c"%k kind, %d database, %h host, %t history, %v verdict, %n findings, %N new ones, %r run, %s sentence, %m time, %% percent sign.",
        &MAIL_SUBJECT,
    );
    define_checked::<MailText>(
        c"pgseal.mail_text",
        c"Text of alarms, for mails and for pgseal.alert_command, with placeholders.",
        c"As for pgseal.mail_subject, and %R report, %a line of the newest anchor.",
        &MAIL_TEXT,
    );
    GucRegistry::define_bool_guc(
        c"pgseal.mail_on_success",
        c"Also sends a mail when a scheduled run found nothing wrong.",
        c"It has the line of the newest anchor in it: a mailbox is a witness.",
        &MAIL_ON_SUCCESS,
        GucContext::Sighup,
        GucFlags::empty(),
    );
    GucRegistry::define_string_guc(
        c"pgseal.alert_command",
        c"Command that gets the text of an alarm on standard input.",
        c"Run as the server's user; killed after 10 seconds; tried again unless it ends with status 0.",
        &ALERT_COMMAND,
        GucContext::Sighup,
        GucFlags::SUPERUSER_ONLY,
    );
    GucRegistry::define_int_guc(
        c"pgseal.alert_retry_interval",
        c"How long after a failure an alarm is sent again.",
        c"Twice as long after each further one, at most an hour.",
        &ALERT_RETRY_INTERVAL,
        100,
        3_600_000,
        GucContext::Sighup,
        GucFlags::UNIT_MS,
    );
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

pub fn key_command_timeout() -> Duration {
    Duration::from_secs(KEY_COMMAND_TIMEOUT.get().max(1) as u64)
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

pub fn mail_server() -> Option<String> {
    text(&MAIL_SERVER)
}

pub fn mail_credentials_file() -> Option<String> {
    text(&MAIL_CREDENTIALS_FILE)
}

pub fn mail_tls_ca_file() -> Option<String> {
    text(&MAIL_TLS_CA_FILE)
}

pub fn mail_from() -> Option<String> {
    text(&MAIL_FROM)
}

pub fn mail_to() -> Option<String> {
    text(&MAIL_TO)
}

pub fn mail_cc() -> Option<String> {
    text(&MAIL_CC)
}

/// A template; the built-in one where none is set.
pub fn mail_subject() -> String {
    text(&MAIL_SUBJECT).unwrap_or_else(|| DEFAULT_SUBJECT.to_string_lossy().into_owned())
}

/// As for the subject.
pub fn mail_text() -> String {
    text(&MAIL_TEXT).unwrap_or_else(|| DEFAULT_TEXT.to_string_lossy().into_owned())
}

pub fn mail_on_success() -> bool {
    MAIL_ON_SUCCESS.get()
}

pub fn alert_command() -> Option<String> {
    text(&ALERT_COMMAND)
}

pub fn alert_retry_interval() -> Duration {
    Duration::from_millis(ALERT_RETRY_INTERVAL.get().max(1) as u64)
}
