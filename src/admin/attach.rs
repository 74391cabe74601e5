//! Attach: an ordinary table becomes a history.

use super::epochs::{self, Opening};
use super::error::AdminError;
use super::{administering, leaves, preconditions, window};
use crate::key::Key;
use crate::pg::error::{OrRaise, Report};
use crate::pg::relation;
use crate::pg::{clock, spi, user};
use crate::record::columns;
use crate::record::epoch::EpochColumn;
use crate::record::identity::uuid_text;
use crate::record::journal::{self, Act, Note};
use crate::record::registry::{self, Registration};
use crate::record::{definition, journaled, live};
use crate::seal::{plan, transaction};
use pgrx::PgSqlErrorCode;
use pgseal_chain::HistoryId;
use std::time::Instant;

/// What the caller of `seal.attach` asked for.
pub struct Request<'a> {
    pub relation: u32,
    pub tenant_column: Option<&'a str>,
    pub max_chains: Option<i32>,
    pub window_months: Option<i32>,
    pub existing: &'a str,
    pub history_id: Option<[u8; 16]>,
}

/// Attaches the table and says what was done.
pub fn attach(request: &Request<'_>) -> String {
    let seal_existing = parameters(request).or_raise();
    let window_months = window::parse(request.window_months).or_raise();
    preconditions::check(request.relation, request.tenant_column).or_raise();
    let key = &definition::key_in_force().or_raise();
    plan::chain_prefix().or_raise();
    let table = relation::name_of(request.relation);
    announce(&table);
    announce_unsigned(request.relation);
    let started = Instant::now();
    let rows = administering(|| {
        spi::execute(&format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"));
        let rows = count_rows(&table);
        if rows > 0 && !seal_existing {
            Report::from(AdminError::HasRows { table: table.clone() }).raise();
        }
        if rows > 0 {
            preconditions::nothing_sees_updates(request.relation).or_raise();
        }
        make_history(request, window_months, &table, rows > 0, key);
        rows
    });
    let baseline = if rows > 0 { format!(", {rows} existing rows sealed as its baseline") } else { String::new() };
    format!("{table} is sealed from now on{baseline} ({} ms)", started.elapsed().as_millis())
}

/// Whether rows that are there shall be sealed.
fn parameters(request: &Request<'_>) -> Result<bool, AdminError> {
    if let Some(chains) = request.max_chains.filter(|chains| !(1..=10_000).contains(chains)) {
        let value = chains.to_string();
        return Err(AdminError::InvalidParameter { parameter: "max_chains", value, allowed: "1 to 10000, or NULL" });
    }
    match request.existing {
        "refuse" => Ok(false),
        "seal" => Ok(true),
        other => Err(AdminError::InvalidParameter {
            parameter: "existing",
            value: format!("\"{other}\""),
            allowed: "refuse, seal",
        }),
    }
}

fn announce(table: &str) {
    let size = spi::execute(&format!(
        "SELECT pg_catalog.pg_size_pretty(pg_catalog.sum(pg_catalog.pg_total_relation_size(relid)))
           FROM (SELECT {literal}::pg_catalog.regclass::pg_catalog.oid AS relid UNION
                 SELECT relid FROM pg_catalog.pg_partition_tree({literal}::pg_catalog.regclass)) AS part",
        literal = spi::literal(table)
    ));
    let size = spi::value(size).unwrap_or_default();
    Report::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, format!("attaching {table} ({size})"))
        .detail("It is locked (ACCESS EXCLUSIVE) until this transaction ends. Seven columns, an index and three triggers are added; existing rows, if there are any and they are to be sealed, are rewritten once.")
        .notice();
}

fn announce_unsigned(relation: u32) {
    let generated: Vec<String> = relation::attributes_of(relation)
        .into_iter()
        .filter(|column| column.generated)
        .map(|column| column.name)
        .collect();
    if !generated.is_empty() {
        Report::new(
            PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
            format!("generated columns are not signed: {}", generated.join(", ")),
        )
        .detail("Their values are computed after the row was signed. Verification compares them with their expressions instead; one that depends on bytea_output or extra_float_digits will be reported as modified.")
        .notice();
    }
}

