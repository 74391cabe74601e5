//! The guard of definitions: what a DDL command did to a history is refused or journaled.
//!
//! | when | what |
//! |---|---|
//! | ddl_command_start | refuse what the command says it will do; remember the histories that it can change |
//! | ddl_command_end | follow changed columns, refuse what broke a history, journal the difference to before |
//! | before an object is dropped | see `drops` |
//!
//! The journal gets the difference between right before and right after a command, never the one to
//! what is journaled: otherwise the next honest command would make good what somebody did with the
//! guard off. It is off in a replica's session (`session_replication_role`).

use super::error::AdminError;
use super::watch::{self, Command, State};
use super::{change, drops, is_administering, leaves, permitted};
use crate::pg::error::OrRaise;
use crate::pg::object_access::{Altered, Dropped};
use crate::pg::relation::{self, Held};
use crate::pg::settings::PinnedPath;
use crate::pg::snapshot::Sees;
use crate::pg::statement::{Statement, Touches};
use crate::pg::transaction::{SavepointEvent, TransactionEvent};
use crate::pg::{snapshot, spi, user};
use crate::record::definition::Definition;
use crate::record::journal::{self, Act, Note};
use crate::record::live::{self, LiveDefinition};
use crate::record::registry::{self, Registration};
use crate::record::shape;
use std::collections::BTreeMap;

/// Commands after which the columns of the tables that they changed are compared with the epoch.
const TABLE_COMMANDS: [&str; 7] = [
    "ALTER TABLE",
    "ALTER FOREIGN TABLE",
    "ALTER VIEW",
    "ALTER MATERIALIZED VIEW",
    "CREATE TABLE",
    "CREATE FOREIGN TABLE",
    "CREATE SCHEMA",
];

/// Commands that give types or their schemas other names.
const TYPE_COMMANDS: [&str; 4] = ["ALTER SCHEMA", "ALTER TYPE", "ALTER DOMAIN", "ALTER EXTENSION"];

/// Attached histories whose table is there.
pub fn attached() -> Vec<Registration> {
    let is_there = |row: &Registration| row.is_attached() && relation::exists(row.relation);
    registry::registrations().into_iter().filter(is_there).collect()
}

/// At the start of a DDL command, with the rights of whoever runs it.
pub fn before(statement: &Statement) {
    if is_administering() {
        return;
    }
    settle_altered();
    let is_harmless = statement.tag.starts_with("CREATE ") && statement.touches == Touches::Nothing;
    let histories = if is_harmless { Vec::new() } else { attached() };
    let state = if histories.is_empty() {
        BTreeMap::new()
    } else {
        // The names in the command have been looked up; from here on nothing of the session's is called.
        let _path = PinnedPath::pin();
        permitted::check(statement, &histories).or_raise();
        user::with_rights_of(user::extension_owner(), || remember(&concerned(&statement.touches, &histories)))
    };
    watch::begin(Command::new(statement, is_harmless, state));
}

/// Tables of the histories that a command can change.
fn concerned(touches: &Touches, histories: &[Registration]) -> Vec<u32> {
    let all = || histories.iter().map(|row| row.relation).collect();
    match touches {
        Touches::Nothing => Vec::new(),
        Touches::Anything => all(),
        Touches::Tables(tables) if has_dependent_columns(tables) => all(),
        Touches::Tables(tables) => {
            let mut roots: Vec<u32> = tables.iter().flat_map(|table| [*table, relation::root_of(*table)]).collect();
            roots.sort_unstable();
            roots.dedup();
            roots.retain(|root| histories.iter().any(|row| row.relation == *root));
            roots
        }
    }
}

/// Whether the row type of one of these tables is the type of a column, directly or not.
fn has_dependent_columns(tables: &[u32]) -> bool {
    !spi::execute(&format!(
        "SELECT FROM pg_type t JOIN pg_depend d
             ON d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid, t.typarray)
          WHERE t.typrelid = ANY ('{}'::oid[]) AND d.deptype = 'n' LIMIT 1",
        live::oids(tables)
    ))
    .is_empty()
}

