//! Alarms: what somebody must be told of, by which ways, and what became of it.
//!
//! | module | its job |
//! |---|---|
//! | here | the alarm, and raising it: outbox, notification, warning |
//! | `outbox` | the table seal.alert: what is to be sent, and what was |
//! | `deliver` | sends what is due, with back-off; tries every way at once for `seal.test_alert()` |
//! | `message` | subject and text from the templates |
//! | `notice` | the payload of `NOTIFY pgseal_alert` |
//! | `address` | servers and addresses as settings name them |
//! | `mail`, `smtp`, `resolve` | a mail, the conversation with its server, the server's addresses |
//! | `command` | `pgseal.alert_command` |

pub mod address;
mod command;
mod deliver;
mod functions;
mod mail;
pub mod message;
mod notice;
mod outbox;
mod resolve;
mod smtp;

pub use {deliver::deliver, outbox::next_attempt};

use crate::pg::error::{Report, SqlState};
use crate::pg::server;
use crate::pg::shared_memory::{self, DatabaseSlot};
use crate::pg::transaction::{self, TransactionEvent};
use crate::record::{anchor, witness};
use crate::seal::{newest_anchor, plan};
use crate::settings;
use message::Message;
use pgrx::PgSqlErrorCode;
use std::cell::Cell;

/// Why somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmKind {
    Tampered,
    Unverifiable,
    /// New findings, all of them before the window.
    BeforeWindow,
    /// A scheduled run did not take place in its time.
    Missed,
    /// A run was started and could not be made.
    Failed,
    /// Nothing is wrong; goes to the mailbox alone, where `pgseal.mail_on_success` asks for it.
    Success,
    Test,
}

impl AlarmKind {
    pub fn as_str(self) -> &'static str {
        match self {
            AlarmKind::Tampered => "tampered",
            AlarmKind::Unverifiable => "unverifiable",
            AlarmKind::BeforeWindow => "before_window",
            AlarmKind::Missed => "missed",
            AlarmKind::Failed => "failed",
            AlarmKind::Success => "success",
            AlarmKind::Test => "test",
        }
    }

    fn named(name: &str) -> Option<AlarmKind> {
        use AlarmKind::*;
        [Tampered, Unverifiable, BeforeWindow, Missed, Failed, Success, Test]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }

    /// Of the warning: a class of pgseal's own, so that a log can be searched for it.
    fn sqlstate(self) -> SqlState {
        SqlState(*match self {
            AlarmKind::Test | AlarmKind::Success => b"PS000",
            AlarmKind::Tampered => b"PS001",
            AlarmKind::Unverifiable => b"PS002",
            AlarmKind::BeforeWindow => b"PS003",
            AlarmKind::Missed => b"PS004",
            AlarmKind::Failed => b"PS005",
        })
    }
}

/// Of the warning that an alarm could not be delivered and is not tried any more.
const GIVEN_UP: SqlState = SqlState(*b"PS009");

/// Something that somebody must be told of.
#[derive(Debug, Clone)]
pub struct Alarm {
    pub kind: AlarmKind,
    /// Name of the history's table; `None`: all.
    pub history: Option<String>,
    /// Id of the run in `seal.run`.
    pub run: Option<i64>,
    pub verdict: Option<String>,
    pub findings: u64,
    pub findings_new: u64,
    /// One line.
    pub sentence: String,
    /// Lines for people, with what to do next. A name in it is best put through
    /// [`message::one_line`]: one with a line break could look like a line of the report.
    pub report: String,
    /// An object, for programs.
    pub details: serde_json::Value,
    /// The line of the newest anchor; `None`: it is looked up.
    pub anchor_line: Option<String>,
}

/// A way by which an alarm leaves the server, or, for `Log`, that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Mail,
    Command,
    Log,
}

impl Way {
    fn as_str(self) -> &'static str {
        match self {
            Way::Mail => "mail",
            Way::Command => "command",
            Way::Log => "log",
        }
    }

    fn named(name: &str) -> Option<Way> {
        [Way::Mail, Way::Command, Way::Log].into_iter().find(|way| way.as_str() == name)
    }

    /// Those that settings name.
    fn configured() -> Vec<Way> {
        let mail = settings::alert::mail_server().map(|_| Way::Mail);
        mail.into_iter().chain(settings::alert::command().map(|_| Way::Command)).collect()
    }
}

thread_local! {
    /// Whether this transaction raised an alarm.
    static RAISED: Cell<bool> = const { Cell::new(false) };
}

/// Listens to the end of transactions; call in `_PG_init`.
pub fn init() {
    transaction::register(
        |event| match event {
            TransactionEvent::Committed if RAISED.replace(false) => {
                shared_memory::change_database(server::database(), DatabaseSlot::plan_again);
                shared_memory::wake_launcher();
            }
            TransactionEvent::Aborted => RAISED.set(false),
            _ => {}
        },
        |_| {},
    );
}

/// Raises an alarm, inside a transaction, in any process: puts it into the outbox for every way that
/// settings name (as a record alone where they name none), notifies the listeners of `pgseal_alert` and warns.
/// The launcher is woken when the transaction commits.
///
/// A success goes to the mailbox alone, and only if `pgseal.mail_on_success` says so.
pub fn raise(alarm: &Alarm) {
    let ways = match (alarm.kind, Way::configured()) {
        (AlarmKind::Success, ways) if !settings::alert::mail_on_success() || !ways.contains(&Way::Mail) => return,
        (AlarmKind::Success, _) => vec![Way::Mail],
        (_, ways) if ways.is_empty() => vec![Way::Log],
        (_, ways) => ways,
    };
    let message = Message::of(alarm);
    for way in ways {
        outbox::add(alarm, way, &message);
    }
    RAISED.set(true);
    if alarm.kind != AlarmKind::Success {
        notice::send(alarm);
        warn(alarm);
    }
}

/// How much of a report the log gets.
const REPORT_IN_LOG: usize = 8_000;

fn warn(alarm: &Alarm) {
    let report = &alarm.report[..alarm.report.floor_char_boundary(REPORT_IN_LOG)];
    let warning = Report::new(PgSqlErrorCode::ERRCODE_WARNING, message::one_line(&alarm.sentence));
    let warning = if report.is_empty() { warning } else { warning.detail(report) };
    let hint = match alarm.run {
        Some(run) => format!("Run: SELECT * FROM seal.findings(run => {run})."),
        None if alarm.kind == AlarmKind::Test => "Nothing is to be done: this was asked for.".to_owned(),
        None => "Run: SELECT * FROM seal.verify_history().".to_owned(),
    };
    warning.hint(hint).warn_as(alarm.kind.sqlstate());
}

/// The line of this node's newest anchor, for a witness; `None` where nothing was ever anchored.
fn newest_anchor_line() -> Option<String> {
    let prefix = plan::chain_prefix().ok()?;
    let newest = newest_anchor::newest(&prefix).ok()?;
    Some(witness::line(&anchor::published(&prefix, newest)?, server::database_name())?.to_string())
}
