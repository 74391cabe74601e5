//! Lines of anchors for the world outside, and what this database still has of what a line saw.

use super::anchor::{self, Anchor, Heads};
use super::overall;
use crate::pg::error::Report;
use crate::pg::snapshot::Sees;
use pgrx::PgSqlErrorCode;
use pgseal_chain::{ANCHORS, WitnessLine, is_same_mac};

/// The line of an anchor, signed; `None` where its key is not at hand.
pub fn line(anchor: &Anchor, database: String) -> Option<WitnessLine> {
    let key = anchor::record_key(&anchor.key_id)?;
    let mut line = WitnessLine {
        database,
        chain: anchor.chain.clone(),
        number: anchor.number,
        at: anchor.at,
        full: anchor.complete,
        heads: Heads::parse(&anchor.heads)?.count(),
        key_id: anchor.key_id.clone(),
        anchor_mac: anchor.authentic_mac()?,
        mac: [0; 32],
    };
    line.sign(&key, ANCHORS);
    Some(line)
}

/// Reads a line that somebody kept; raises where it is none, or not one of this key.
pub fn read(text: &str) -> WitnessLine {
    let refuse = |message: &str, detail: String| -> ! {
        Report::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message)
            .detail(detail)
            .hint("Give the whole line as it was written, from the word pgseal-anchor to the end of its mac.")
            .raise()
    };
    let line = match WitnessLine::parse(text) {
        Ok(line) => line,
        Err(error) => refuse("this is not the line of a witness", format!("Reason: {error}.")),
    };
    let Some(key) = anchor::record_key(&line.key_id) else {
        refuse("the line of the witness cannot be judged", format!("This server does not have key {}.", line.key_id))
    };
    if !line.is_authentic(&key, ANCHORS) {
        refuse(
            "the line of the witness was not written with this server's key",
            "It was changed, or comes from a server with another key.".to_owned(),
        );
    }
    line
}

/// What became of the anchor that a line is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is there; these are the heads of all chains at that time.
    Present(Heads),
    /// There is none of this number; the newest is this.
    Gone { newest: u64 },
    /// Another one has its number.
    Replaced,
    /// It was pruned.
    Pruned,
}

/// Looks for the anchor of a line under the active snapshot.
pub fn look(line: &WitnessLine) -> Seen {
    let mut newest = 0;
    let mut found = None;
    let mut complete = false;
    let mut heads = Heads::default();
    anchor::visit(&line.chain, Sees::Snapshot, |anchor| {
        newest = newest.max(anchor.number);
        if anchor.number > line.number {
            return true;
        }
        let mac = anchor.authentic_mac();
        if anchor.number == line.number {
            found = Some(mac.is_some_and(|mac| is_same_mac(&mac, &line.anchor_mac)));
        }
        if found == Some(true) && mac.is_some() {
            heads.add_older(Heads::parse(&anchor.heads).unwrap_or_default());
            complete = anchor.complete;
        }
        found == Some(true) && !complete
    });
    let overall = overall::as_seen(Sees::Snapshot);
    let is_pruned = overall.anchor_cuts.get(&line.chain).is_some_and(|cut| line.number <= cut.position);
    match found {
        None if is_pruned => Seen::Pruned,
        Some(true) => Seen::Present(heads),
        Some(false) => Seen::Replaced,
        None => Seen::Gone { newest },
    }
}