/// Looks at histories while nobody else changes their tables. A restore in parallel changes several
/// at once and waits for nobody: what it is changing elsewhere is not looked at.
fn remember(relations: &[u32]) -> BTreeMap<u32, State> {
    if relations.is_empty() {
        return BTreeMap::new();
    }
    if !journal::is_restored_copy() {
        let _held: Vec<Held> = relations.iter().map(|root| relation::hold(*root)).collect();
        return watch::look(relations);
    }
    let held: Vec<(u32, Held)> = relations
        .iter()
        .filter_map(|root| Some((*root, relation::try_hold(&relation::with_descendants(*root))?)))
        .collect();
    watch::look(&held.iter().map(|(root, _)| *root).collect::<Vec<_>>())
}

/// At the end of a DDL command, with the rights of the extension's owner.
pub fn after(tag: &str) {
    if is_administering() {
        return;
    }
    let command = watch::end(tag);
    // A restore may enable them before it fills pgseal's tables.
    let enables_triggers = command.as_ref().is_some_and(|command| command.enables_triggers);
    let is_harmless = command.as_ref().is_some_and(|command| command.is_harmless);
    if is_harmless || (!enables_triggers && attached().is_empty()) {
        return;
    }
    let changed = if TABLE_COMMANDS.contains(&tag) { changed_tables() } else { Vec::new() };
    for table in changed {
        if enables_triggers {
            leaves::guard_always(table.relation);
        }
        // Of the active snapshot the command's own changes are no part.
        let renamed = change::Renamed::AtPlace(table.column);
        snapshot::with_fresh(|| change::follow(table.relation, renamed, &table.changes));
    }
    if TYPE_COMMANDS.contains(&tag) {
        snapshot::with_fresh(change::follow_type_names);
    }
    if let Some(command) = command {
        settle(tag, &command.before);
    }
}

/// A table that the command changed, as the server collected it.
struct Changed {
    relation: u32,
    column: i32,
    /// The lines of `pg::ddl`.
    changes: String,
}

fn changed_tables() -> Vec<Changed> {
    spi::execute(
        "SELECT DISTINCT objid, objsubid,
                CASE WHEN command_tag LIKE 'CREATE%' THEN 'attach' ELSE seal.table_changes(command) END
           FROM pg_catalog.pg_event_trigger_ddl_commands()
          WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND object_type IN ('table', 'foreign table', 'table column')",
    )
    .into_iter()
    .filter_map(|row| match row.as_slice() {
        [Some(relation), Some(column), changes] => Some(Changed {
            relation: relation.parse().ok()?,
            column: column.parse().ok()?,
            changes: changes.clone().unwrap_or_default(),
        }),
        _ => None,
    })
    .collect()
}

/// Refuses or journals what is different from before.
fn settle(tag: &str, before: &BTreeMap<u32, State>) {
    let histories: Vec<Registration> =
        attached().into_iter().filter(|history| before.contains_key(&history.relation)).collect();
    if histories.is_empty() {
        return;
    }
    let now = watch::look(&histories.iter().map(|history| history.relation).collect::<Vec<_>>());
    // A type that is another table's row type gets its name by ALTER TABLE.
    if before.iter().any(|(relation, before)| now.get(relation).is_some_and(|now| has_new_type(before, now))) {
        snapshot::with_fresh(change::follow_type_names);
    }
    for history in histories {
        if let (Some(before), Some(now)) = (before.get(&history.relation), now.get(&history.relation))
            && before != now
        {
            judge(tag, history, before, now).or_raise();
        }
    }
    watch::refresh(&now);
}

fn has_new_type(before: &State, now: &State) -> bool {
    let is_new = |item: &String| item.starts_with(live::TYPE) && !before.definition.contains_key(item);
    now.definition.keys().any(is_new)
}

