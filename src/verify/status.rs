//! What a DBA sees at a glance, without reading a history.

use super::{configuration, worker};
use crate::heartbeat::runs::{self, Recorded};
use crate::key::{self, KeyFault, evolution};
use crate::pg::attributes::Attribute;
use crate::pg::relation::{self, Relation};
use crate::pg::snapshot::Sees;
use crate::pg::{shared_memory, spi, user};
use crate::record::definition::{self, Definition};
use crate::record::live::LiveDefinition;
use crate::record::registry::{self, Registration};
use crate::record::{columns, journaled};
use crate::schedule;
use crate::seal::{heads, newest_anchor};
use crate::settings;
use std::time::Duration;

/// Anchors further apart protect too little.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);

/// One line of `seal.status`.
pub struct StatusLine {
    pub history: String,
    pub problem: Option<String>,
    pub chains: i64,
    /// Entries of the chains that the server remembers; counted by their positions.
    pub entries: i64,
    pub key_id: Option<String>,
    pub key_fingerprint: Option<String>,
    pub epoch: i32,
    pub window_months: Option<i32>,
    /// Time of the newest anchor, µs since 2000-01-01 UTC, and its number.
    pub last_anchor: Option<(i64, u64)>,
    /// Chains that the newest anchor does not have as they are.
    pub unanchored: i64,
    /// How the anchor worker is doing.
    pub worker: String,
    pub not_covered: String,
    /// When the newest successful recorded verification ended, µs since 2000-01-01 UTC.
    pub last_verified: Option<i64>,
    /// Of the newest recorded verification, successful or not.
    pub last_verdict: Option<String>,
    /// When the scheduler verifies next, µs since 2000-01-01 UTC.
    pub next_run: Option<i64>,
}

/// One line of `seal.check_setup`.
pub struct SetupLine {
    pub item: &'static str,
    pub problem: String,
    /// `None` where nothing is to be done.
    pub fix: Option<String>,
}

pub fn lines() -> Vec<StatusLine> {
    user::with_rights_of(user::extension_owner(), || {
        let attached: Vec<_> = registry::registrations().into_iter().filter(|row| row.is_attached()).collect();
        let mut recorded = runs::of(&attached.iter().map(|row| row.history).collect::<Vec<_>>());
        let journaled = journaled::as_seen(Sees::Stored);
        attached
            .into_iter()
            .map(|row| {
                let recorded = recorded.remove(&row.history).unwrap_or_default();
                let journaled = journaled.get(&row.history).map(|journaled| &journaled.definition);
                line(row, recorded, journaled)
            })
            .collect()
    })
}

fn line(registration: Registration, recorded: Recorded, journaled: Option<&LiveDefinition>) -> StatusLine {
    let history = relation::name_of(registration.relation);
    let (epoch, window_months) = (registration.epoch, registration.window_months);
    let known = heads::of_history(registration.history);
    let definition = Definition::load(registration);
    // Whoever alters the table keeps nobody from seeing how it is.
    let attributes = Relation::open_at_once(definition.registration.relation).map(|open| open.attributes());
    let generated =
        attributes.iter().flatten().filter(|column| column.generated).map(|column| column.name.clone()).collect();
    let worker = worker::state();
    let trouble = worker.fix.is_some().then(|| worker.sentence.clone());
    let trouble = trouble.or_else(|| closing_trouble().map(|trouble| format!("periods cannot be closed: {trouble}")));
    StatusLine {
        problem: problem(&definition, attributes.as_deref(), journaled).or(trouble),
        chains: known.iter().filter(|chain| chain.head.position > 0).count() as i64,
        entries: known.iter().map(|chain| chain.head.position as i64).sum(),
        key_id: definition.newest().map(|epoch| epoch.record.key_id.clone()),
        key_fingerprint: definition
            .newest()
            .and_then(|epoch| key::held(&epoch.record.key_id))
            .map(|key| key.fingerprint()),
        epoch,
        window_months,
        last_anchor: newest_anchor::slot()
            .filter(|slot| slot.known && slot.number > 0)
            .map(|slot| (slot.at, slot.number)),
        unanchored: known.iter().filter(|chain| !chain.valid || chain.head.position > chain.anchored).count() as i64,
        worker: worker.sentence,
        not_covered: not_covered(generated),
        last_verified: recorded.verified_at,
        last_verdict: recorded.newest.map(|run| run.verdict),
        next_run: schedule::state().next_run,
        history,
    }
}

