//! What an answer rests on: how much was checked, and which newest entries are protected.

use super::audit::Audited;
use super::ends::Heads;
use super::run::Ask;
use super::since::Rest;
use crate::pg::{clock, server};
use crate::record::identity::origin;
use crate::record::journaled::Journaled;
use crate::seal::plan;
use pgseal_chain::{Known, Origin};

/// Which ends of chains something outside the table remembers.
pub struct Tails {
    chains: usize,
    /// Compared with the server's memory, or with an anchor that has the newest entry.
    protected: usize,
    /// Chains of other nodes, which nothing here protects.
    of_other_nodes: usize,
    /// Number and time of the newest anchor.
    newest_anchor: Option<(u64, i64)>,
}

impl Tails {
    pub fn of(heads: &Heads, known: &Known, newest_anchor: Option<(u64, i64)>) -> Tails {
        let is_protected =
            |chain: &[u8], highest: u64| known.heads.iter().any(|head| head.chain == chain && head.position >= highest);
        let here = plan::chain_prefix().ok().filter(|_| !server::in_recovery());
        let is_other = |chain: &[u8]| match (std::str::from_utf8(chain), &here) {
            (Ok(chain), Some(here)) => origin(chain, here) == Some(Origin::AnotherNode),
            _ => false,
        };
        let protected = heads.iter().filter(|(chain, (top, _))| !is_other(chain) && is_protected(chain, *top)).count();
        let of_other_nodes = heads.keys().filter(|chain| is_other(chain)).count();
        Tails { chains: heads.len() - of_other_nodes, protected, of_other_nodes, newest_anchor }
    }
}

/// What was read, and what it was compared with.
pub struct Grounds<'a> {
    pub audited: Option<&'a Audited>,
    pub tails: &'a Tails,
    /// The checkpoint that the answer rests on.
    pub rest: Option<&'a Rest>,
    /// There was one, used or not.
    pub had_checkpoint: bool,
}

/// The answer's `basis` column.
pub fn text(grounds: &Grounds<'_>, ask: Ask<'_>, journaled: Option<&Journaled>) -> String {
    let tails = grounds.tails;
    let mut basis = match grounds.rest {
        Some(rest) => grounds.rested(rest, ask),
        None => grounds.full(ask),
    };
    let anchor = tails
        .newest_anchor
        .map_or_else(|| "no anchor yet".to_owned(), |(number, at)| format!("anchor {number} of {}", clock::text(at)));
    basis.push_str(&match () {
        () if server::in_recovery() => format!("; this server only replays, newest entries compared with {anchor}"),
        () if tails.protected >= tails.chains => format!("; newest entries compared with the server's memory and {anchor}"),
        () => format!(
            "; newest entries compared with the server's memory and {anchor}; of {} chains the last seconds before a restart are not protected",
            tails.chains - tails.protected
        ),
    });
    if tails.of_other_nodes > 0 {
        let chains = tails.of_other_nodes;
        basis.push_str(&format!("; {chains} chains of other nodes: tail not protected here"));
    }
    let pruned: u64 = journaled.map_or(0, |journaled| journaled.cuts.values().map(|cut| cut.position).sum());
    if pruned > 0 {
        basis.push_str(&format!("; {pruned} older entries were pruned"));
    }
    if let Some(earlier) = journaled.map(|journaled| journaled.earlier.join(", ")).filter(|earlier| !earlier.is_empty())
    {
        basis.push_str(&format!("; the table was history {earlier} before it was attached anew"));
    }
    basis
}

impl Grounds<'_> {
    fn entries(&self) -> u64 {
        self.audited.map_or(0, |audited| audited.sums.entries())
    }

    /// Rows of the tenant, or of everybody.
    fn rows(&self) -> u64 {
        self.audited
            .map_or(0, |audited| audited.counts.iter().map(|count| count.entries).sum::<u64>() + audited.unsealed)
    }

    fn full(&self, ask: Ask<'_>) -> String {
        let checked = self.entries();
        let chains = self.tails.chains + self.tails.of_other_nodes;
        let mut basis = match ask.tenant {
            Some(_) => format!(
                "full verification of the whole history ({checked} authentic entries in {chains} chains), {} of this tenant",
                self.rows()
            ),
            None => format!("full verification: {checked} authentic entries in {chains} chains"),
        };
        if ask.may_rest() {
            basis.push_str(match self.had_checkpoint {
                true => "; the checkpoint did not answer this",
                false => "; there was no checkpoint to rest on",
            });
        }
        basis
    }

    fn rested(&self, rest: &Rest, ask: Ask<'_>) -> String {
        let checkpoint = &rest.checkpoint;
        let (at, run, since) = (clock::text(checkpoint.at), checkpoint.run, self.entries());
        let of_checkpoint =
            format!("checkpoint of {at} (run {run}: {} entries) plus {since} entries since", checkpoint.entries());
        match ask.tenant {
            Some(_) => {
                format!("{of_checkpoint}; {} of this tenant, each checked and compared with its census", self.rows())
            }
            None => format!("{of_checkpoint}; what the checkpoint has was not read again"),
        }
    }
}