fn judge(tag: &str, history: Registration, before: &State, now: &State) -> Result<(), AdminError> {
    let restored = journal::is_restored_copy();
    if !restored {
        permitted::judge(history.relation, before, now)?;
    }
    let changes = live::difference(&before.definition, &now.definition);
    // While a copy is being restored it is not yet what it was, and becomes it without any act.
    let is_being_restored = || {
        !before.defects.is_empty()
            || changes.touches(shape::OWN_TRIGGERS)
            || journal::definition_of(history.history)
                .is_none_or(|journaled| !live::difference(&journaled, &before.definition).is_empty())
    };
    if changes.is_empty() || (restored && is_being_restored()) {
        return Ok(());
    }
    let table = table_of(&before.definition);
    let (relation, id) = (history.relation, history.history);
    if let Some(fault) = Definition::load(history).key_fault.filter(|_| !restored) {
        return Err(AdminError::NoKey { table: relation::name_of(relation), fault });
    }
    journal::note(Note {
        act: Act::Definition,
        history: Some(id),
        sentence: format!("{tag} changed {table}: {}", changes.sentence()),
        details: changes.details(tag),
        table: Some(now.definition.get(live::TABLE).cloned().unwrap_or(table)),
    });
    Ok(())
}

fn table_of(definition: &LiveDefinition) -> String {
    definition.get(live::TABLE).cloned().unwrap_or_default()
}

/// Journals columns that came while the guard was off and are signed from now on: an owner's or
/// administrator's own act, unlike the changes of others.
pub fn accept_columns(relation: u32) {
    let Some(history) = registry::attached(relation) else { return };
    let Some(journaled) = journal::definition_of(history.history) else { return };
    let is_of_columns = |item: &str| item.starts_with("column ") || item.starts_with("default of column ");
    let changes = live::difference(&journaled, &live::of_history(relation)).only(is_of_columns);
    if !changes.is_empty() {
        journal::note(Note {
            act: Act::Definition,
            history: Some(history.history),
            sentence: format!("seal.open_epoch accepted {}: {}", table_of(&journaled), changes.sentence()),
            details: changes.details("seal.open_epoch"),
            table: Some(table_of(&journaled)),
        });
    }
}

/// After pgseal itself changed histories while a command was running, which it journals by itself.
pub fn look_again() {
    let relations = watch::remembered();
    if !relations.is_empty() {
        watch::refresh(&watch::look(&relations));
    }
}

/// A command that works CONCURRENTLY commits what it has done, and may fail later.
fn commit_early() {
    if let Some((tag, before)) = watch::committing_early() {
        let _path = PinnedPath::pin();
        user::with_rights_of(user::extension_owner(), || settle(&tag, &before));
    }
}

/// After a change of owners or roles, for which there are no event triggers: REASSIGN OWNED, ALTER
/// ROLE. Looks while the catalogs still show the state before; what became of it is journaled before
/// the next DDL command or at the end of the transaction.
pub fn when_altered(what: Altered) {
    if is_administering() || watch::is_running() {
        return;
    }
    let mut relations: Vec<u32> = attached().iter().map(|row| row.relation).collect();
    if let Altered::Table(table) = what {
        let root = relation::root_of(table);
        relations.retain(|relation| *relation == root);
    }
    if !relations.is_empty() {
        watch::remember_altered(&relations);
    }
}

fn settle_altered() {
    let altered = watch::take_altered();
    if !altered.is_empty() {
        let _path = PinnedPath::pin();
        user::with_rights_of(user::extension_owner(), || {
            // With the event triggers off, so is the whole guard.
            if shape::watching_problems(Sees::Stored).is_empty() {
                settle("REASSIGN OWNED or ALTER ROLE", &altered);
            }
        });
    }
}

pub fn on_transaction(event: TransactionEvent) {
    match event {
        TransactionEvent::BeforeCommit | TransactionEvent::BeforePrepare => {
            if watch::is_running() || watch::has_altered() {
                snapshot::with_fresh(|| {
                    settle_altered();
                    commit_early();
                });
            }
        }
        ended => watch::transaction_ended(ended),
    }
}

pub fn on_savepoint(event: SavepointEvent) {
    watch::on_savepoint(event);
}

/// Before an object is dropped, with the rights of whoever drops it.
pub fn before_drop(object: Dropped) {
    if !is_administering() {
        drops::check(object).or_raise();
    }
}
