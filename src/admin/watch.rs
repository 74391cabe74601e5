//! What the histories were like right before the DDL commands that are running, one inside the
//! other. A rollback forgets the commands that it undoes.

use crate::pg::snapshot::Sees;
use crate::pg::statement::Statement;
use crate::pg::transaction::{self, Level, SavepointEvent, TransactionEvent};
use crate::record::live::{self, LiveDefinition};
use crate::record::shape::{self, Defect};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// A history at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    pub definition: LiveDefinition,
    pub defects: BTreeSet<Defect>,
}

/// A running command with the histories that it can change, by the oid of their table.
pub struct Command {
    pub tag: String,
    /// Whether it is a CREATE TABLE and the like, which can change no table that is there.
    pub is_harmless: bool,
    /// Whether it commits before it ends.
    pub concurrently: bool,
    pub enables_triggers: bool,
    pub before: BTreeMap<u32, State>,
    level: Level,
}

impl Command {
    pub fn new(statement: &Statement, is_harmless: bool, before: BTreeMap<u32, State>) -> Command {
        Command {
            tag: statement.tag.clone(),
            is_harmless,
            concurrently: statement.concurrently,
            enables_triggers: statement.enables_triggers,
            before,
            level: transaction::level(),
        }
    }
}

thread_local! {
    /// Innermost last.
    static RUNNING: RefCell<Vec<Command>> = const { RefCell::new(Vec::new()) };
    /// Histories that a command has changed for which there are no event triggers, as they were before.
    static UNSETTLED: RefCell<Vec<Unsettled>> = const { RefCell::new(Vec::new()) };
}

struct Unsettled {
    relation: u32,
    before: State,
    level: Level,
}

/// The histories of these tables as they are now.
pub fn look(relations: &[u32]) -> BTreeMap<u32, State> {
    look_at(relations, Sees::Stored)
}

fn look_at(relations: &[u32], sees: Sees) -> BTreeMap<u32, State> {
    let mut defects = shape::defects(relations, sees);
    live::of(relations, sees)
        .into_iter()
        .map(|(relation, definition)| {
            (relation, State { definition, defects: defects.remove(&relation).unwrap_or_default() })
        })
        .collect()
}

pub fn begin(command: Command) {
    RUNNING.with_borrow_mut(|running| running.push(command));
}

/// The innermost command, if it is one with this tag.
pub fn end(tag: &str) -> Option<Command> {
    RUNNING.with_borrow_mut(|running| running.pop_if(|command| command.tag == tag))
}

/// Whether a DDL command is running that event triggers have told of.
pub fn is_running() -> bool {
    RUNNING.with_borrow(|running| !running.is_empty())
}

/// Remembers histories as they were before the running statement, unless they are already.
pub fn remember_altered(relations: &[u32]) {
    let is_new =
        |relation: &u32| UNSETTLED.with_borrow(|unsettled| !unsettled.iter().any(|known| known.relation == *relation));
    let new: Vec<u32> = relations.iter().copied().filter(is_new).collect();
    let level = transaction::level();
    let states = look_at(&new, Sees::Snapshot);
    UNSETTLED.with_borrow_mut(|unsettled| {
        unsettled.extend(states.into_iter().map(|(relation, before)| Unsettled { relation, before, level }));
    });
}

/// Whether `remember_altered` has remembered any.
pub fn has_altered() -> bool {
    UNSETTLED.with_borrow(|unsettled| !unsettled.is_empty())
}

/// What `remember_altered` has remembered, once.
pub fn take_altered() -> BTreeMap<u32, State> {
    UNSETTLED.take().into_iter().map(|altered| (altered.relation, altered.before)).collect()
}

/// What the commands that go on will compare with.
pub fn refresh(now: &BTreeMap<u32, State>) {
    RUNNING.with_borrow_mut(|running| {
        for command in running.iter_mut() {
            for (relation, state) in &mut command.before {
                if let Some(now) = now.get(relation) {
                    state.clone_from(now);
                }
            }
        }
    });
}

/// Histories that running commands compare with.
pub fn remembered() -> Vec<u32> {
    let relations =
        |running: &Vec<Command>| running.iter().flat_map(|command| command.before.keys().copied()).collect();
    RUNNING.with_borrow(relations)
}

/// The innermost command that commits before it ends, with what it compares with.
pub fn committing_early() -> Option<(String, BTreeMap<u32, State>)> {
    RUNNING.with_borrow(|running| {
        let command = running.iter().rfind(|command| command.concurrently && !command.before.is_empty())?;
        Some((command.tag.clone(), command.before.clone()))
    })
}

/// Nothing in here may fail: the transaction has ended already.
pub fn transaction_ended(event: TransactionEvent) {
    let _ = RUNNING.try_with(|running| {
        if let Ok(mut running) = running.try_borrow_mut() {
            running.retain(|command| event == TransactionEvent::Committed && command.concurrently);
        }
    });
    let _ = UNSETTLED.try_with(|unsettled| unsettled.try_borrow_mut().map(|mut unsettled| unsettled.clear()));
}

pub fn on_savepoint(event: SavepointEvent) {
    if let SavepointEvent::RolledBack { level } = event {
        RUNNING.with_borrow_mut(|running| running.retain(|command| command.level < level));
        UNSETTLED.with_borrow_mut(|unsettled| unsettled.retain(|altered| altered.level < level));
    }
}