fn problem(
    definition: &Definition,
    attributes: Option<&[Attribute]>,
    journaled: Option<&LiveDefinition>,
) -> Option<String> {
    if !relation::exists(definition.registration.relation) {
        return Some("the table is gone".into());
    }
    if let Some(fault) = &definition.key_fault {
        return Some(format!("rows cannot be sealed: {fault}"));
    }
    let places = columns::signable(attributes?);
    configuration::check(definition, &places, journaled).into_iter().next().map(|finding| finding.detail)
}

fn not_covered(generated: Vec<String>) -> String {
    let tail =
        "removal of entries of the last seconds before a restart; an older state of everything, without a witness";
    match generated.is_empty() {
        true => tail.into(),
        false => format!("{tail}; generated columns ({})", generated.join(", ")),
    }
}

pub fn setup() -> Vec<SetupLine> {
    user::with_rights_of(user::extension_owner(), || {
        let mut lines = vec![
            preload(),
            key_line(),
            key_required(),
            chain_name(),
            encoding(),
            shared_memory(),
            anchors(),
            witness(),
            scheduled(),
        ];
        lines.extend(evolution_line());
        lines.extend(roles());
        lines.extend(problems());
        lines
    })
}

fn fine(item: &'static str, state: impl Into<String>) -> SetupLine {
    SetupLine { item, problem: state.into(), fix: None }
}

fn wrong(item: &'static str, problem: impl Into<String>, fix: impl Into<String>) -> SetupLine {
    SetupLine { item, problem: problem.into(), fix: Some(fix.into()) }
}

/// This code runs only in a server that was started with pgseal.
fn preload() -> SetupLine {
    fine("preload", "loaded by shared_preload_libraries")
}

fn key_line() -> SetupLine {
    let source = key::source().unwrap_or_default();
    match definition::key_in_force() {
        Ok(found) if source == "pgseal.key" => wrong(
            "key",
            format!("key {} with fingerprint {} stands in the configuration file", found.id, found.fingerprint()),
            "for more than a trial, move it into a file of mode 0600 and set pgseal.key_file instead of pgseal.key",
        ),
        Ok(found) => fine("key", format!("key {} with fingerprint {} from {source}", found.id, found.fingerprint())),
        Err(KeyFault::VerificationOnly) => fine("key", KeyFault::VerificationOnly.to_string()),
        Err(fault) => wrong("key", fault.to_string(), fault.remedy()),
    }
}

/// Whether periods are closed; nothing where there are none.
fn evolution_line() -> Option<SetupLine> {
    let kind = evolution::kind()?;
    let line = match evolution::load() {
        Err(fault) => wrong("key evolution", fault.to_string(), fault.remedy()),
        Ok(state) => match closing_trouble() {
            None => {
                let name = kind.name(state.period);
                fine("key evolution", format!("periods of a {} are closed; {name} is in force", kind.as_str()))
            }
            Some(trouble) => wrong("key evolution", trouble, "see the server's log, and docs/forward-security.md"),
        },
    };
    Some(line)
}

/// Why this database's periods cannot be closed.
fn closing_trouble() -> Option<String> {
    evolution::kind()?;
    let of_launcher = shared_memory::read_launcher().closing_trouble.get();
    let slot = newest_anchor::slot().map(|slot| slot.closing);
    let of_database = slot.map(|slot| slot.trouble.get()).unwrap_or_default();
    [of_database, of_launcher].into_iter().find(|trouble| !trouble.is_empty())
}

