//! One visit of the worker to a database: what changed is anchored, the witness is told, the next run is planned.

use super::survey::Survey;
use super::{closing, runner, session, witness};
use crate::key::Key;
use crate::pg::error::Report;
use crate::pg::lock::{self, ChainLock};
use crate::pg::shared_memory::{self, DatabaseSlot};
use crate::pg::snapshot::Sees;
use crate::pg::{clock, spi, user, worker};
use crate::record::anchor::{self, Anchor};
use crate::record::{definition, registry, tables};
use crate::seal::heads::{self, Slot};
use crate::seal::newest_anchor::{self, NewestAnchor};
use crate::seal::plan;
use pgrx::PgSqlErrorCode;
use pgseal_chain::ANCHORS;
use std::collections::BTreeSet;

/// After so long an anchor is written even if nothing changed, µs: by their boot times the clock is judged.
pub const LONGEST_SILENCE: i64 = 86_400_000_000;

/// Every so many anchors one is complete.
const COMPLETE_EVERY: u64 = 1_000;

/// Durable on this server before it is published, whatever the defaults are; and never long in the way of
/// a shutdown, or so long that somebody else's statement would be ended as the victim of a deadlock.
const SETTINGS: &str = "SELECT pg_catalog.set_config(name, value, true)
    FROM (VALUES ('synchronous_commit', 'local'), ('lock_timeout', '300ms')) AS s (name, value)";

/// What a visit came to.
#[derive(Default)]
struct Made {
    anchor: Option<Anchor>,
    /// Chains that the anchor has, with their positions.
    anchored: Vec<(Slot, u64)>,
    /// Somebody else owns what could not be looked at.
    pending: bool,
    witness: Option<witness::NumberedLine>,
    /// Chains of other places may still grow.
    adopting: bool,
    /// Something could not be looked through.
    undiscovered: bool,
}

enum Outcome {
    /// Nothing was ever attached here.
    Nothing,
    Trouble(String),
    Made(Box<Made>),
}

/// The worker's life.
pub fn visit() {
    if let Err(message) = session::prepare() {
        note_trouble(&message);
        return log_trouble(message);
    }
    match worker::transaction(anchor_changes, note_trouble) {
        Outcome::Nothing => {
            if newest_anchor::slot().is_some() {
                let _ = newest_anchor::update(|slot| {
                    slot.dirty = false;
                    slot.pending = false;
                    slot.worked_at = clock::now();
                });
            }
        }
        Outcome::Trouble(message) => {
            let known = newest_anchor::slot().is_some_and(|slot| slot.trouble.get() == message);
            note_trouble(&message);
            if !known {
                log_trouble(message);
            }
        }
        Outcome::Made(made) => publish(*made),
    }
    closing::write();
    runner::plan_if_unknown();
}

fn publish(made: Made) {
    for (slot, position) in &made.anchored {
        heads::anchored(*slot, *position);
    }
    let newest = made.anchor.as_ref().and_then(Anchor::as_newest);
    let finish = |slot: &mut DatabaseSlot| {
        slot.pending = made.pending;
        slot.discovered = !made.undiscovered;
        slot.adopting = made.adopting;
        slot.completed |= made.anchor.is_some();
        slot.worked_at = clock::now();
        slot.trouble.set("");
    };
    let _ = match newest {
        Some(newest) => newest_anchor::publish(newest, finish),
        None => newest_anchor::update(finish),
    };
    if let Some(line) = made.witness {
        let _ = newest_anchor::update(witness::leave(line));
    }
}

fn note_trouble(message: &str) {
    let _ = newest_anchor::update(|slot| {
        slot.trouble.set(message);
        slot.dirty = false;
        slot.pending = true;
        slot.worked_at = clock::now();
    });
}

fn log_trouble(message: String) {
    Report::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "pgseal cannot write anchors")
        .detail(format!("Reason: {message}."))
        .hint("Run in this database: SELECT * FROM seal.check_setup() WHERE NOT ok.")
        .log();
}

