//! Does the clock agree with what the machine counted? Whoever sets it a year ahead would have
//! everything pruned.
//!
//! Each anchor has both: the time of day, and the time since the operating system's boot. Between two
//! anchors of one boot both must have advanced alike; between boots nothing was counted, so that only
//! a short gap is believed.

use super::anchor;
use super::journal;
use super::nodes::Nodes;
use super::overall::{Accepted, Overall};
use crate::pg::clock;
use crate::pg::snapshot::Sees;
use pgseal_chain::{LONGEST_GAP, is_tolerable};
use serde_json::{Value, json};

const SECOND: i64 = 1_000_000;

/// What clock and machine said at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// µs since 2000-01-01 UTC.
    pub at: i64,
    /// The operating system's id of its boot.
    pub boot: String,
    /// µs since then.
    pub boot_time: i64,
}

impl Moment {
    pub fn now() -> Moment {
        Moment { at: clock::now(), boot: clock::boot_id(), boot_time: clock::since_boot() }
    }

    pub fn to_json(&self) -> Value {
        json!({"at": self.at, "boot": self.boot, "boot_time": self.boot_time})
    }

    pub fn parse(value: &Value) -> Option<Moment> {
        Some(Moment {
            at: value["at"].as_i64()?,
            boot: value["boot"].as_str()?.to_owned(),
            boot_time: value["boot_time"].as_i64()?,
        })
    }
}

/// How the clock disagrees, in a sentence; `None` if it does not. `prefix` names this place's chain of
/// anchors.
pub fn disagreement(prefix: &str, overall: &Overall, sees: Sees) -> Option<String> {
    let accepted = overall.accepted_clock.as_ref().filter(|accepted| accepted.chain == prefix);
    let mut trail = Trail::default();
    for before in [before_this_place(prefix, sees), first_act(prefix, sees)].into_iter().flatten() {
        trail.add(before);
    }
    let mut moments = Vec::new();
    anchor::visit(prefix, sees, |anchor| {
        if anchor.is_authentic() {
            moments.push((anchor.number, Moment { at: anchor.at, boot: anchor.boot, boot_time: anchor.boot_time }));
        }
        true
    });
    if moments.is_empty() {
        return Some("there is no anchor yet, so that nothing confirms the clock".to_owned());
    }
    for (number, moment) in moments.into_iter().rev() {
        match accepted.filter(|accepted| number <= accepted.number) {
            Some(_) => trail.skip(moment),
            None => {
                trail.accept(accepted);
                trail.add(moment);
            }
        }
    }
    trail.accept(accepted);
    trail.add(Moment::now());
    trail.jump
}

/// The newest anchor of an earlier place: what this one goes on from.
fn before_this_place(prefix: &str, sees: Sees) -> Option<Moment> {
    let mut newest: Option<Moment> = None;
    let (nodes, _) = Nodes::known(sees);
    let is_other = |chain: &String| chain != prefix && !nodes.is_strange(chain);
    for chain in anchor::chains(sees).into_iter().filter(is_other) {
        anchor::visit(&chain, sees, |anchor| {
            let authentic = anchor.is_authentic();
            if authentic && newest.as_ref().is_none_or(|newest| newest.at < anchor.at) {
                newest = Some(Moment { at: anchor.at, boot: anchor.boot, boot_time: anchor.boot_time });
            }
            !authentic
        });
    }
    newest
}

/// What was journaled first in this place: a time of day alone.
fn first_act(prefix: &str, sees: Sees) -> Option<Moment> {
    let entries = journal::stored(sees);
    let first = entries.iter().find(|entry| entry.chain == prefix && entry.is_authentic())?;
    Some(Moment { at: first.at, boot: String::new(), boot_time: 0 })
}

/// Moments in their order.
#[derive(Default)]
struct Trail {
    /// The first moment of the current boot, or since the clock was accepted.
    base: Option<Moment>,
    last: Option<Moment>,
    has_accepted: bool,
    jump: Option<String>,
}

impl Trail {
    /// A moment that is out of question.
    fn skip(&mut self, moment: Moment) {
        self.base = None;
        self.jump = None;
        self.last = Some(moment);
    }

    /// What comes now is measured by the moment of acceptance.
    fn accept(&mut self, accepted: Option<&Accepted>) {
        if let Some(accepted) = accepted.filter(|_| !self.has_accepted) {
            self.has_accepted = true;
            self.jump = None;
            self.base = Some(accepted.moment.clone());
        }
    }

    fn add(&mut self, moment: Moment) {
        // An anchor is never older than the one before it: while the clock is behind, its time stands still.
        let stands_still = self.last.as_ref().is_some_and(|last| last.at == moment.at);
        let before = self.base.as_ref().or(self.last.as_ref());
        let jump = before.filter(|_| !stands_still).and_then(|before| match before.boot == moment.boot {
            true => disagree(before, &moment),
            false => gap(self.last.as_ref().unwrap_or(before), &moment),
        });
        let is_new_boot = before.is_none_or(|before| before.boot != moment.boot);
        if (is_new_boot || jump.is_some()) && !stands_still {
            self.base = Some(moment.clone());
        }
        self.last = Some(moment);
        self.jump = jump.or(self.jump.take());
    }
}

fn disagree(before: &Moment, after: &Moment) -> Option<String> {
    let (passed, counted) = (after.at - before.at, after.boot_time - before.boot_time);
    let difference = passed - counted;
    (!is_tolerable(difference, counted)).then(|| {
        let direction = if difference > 0 { "ahead" } else { "back" };
        format!(
            "between {} and {} the clock was set {direction} by {}",
            clock::text(before.at),
            clock::text(after.at),
            duration(difference.abs())
        )
    })
}

/// From the last that was heard of one boot to the start of the next one, whose time since then was counted.
fn gap(before: &Moment, after: &Moment) -> Option<String> {
    let passed = after.at - after.boot_time - before.at;
    (passed > LONGEST_GAP).then(|| {
        format!(
            "the machine was started anew, and its clock says that {} had passed since {}, which nothing confirms",
            duration(passed),
            clock::text(before.at)
        )
    })
}

fn duration(micros: i64) -> String {
    let seconds = micros / SECOND;
    match seconds {
        0..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