fn key_required() -> SetupLine {
    match settings::require_key() {
        true => fine("key required", "the server does not start without a usable key"),
        false => wrong(
            "key required",
            "pgseal.require_key is off: without a usable key the server starts, and every INSERT into a history fails",
            "unless that is meant, set pgseal.require_key = on in postgresql.conf and restart the server",
        ),
    }
}

fn chain_name() -> SetupLine {
    let name = settings::chain_name();
    match pgseal_chain::valid_node_name(&name) {
        true => fine("chain name", format!("this node's chains are called {name}.<tag>")),
        false => wrong(
            "chain name",
            format!("pgseal.chain_name '{name}' cannot be used"),
            "set pgseal.chain_name to 1 to 63 bytes without slash, dot and white space, then restart the server",
        ),
    }
}

fn encoding() -> SetupLine {
    let encoding = spi::execute(
        "SELECT pg_catalog.pg_encoding_to_char(encoding) FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()",
    );
    match spi::value(encoding).as_deref() {
        Some("UTF8") => fine("encoding", "the database is in UTF8"),
        other => wrong(
            "encoding",
            format!("the database is in {}, documents are UTF-8", other.unwrap_or("an unknown encoding")),
            "create the database with: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
        ),
    }
}

fn shared_memory() -> SetupLine {
    let (used, slots) = heads::usage();
    match used * 10 >= slots * 9 {
        false => fine("shared memory", format!("{used} of {slots} chains remembered")),
        true => wrong(
            "shared memory",
            format!("{used} of {slots} chains remembered: almost full"),
            "raise pgseal.max_heads in postgresql.conf and restart the server",
        ),
    }
}

fn anchors() -> SetupLine {
    let state = worker::state();
    match state.fix {
        None if settings::anchor_interval() > LONGEST_INTERVAL => wrong(
            "anchor worker",
            format!("the newest entries stay unanchored for {} s", settings::anchor_interval().as_secs()),
            "set pgseal.anchor_interval to at most 60s in postgresql.conf and reload",
        ),
        None => fine("anchor worker", state.sentence),
        Some(fix) => wrong("anchor worker", state.sentence, fix),
    }
}

/// Whether anchors leave the server.
pub fn witness() -> SetupLine {
    let trouble = newest_anchor::slot().map(|slot| slot.witness_trouble.get()).unwrap_or_default();
    match settings::witness_command() {
        None => wrong(
            "witness",
            "no anchor leaves the server: an older state of everything, put back, would not be found",
            "set pgseal.witness_command in postgresql.conf and reload, see docs/witness.md; or keep what NOTIFY pgseal_anchor says",
        ),
        Some(_) if !trouble.is_empty() => {
            wrong("witness", trouble, "run the command by hand as the server's user, with a line on standard input")
        }
        Some(_) => fine("witness", "anchors are handed to pgseal.witness_command"),
    }
}

fn scheduled() -> SetupLine {
    let text = schedule::state_text();
    match schedule::state().trouble {
        None => fine("schedule", text),
        Some(_) => wrong("schedule", text, "see the server's log, and docs/schedule.md"),
    }
}

fn roles() -> Vec<SetupLine> {
    let present = spi::column(spi::execute(
        "SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('pgseal_auditor', 'pgseal_operator', 'pgseal_admin')",
    ));
    ["pgseal_auditor", "pgseal_operator", "pgseal_admin"]
        .into_iter()
        .map(|role| match present.iter().any(|name| name == role) {
            true => fine("role", format!("{role} exists")),
            false => wrong(
                "role",
                format!("role {role} is missing"),
                format!("CREATE ROLE {role} NOLOGIN, then grant it as sql/rights.sql does"),
            ),
        })
        .collect()
}

fn problems() -> Vec<SetupLine> {
    lines()
        .into_iter()
        .filter_map(|line| Some((line.history, line.problem?)))
        .map(|(history, problem)| {
            let fix = format!("SELECT * FROM seal.findings(history => {})", spi::literal(&history));
            wrong("history", format!("{history}: {problem}"), fix)
        })
        .collect()
}