/// All rows, also those that a policy hides from the caller.
fn count_rows(table: &str) -> i64 {
    let count = || spi::execute(&format!("SELECT pg_catalog.count(*) FROM {table}"));
    let rows = user::with_rights_of(user::extension_owner(), count);
    spi::value(rows).and_then(|count| count.parse().ok()).unwrap_or(0)
}

fn make_history(request: &Request<'_>, window_months: Option<i32>, table: &str, has_rows: bool, key: &Key) {
    let mut registration = registration(request, window_months);
    leaves::add_columns(table);
    epochs::register(&registration);
    epochs::open(&mut registration, opening(request, has_rows), key);
    leaves::add_seal_trigger(table);
    if has_rows {
        transaction::sealing_baseline(request.relation, || leaves::seal_rows(request.relation, table, update_unseen));
        epochs::open(&mut registration, opening(request, false), key);
    }
    leaves::complete(request.relation);
    leaves::require_values(table);
    journal_attachment(&registration, table, has_rows);
}

fn journal_attachment(registration: &Registration, table: &str, baseline: bool) {
    let earlier: Vec<String> = registry::registrations()
        .iter()
        .filter(|row| row.relation == registration.relation && !row.is_attached())
        .map(|row| uuid_text(&row.history.0))
        .collect();
    let rows = if baseline { " with its rows as a baseline" } else { "" };
    let before =
        if earlier.is_empty() { String::new() } else { format!("; it was history {} before", earlier.join(", ")) };
    journal::note(Note {
        act: Act::Attach,
        history: Some(registration.history),
        table: Some(table.to_owned()),
        sentence: format!("{table} was attached{rows}{before}"),
        details: journaled::attach_details(registration, &live::of_history(registration.relation), &earlier),
    });
}

fn registration(request: &Request<'_>, window_months: Option<i32>) -> Registration {
    let history = HistoryId(request.history_id.unwrap_or_else(epochs::random_id));
    if registry::registrations().iter().any(|row| row.history == history) {
        Report::from(AdminError::IdInUse { id: uuid_text(&history.0) }).raise();
    }
    Registration {
        history,
        relation: request.relation,
        tenant_column: request.tenant_column.map(str::to_owned),
        max_chains: request.max_chains,
        window_months,
        epoch: 0,
        epoch_digest: Vec::new(),
        attached_at: clock::now(),
        attached_by: user_name(),
        detached_at: None,
        detached_by: None,
        mac: Vec::new(),
        detach_mac: None,
    }
}

pub fn user_name() -> String {
    spi::value(spi::execute("SELECT pg_catalog.current_user()")).unwrap_or_default()
}

fn opening(request: &Request<'_>, baseline: bool) -> Opening {
    let attributes = relation::attributes_of(request.relation);
    let columns = (1..).zip(columns::signable(&attributes)).map(|(id, place)| EpochColumn {
        id,
        name: place.name,
        type_name: place.type_name,
        default: None,
    });
    Opening { columns: columns.collect(), tenant_column: request.tenant_column.map(str::to_owned), baseline }
}

/// Runs an update that ordinary triggers and policies of the table see nothing of. It runs CHECK
/// constraints and generated columns, so it has the rights of the table's owner, who wrote them.
fn update_unseen(relation: u32, update: &str) {
    let as_superuser = |work: &dyn Fn()| user::with_rights_of(user::extension_owner(), work);
    let settings = ["session_replication_role", "row_security"];
    let before = settings.map(|name| {
        spi::value(spi::execute(&format!("SELECT pg_catalog.current_setting('{name}')"))).unwrap_or_default()
    });
    let set = |values: [&str; 2]| {
        as_superuser(&|| {
            for (name, value) in settings.iter().zip(values) {
                spi::execute(&format!("SELECT pg_catalog.set_config('{name}', '{value}', true)"));
            }
        });
    };
    set(["replica", "off"]);
    user::with_rights_of(relation::owner_of(relation), || spi::execute(update));
    set([&before[0], &before[1]]);
}