/// Writes an anchor if anything changed.
fn anchor_changes() -> Outcome {
    if registry::catalog().is_none() {
        return Outcome::Nothing;
    }
    if let Some(problem) = tables::problems().into_iter().next() {
        return Outcome::Trouble(problem);
    }
    let Some(table) = anchor::table() else { return Outcome::Nothing };
    let registrations = registry::registrations();
    if registrations.is_empty() {
        return Outcome::Nothing;
    }
    let key = match definition::key_in_force() {
        Ok(key) => key,
        Err(fault) => return Outcome::Trouble(fault.to_string()),
    };
    if let Err(error) = key.follow() {
        log_trouble(format!("the id of the key in force cannot be kept for the next start: {error}"));
    }
    spi::execute(SETTINGS);
    // Another worker of the same database, left over by a launcher that broke down.
    if !lock::acquire(ChainLock::internal(table), false) {
        return Outcome::Made(Box::new(Made { pending: true, ..Made::default() }));
    }
    let place = plan::chain_prefix().and_then(|prefix| Ok((newest_anchor::newest(&prefix)?, prefix)));
    let (newest, prefix) = match place {
        Ok(place) => place,
        Err(error) => return Outcome::Trouble(error.to_string()),
    };
    let slot = newest_anchor::slot();
    let first = slot.is_none_or(|slot| !slot.discovered);
    // Before the heads are read: what is committed from now on marks the database again.
    let _ = newest_anchor::update(|slot| slot.dirty = false);
    let mut survey = Survey::default();
    let may_adopt = newest.number == 0 || slot.is_some_and(|slot| slot.adopting);
    if first || may_adopt {
        survey.known = anchor::state(&prefix, Sees::Stored);
    }
    let was_adopting = survey.known.adopting;
    let adopt = newest.number == 0 || was_adopting;
    survey.heads.adopting = adopt && has_prepared_elsewhere(&prefix);
    survey.pending |= survey.heads.adopting;
    if first || adopt {
        // Their entries are in no memory and cannot be seen yet. Asked first: they may be committed meanwhile.
        survey.undiscovered |= has_prepared_before(&spi::time_literal(shared_memory::read_launcher().since));
        survey.discover(&registrations, &prefix, adopt);
    }
    survey.heads.adopting |= adopt && survey.undiscovered;
    survey.reload_journal(&prefix);
    survey.reload(&registrations, &prefix);
    survey.collect(&prefix);
    let complete = slot.is_none_or(|slot| !slot.completed) || (newest.number + 1) % COMPLETE_EVERY == 0;
    let adopting_ends = was_adopting && !survey.heads.adopting;
    let is_late = newest.number > 0 && clock::now() - newest.at >= LONGEST_SILENCE;
    Outcome::Made(Box::new(write(
        survey,
        &prefix,
        newest,
        complete,
        adopting_ends || is_late || closing::is_due(),
        &key,
    )))
}

/// Whether a transaction is open that was prepared before this place had its first anchor.
fn has_prepared_elsewhere(prefix: &str) -> bool {
    let first = format!("(SELECT pg_catalog.min(at) FROM seal.anchor WHERE chain = {})", spi::literal(prefix));
    has_prepared_before(&format!("COALESCE({first}, pg_catalog.now())"))
}

fn has_prepared_before(time: &str) -> bool {
    !spi::execute(&format!(
        "SELECT FROM pg_catalog.pg_prepared_xacts
          WHERE database = pg_catalog.current_database() AND prepared < {time}"
    ))
    .is_empty()
}

/// `force`: also where no head changed.
fn write(mut survey: Survey, prefix: &str, newest: NewestAnchor, complete: bool, force: bool, key: &Key) -> Made {
    let mut made = Made { anchored: std::mem::take(&mut survey.anchored), pending: survey.pending, ..Made::default() };
    made.adopting = survey.heads.adopting;
    made.undiscovered = survey.undiscovered;
    made.pending |= survey.undiscovered;
    if survey.heads.is_empty() && !force {
        made.witness = witness::line_that_is_due(anchor::published(prefix, newest).as_ref());
        return made;
    }
    if complete {
        survey.heads.add_older(anchor::state(prefix, Sees::Stored));
    }
    let mut anchor = Anchor {
        chain: prefix.to_owned(),
        number: free_number(prefix, newest.number),
        at: clock::now().max(newest.at).max(survey.newest_at),
        complete,
        heads: spi::jsonb_text(&survey.heads.to_json()),
        boot: clock::boot_id(),
        boot_time: clock::since_boot(),
        key_id: key.id.clone(),
        prev: newest.mac.to_vec(),
        mac: Vec::new(),
        malformed: false,
    };
    anchor.mac = anchor.expected_mac(&key.keys(ANCHORS).record_key()).to_vec();
    user::with_rights_of(user::extension_owner(), || insert(&anchor));
    made.witness = witness::line_that_is_due(Some(&anchor));
    made.anchor = Some(anchor);
    made
}

/// The first number above this one that no row has; one that has it is a forgery, which
/// verification names.
fn free_number(prefix: &str, above: u64) -> u64 {
    let mut taken = BTreeSet::new();
    anchor::visit(prefix, Sees::Stored, |anchor| {
        taken.insert(anchor.number);
        anchor.number > above
    });
    (above + 1..).find(|number| !taken.contains(number)).unwrap_or(above + 1)
}

fn insert(anchor: &Anchor) {
    spi::execute(&format!(
        "INSERT INTO seal.anchor (chain, number, at, complete, heads, boot, boot_time, key, prev, mac)
         VALUES ({}, {}, {}, {}, {}::pg_catalog.jsonb, {}, {}, {}, {}, {})",
        spi::literal(&anchor.chain),
        anchor.number,
        spi::time_literal(anchor.at),
        anchor.complete,
        spi::literal(&anchor.heads),
        spi::literal(&anchor.boot),
        anchor.boot_time,
        spi::literal(&anchor.key_id),
        spi::bytea_literal(&anchor.prev),
        spi::bytea_literal(&anchor.mac),
    ));
}
