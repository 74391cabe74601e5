//! Sends what is due: from the run worker, from `seal.deliver_alerts()`, and at once for
//! `seal.test_alert()`.

use super::message::Message;
use super::outbox::{self, Due};
use super::{Alarm, AlarmKind, GIVEN_UP, Way, command, mail, notice, warn};
use crate::pg::error::Report;
use crate::pg::{clock, server, spi, worker};
use pgrx::PgSqlErrorCode;

/// What a successful attempt left behind.
pub struct Delivered {
    /// What the other side answered.
    pub answer: String,
    /// What was wrong all the same, such as a recipient whom the mail server refused.
    pub remark: Option<String>,
}

/// Why an attempt did not succeed.
pub enum Undelivered {
    /// The process was asked to end, or the statement to stop: says nothing about the way.
    Stopped,
    Failed(String),
}

/// Sends by one way; takes as long as a mail server may take, unless `stop` says so.
fn attempt(id: i64, way: Way, message: &Message, stop: &dyn Fn() -> bool) -> Result<Delivered, Undelivered> {
    match way {
        Way::Mail => mail::send(id, message, stop),
        Way::Command => command::run(&message.text, stop),
        Way::Log => Ok(Delivered { answer: "written to the log".to_owned(), remark: None }),
    }
}

/// Sends what is due, outside a transaction, in a worker that is connected to the database. Every
/// attempt is claimed and recorded in transactions of its own, none of which is open while a server or a
/// command is waited for. Ends when all is tried that was due when it began, or when `is_to_end` says so.
pub fn deliver(is_to_end: &dyn Fn() -> bool) {
    if let Err(message) = deliver_all(is_to_end) {
        Report::new(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, "pgseal cannot send alarms")
            .detail(format!("Reason: {message}."))
            .hint("See what waits: SELECT * FROM seal.alert WHERE sent_at IS NULL.")
            .log();
    }
}

fn deliver_all(is_to_end: &dyn Fn() -> bool) -> Result<(), String> {
    let now = clock::now();
    while !is_to_end() {
        let Some(due) = transaction(|| if outbox::exists() { outbox::claim(now) } else { None })? else { break };
        match attempt(due.id, due.way, &due.message, is_to_end) {
            Err(Undelivered::Stopped) => break,
            outcome => transaction(|| record(&due, outcome))?,
        };
    }
    Ok(())
}

/// A worker's transaction, which waits for no standby: an alarm may be about the very trouble.
fn transaction<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    let work = || {
        spi::execute("SELECT pg_catalog.set_config('synchronous_commit', 'local', true)");
        work()
    };
    worker::attempt(work)
}

/// Sends what is due in this session's transaction, for `seal.deliver_alerts()`; how many were sent.
pub fn deliver_here() -> i64 {
    let (mut count, now) = (0, clock::now());
    while let Some(due) = outbox::claim(now) {
        let outcome = attempt(due.id, due.way, &due.message, &server::is_interrupted);
        server::check_for_interrupts();
        count += i64::from(record(&due, outcome));
    }
    count
}

/// Records an attempt, and says what went wrong; whether it was sent.
fn record(due: &Due, outcome: Result<Delivered, Undelivered>) -> bool {
    let Due { id, way, .. } = due;
    let way = way.as_str();
    match outcome {
        Ok(delivered) => {
            outbox::sent(*id, &delivered.answer, delivered.remark.as_deref());
            if let Some(remark) = delivered.remark {
                trouble(format!("alarm {id} was not sent to everybody by {way}"), remark).warn();
            }
            true
        }
        Err(Undelivered::Stopped) => false,
        Err(Undelivered::Failed(error)) => {
            if outbox::failed(due, &error) {
                trouble(format!("alarm {id} could not be sent by {way} and is given up"), error).warn_as(GIVEN_UP);
            } else {
                trouble(format!("alarm {id} could not be sent by {way} yet"), error).warn();
            }
            false
        }
    }
}

fn trouble(message: String, reason: String) -> Report {
    Report::new(PgSqlErrorCode::ERRCODE_CONNECTION_EXCEPTION, message)
        .detail(format!("Reason: {reason}"))
        .hint("To try every way: SELECT * FROM seal.test_alert(). The alarm: SELECT * FROM seal.alert.")
}

/// One line of the answer of `seal.test_alert()`.
pub struct Tried {
    pub way: &'static str,
    pub ok: bool,
    pub detail: String,
}

const NO_WAY: &str = "neither mail nor a command is configured: alarms leave this server only through its log and \
                      NOTIFY; set pgseal.mail_server, pgseal.mail_from and pgseal.mail_to, or pgseal.alert_command";

/// Sends a test by every way, now.
pub fn test() -> Vec<Tried> {
    let alarm = Alarm {
        kind: AlarmKind::Test,
        history: None,
        run: None,
        verdict: None,
        findings: 0,
        findings_new: 0,
        sentence: format!("this is a test of pgseal's alarms in database {}", server::database_name()),
        report: "Somebody called seal.test_alert(). Nothing was found, nothing is wrong.".to_owned(),
        details: serde_json::json!({}),
        anchor_line: None,
    };
    let message = Message::of(&alarm);
    let mut tried = Vec::new();
    for way in Way::configured() {
        let id = outbox::add(&alarm, way, &message).unwrap_or_default();
        let outcome = attempt(id, way, &message, &server::is_interrupted);
        server::check_for_interrupts();
        let outcome = outcome.map_err(|error| match error {
            Undelivered::Failed(reason) => reason,
            Undelivered::Stopped => "was stopped".to_owned(),
        });
        outbox::tried_once(id, &outcome);
        tried.push(match outcome {
            Ok(Delivered { answer, remark: None }) => Tried { way: way.as_str(), ok: true, detail: answer },
            Ok(Delivered { answer, remark: Some(remark) }) => {
                Tried { way: way.as_str(), ok: false, detail: format!("{answer}; {remark}") }
            }
            Err(reason) => Tried { way: way.as_str(), ok: false, detail: reason },
        });
    }
    if tried.is_empty() {
        outbox::add(&alarm, Way::Log, &message);
        tried.push(Tried { way: "none", ok: false, detail: NO_WAY.to_owned() });
    }
    notice::send(&alarm);
    let channel = notice::CHANNEL;
    let detail = format!("listeners of channel {channel} get it when this transaction commits");
    tried.push(Tried { way: "notify", ok: true, detail });
    warn(&alarm);
    let state = alarm.kind.sqlstate();
    let detail = format!("a WARNING with SQLSTATE {state} went to the server's log");
    let shown = server::log_takes_warnings();
    let detail = if shown { detail } else { "log_min_messages keeps warnings out of the server's log".to_owned() };
    tried.push(Tried { way: "log", ok: shown, detail });
    tried
}
