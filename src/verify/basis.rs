//! What an answer rests on: how much was checked, and which newest entries are protected.

use super::audit::Audited;
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
    pub fn of(audited: Option<&Audited>, known: &Known, newest_anchor: Option<(u64, i64)>) -> Tails {
        let sums: Vec<_> = audited.map(|audited| audited.sums.chains().collect()).unwrap_or_default();
        let is_protected =
            |chain: &[u8], highest: u64| known.heads.iter().any(|head| head.chain == chain && head.position >= highest);
        let here = plan::chain_prefix().ok().filter(|_| !server::in_recovery());
        let is_other = |chain: &[u8]| match (std::str::from_utf8(chain), &here) {
            (Ok(chain), Some(here)) => origin(chain, here) == Some(Origin::AnotherNode),
            _ => false,
        };
        let protected =
            sums.iter().filter(|(chain, sum)| !is_other(chain) && is_protected(chain, sum.highest_position)).count();
        let of_other_nodes = sums.iter().filter(|(chain, _)| is_other(chain)).count();
        Tails { chains: sums.len() - of_other_nodes, protected, of_other_nodes, newest_anchor }
    }
}

/// The answer's `basis` column.
pub fn text(audited: Option<&Audited>, tails: &Tails, tenant: Option<&str>, journaled: Option<&Journaled>) -> String {
    let rows =
        audited.map_or(0, |audited| audited.counts.iter().map(|count| count.entries).sum::<u64>() + audited.unsealed);
    let checked = audited.map_or(0, |audited| audited.sums.entries());
    let chains = tails.chains + tails.of_other_nodes;
    let mut basis = match tenant {
        Some(_) => format!(
            "full verification of the whole history ({checked} authentic entries in {chains} chains), {rows} of this tenant"
        ),
        None => format!("full verification: {checked} authentic entries in {chains} chains"),
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
