//! Rotation: another key seals from now on; what was sealed before stays under the key that it was sealed with.

use super::administering;
use super::epochs::{self, Opening};
use super::error::AdminError;
use crate::key::{self, Key, KeyFault};
use crate::pg::error::{OrRaise, Report};
use crate::pg::snapshot::Sees;
use crate::pg::{clock, relation, spi, user};
use crate::record::closing;
use crate::record::definition::{self, Definition};
use crate::record::journal::{self, Act, Note};
use crate::record::registry::{self, Registration};
use crate::record::ring::{self, KnownKey, Ring};
use pgrx::PgSqlErrorCode;
use serde_json::json;

/// Puts the next key in force for all histories of this database and says what it is.
pub fn rotate() -> String {
    require_histories().or_raise();
    // Until the end of the transaction: nobody else opens an epoch.
    let lock = "LOCK TABLE seal.epoch IN SHARE ROW EXCLUSIVE MODE";
    user::with_rights_of(user::extension_owner(), || spi::execute(lock));
    let before = definition::key_in_force().or_raise();
    let (_, mut ring) = journal::judged(Sees::Stored);
    let next = next_key(&before, &ring).or_raise();
    closing::write_rotation(&before);
    ring.insert(next.id.clone(), KnownKey::of(&next, clock::now()));
    let fingerprint = next.fingerprint();
    note_key(
        &next,
        Some(&before),
        &ring,
        format!("key {} with fingerprint {fingerprint} follows key {}", next.id, before.id),
    );
    let tables: Vec<String> = attached().into_iter().map(|registration| open_epoch(registration, &next)).collect();
    note_key(&next, None, &ring, format!("key {} with fingerprint {fingerprint} took over", next.id));
    format!("key {} with fingerprint {fingerprint} seals from now on: {}", next.id, tables.join(", "))
}

/// Each of the two keys signs that one follows the other: a journal of which only one is at hand knows both.
fn note_key(next: &Key, before: Option<&Key>, ring: &Ring, sentence: String) {
    let details = ring::key_details(&next.id, before.map(|key| key.id.as_str()), ring);
    journal::note(Note { act: Act::Key, history: None, table: None, sentence, details });
}

fn attached() -> Vec<Registration> {
    registry::registrations().into_iter().filter(Registration::is_attached).collect()
}

fn require_histories() -> Result<(), AdminError> {
    if attached().is_empty() { Err(AdminError::NothingAttached) } else { Ok(()) }
}

/// The key after the one in force here: one that another database has put in force already, or else a new one.
fn next_key(before: &Key, ring: &Ring) -> Result<Key, AdminError> {
    let number = key::number(&before.id).unwrap_or(0);
    let id = (number + 1).to_string();
    let of_server = key::current().ok().filter(|current| key::number(&current.id) > Some(number));
    let next = match of_server {
        Some(current) => current,
        None => key::next(&id).map_err(AdminError::NoNextKey)?,
    };
    // Another node may have put the same key in force under the same id already.
    let is_known = |(known, key): &(&String, &KnownKey)| **known != next.id && key.fingerprint == next.fingerprint();
    let same = ring.iter().find(is_known).map(|(id, _)| id.clone());
    match same.or_else(|| (before.fingerprint() == next.fingerprint()).then(|| before.id.clone())) {
        Some(same) => {
            let id = next.id.clone();
            key::forget(&id);
            Err(AdminError::SameKey { id, same })
        }
        None => Ok(next),
    }
}

/// The history goes on under the key, with what it signs unchanged.
fn open_epoch(mut registration: Registration, key: &Key) -> String {
    let table = relation::name_of(registration.relation);
    let definition = Definition::load(registration.clone());
    if let Some(alteration) = definition.alterations.first() {
        Report::from(AdminError::Altered { table, sentence: alteration.sentence.clone() }).raise();
    }
    if let Some(fault) = definition.key_fault {
        Report::from(AdminError::NoKey { table, fault }).raise();
    }
    let Some(newest) = definition.epochs.last() else {
        Report::from(AdminError::NotAttached { table }).raise();
    };
    let opening = Opening {
        columns: newest.record.columns.clone(),
        tenant_column: newest.record.tenant_column.clone(),
        baseline: false,
    };
    administering(|| epochs::open(&mut registration, opening, key));
    format!("epoch {} of {table}", registration.epoch)
}

/// Gives up a key that is not in force any more, and says what still needs it.
pub fn retire(id: &str) -> String {
    let (_, ring) = journal::judged(Sees::Stored);
    let known = ring.get(id).ok_or_else(|| AdminError::UnknownKey { id: id.to_owned() }).or_raise();
    if known.retired.is_some() {
        return format!("key {id} was retired before");
    }
    let in_use: Vec<String> = attached().iter().filter(|row| seals_with(row, id)).map(table_of).collect();
    if !in_use.is_empty() {
        Report::from(AdminError::KeyInForce { id: id.to_owned(), tables: in_use }).raise();
    }
    journal::note(Note {
        act: Act::Retire,
        history: None,
        table: None,
        sentence: format!("key {id} with fingerprint {} was retired", known.fingerprint),
        details: json!({"id": id, "fingerprint": known.fingerprint}),
    });
    key::forget(id);
    let needed: Vec<String> =
        registry::registrations().iter().filter(|row| has_epoch_of(row, id)).map(table_of).collect();
    if !needed.is_empty() {
        Report::new(
            PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
            format!("entries that key {id} sealed may still stand in {}", needed.join(", ")),
        )
        .detail("To verify them the key is fetched again. Without it they are unverifiable, and so is the journal of that time.")
        .hint("Keep the key where it is fetched from, or in an archive, for as long as these entries are to be verified.")
        .notice();
    }
    format!("key {id} is retired")
}

fn table_of(registration: &Registration) -> String {
    relation::name_of(registration.relation)
}

fn epochs_of(registration: &Registration) -> Vec<Option<String>> {
    let stored = registry::epochs(registration.history, Sees::Stored);
    stored.iter().map(definition::key_id_named).collect()
}

fn seals_with(registration: &Registration, id: &str) -> bool {
    epochs_of(registration).last().is_some_and(|newest| newest.as_deref() == Some(id))
}

fn has_epoch_of(registration: &Registration, id: &str) -> bool {
    epochs_of(registration).iter().any(|of| of.as_deref() == Some(id))
}

/// One line of `seal.keys`.
pub struct KeyLine {
    pub id: String,
    pub known: KnownKey,
    pub state: String,
}

/// The keys that the journal knows, oldest first.
pub fn lines() -> Vec<KeyLine> {
    let (_, ring) = journal::judged(Sees::Stored);
    let in_force = definition::newest_key_id(Sees::Stored);
    let mut lines: Vec<KeyLine> = ring
        .into_iter()
        .map(|(id, known)| KeyLine { state: state(&id, &known, in_force.as_deref()), id, known })
        .collect();
    lines.sort_by_key(|line| key::number(&line.id));
    lines
}

fn state(id: &str, known: &KnownKey, in_force: Option<&str>) -> String {
    let role = match () {
        () if in_force == Some(id) => "in force",
        () if known.retired.is_some() => "retired",
        () => "verifies what it sealed",
    };
    let fault = match key::to_verify(id) {
        Ok(key) if key.fingerprint() == known.fingerprint => return role.to_owned(),
        Ok(key) => KeyFault::OtherKey { wanted: known.fingerprint.clone(), have: key.fingerprint() },
        Err(fault) => fault,
    };
    format!("{role}, not available: {fault}")
}
