//! What the journal says of the database as a whole: recorded runs, pruned anchors, the clock.

use super::closing::JournaledStream;
use super::cut::{self, Cut};
use super::journal::{self, Act, Entry};
use super::timekeeping::Moment;
use crate::pg::snapshot::Sees;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overall {
    /// Digest of each recorded run, hex, by its number.
    pub runs: BTreeMap<i64, String>,
    /// The last pruned anchor of each chain of anchors.
    pub anchor_cuts: BTreeMap<String, Cut>,
    /// The latest moment at which somebody accepted what the clock had done until then.
    pub accepted_clock: Option<Accepted>,
    /// Streams of evolving secrets, in their order.
    pub streams: Vec<JournaledStream>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The chain of anchors, and the number of its newest one, at that moment.
    pub chain: String,
    pub number: u64,
    pub moment: Moment,
}

/// As `sees` shows it, with what this transaction did.
pub fn as_seen(sees: Sees) -> Overall {
    of(&journal::acts(sees))
}

/// `acts` come in their order.
pub fn of(acts: &[Entry]) -> Overall {
    let mut overall = Overall::default();
    for act in acts {
        overall.apply(act);
    }
    overall
}

impl Overall {
    fn apply(&mut self, act: &Entry) {
        let details = act.details();
        match Act::of_kind(&act.kind) {
            Some(Act::Verify) => {
                if let (Some(run), Some(digest)) = (details["run"].as_i64(), details["digest"].as_str()) {
                    self.runs.insert(run, digest.to_owned());
                }
            }
            Some(Act::Cut) => cut::take_over(&mut self.anchor_cuts, &details["anchors"]),
            Some(Act::Clock) => {
                let chain = details["chain"].as_str().map(str::to_owned);
                let accepted = chain.zip(details["number"].as_u64()).zip(Moment::parse(&details["moment"]));
                if let Some(((chain, number), moment)) = accepted {
                    self.accepted_clock = Some(Accepted { chain, number, moment });
                }
            }
            Some(Act::Stream) => self.streams.extend(JournaledStream::parse(act, &details)),
            _ => {}
        }
    }
}
