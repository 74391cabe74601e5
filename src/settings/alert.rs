//! Settings of alarms: the mail server, the mail, the command. All can be reloaded.

use super::text;
use crate::alert::{address, message};
use crate::pg::error::Report;
use crate::pg::settings::{Checked, define_checked};
use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, PgSqlErrorCode};
use std::ffi::{CStr, CString};
use std::time::Duration;

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

impl Checked for MailServer {
    fn check(value: &str) -> Result<(), Report> {
        unless_empty(value, address::Server::parse).map_err(|fault| refusal("pgseal.mail_server", fault))
    }
}

impl Checked for MailFrom {
    fn check(value: &str) -> Result<(), Report> {
        unless_empty(value, address::parse_one).map_err(|fault| refusal("pgseal.mail_from", fault))
    }
}

impl Checked for MailTo {
    fn check(value: &str) -> Result<(), Report> {
        unless_empty(value, address::parse_list).map_err(|fault| refusal("pgseal.mail_to", fault))
    }
}

impl Checked for MailCc {
    fn check(value: &str) -> Result<(), Report> {
        unless_empty(value, address::parse_list).map_err(|fault| refusal("pgseal.mail_cc", fault))
    }
}

impl Checked for MailSubject {
    fn check(value: &str) -> Result<(), Report> {
        message::check(value).map_err(|fault| refusal("pgseal.mail_subject", fault))
    }
}

impl Checked for MailText {
    fn check(value: &str) -> Result<(), Report> {
        message::check(value).map_err(|fault| refusal("pgseal.mail_text", fault))
    }
}

fn refusal(setting: &str, fault: String) -> Report {
    Report::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, format!("invalid value for parameter \"{setting}\""))
        .detail(fault)
}

/// Defines them.
pub fn init() {
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

pub fn command() -> Option<String> {
    text(&ALERT_COMMAND)
}

pub fn retry_interval() -> Duration {
    Duration::from_millis(ALERT_RETRY_INTERVAL.get().max(1) as u64)
}
