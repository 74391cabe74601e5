//! What pgseal signs, and how it finds out that something signed was changed.
//!
//! Pure Rust without PostgreSQL, so that a verifier outside the server can use the same code.
#![forbid(unsafe_code)]

mod audit;
mod by_name;
mod census;
mod chain_name;
mod closing;
mod encoding;
mod entry;
mod evolution;
mod finding;
mod internal;
mod keys;
mod locate;
mod named;
mod pair;
mod record;
mod steady;
mod wiped;
mod witness;

pub use audit::{Audit, ChainSum, RunSecret};
pub use census::{Census, CensusKey, Commitment, MAX_NAMES, MAX_TALLIES};
pub use chain_name::{ChainName, Origin, tag, valid_node_name};
pub use closing::{
    Closed, ClosingFlaw, ClosingKind, ClosingStep, Period, closing_digest, closing_mac, judge_closings, period_names,
};
pub use entry::{Entry, GENESIS, MAX_CHAIN_BYTES, Mac, document_digest, is_same_mac};
pub use evolution::{EvolvingSecret, PeriodKind, Stream};
pub use finding::{Finding, Findings, Kind, MAX_LISTED, Verdict};
pub use internal::{ANCHORS, AnchorEntry, JOURNAL, JournalEntry};
pub use keys::{
    EpochKey, HistoryId, HistoryKeys, KeyError, MAX_SECRET_BYTES, MIN_SECRET_BYTES, RecordKey, SaltKey, Secret,
};
pub use locate::{Authenticity, Cut, Head, Known, Locator, Observed};
pub use named::NamedAnchors;
pub use pair::{Claim, verify_pair};
pub use steady::{Believed, LONGEST_GAP, Seen, is_tolerable};
pub use wiped::on_wiped_stack;
pub use witness::{WitnessError, WitnessLine};
