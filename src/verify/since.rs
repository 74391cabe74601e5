//! Answers that rest on a checkpoint: only what was sealed since is read, and the entries of the tenant
//! asked for, which must be those of the census. Whatever does not fit leads to a full verification,
//! never to an answer.

use super::audit::Audited;
use super::ends::Heads;
use super::pass::Since;
use crate::pg::settings::PinnedPath;
use crate::pg::spi;
use crate::pg::value::TypeOid;
use crate::record::checkpoint::{Checkpoint, Reached};
use crate::record::columns::Place;
use crate::record::cut::Cut;
use pgseal_chain::{Census, HistoryId, Mac};
use std::collections::BTreeMap;
use std::rc::Rc;

/// A checkpoint that an answer may rest on.
pub struct Rest {
    pub checkpoint: Rc<Checkpoint>,
    tenant: Option<String>,
}

impl Rest {
    /// `None` if the checkpoint cannot answer this question: something was pruned since, or it does not
    /// know what each tenant has.
    pub fn on(checkpoint: Rc<Checkpoint>, cuts: &BTreeMap<String, Cut>, tenant: Option<&str>) -> Option<Rest> {
        let usable = checkpoint.is_current(cuts) && (tenant.is_none() || checkpoint.has_census());
        usable.then(|| Rest { checkpoint, tenant: tenant.map(str::to_owned) })
    }

    /// What the pass is to leave out. `column` is the tenant column.
    pub fn since(&self, column: Option<&Place>) -> Since {
        let of_chain = |(chain, reached): (&String, &Reached)| (chain.clone(), (reached.cut, reached.position));
        let chains = self.checkpoint.chains.iter().map(of_chain).collect();
        let of_tenant = match (&self.tenant, column) {
            (Some(tenant), Some(column)) => is_of_tenant(column, tenant),
            _ => Some("false".to_owned()),
        };
        let condition = of_tenant.map(|of_tenant| format!(" WHERE {of_tenant} OR {}", is_newer(&chains)));
        Since { chains, condition: condition.unwrap_or_default() }
    }

    /// Where each chain begins for a pass that leaves out what was verified.
    pub fn begins(&self, cuts: &BTreeMap<String, Cut>) -> Vec<pgseal_chain::Cut> {
        let mut begins: BTreeMap<&String, (u64, Mac)> =
            cuts.iter().map(|(chain, cut)| (chain, (cut.position, cut.mac))).collect();
        begins.extend(self.checkpoint.chains.iter().map(|(chain, reached)| (chain, (reached.position, reached.mac))));
        let begin = |(chain, (position, mac)): (&String, (u64, Mac))| pgseal_chain::Cut {
            chain: chain.clone().into_bytes(),
            position,
            mac,
        };
        begins.into_iter().map(begin).collect()
    }

    /// How many entries the tenant asked for had.
    pub fn of_tenant(&self) -> u64 {
        let tenant = self.tenant.as_deref().map(str::as_bytes);
        let tallies = self.checkpoint.chains.values().filter_map(|reached| reached.census.as_ref()).flatten();
        let of_tenant = tallies.filter(|tally| tenant.is_some() && tally.tenant.as_deref() == tenant);
        of_tenant.map(|tally| tally.entries).sum()
    }

    /// The newest entry of each chain that the checkpoint saw.
    pub fn heads(&self) -> Heads {
        let chains = self.checkpoint.chains.iter();
        chains.map(|(chain, reached)| (chain.clone().into_bytes(), (reached.position, reached.mac))).collect()
    }

    /// Whether the tenant has exactly the entries that it had when the checkpoint was made.
    pub fn fits_census(&self, audited: &Audited, history: HistoryId) -> bool {
        let Some(key) = self.checkpoint.id.key(history) else { return false };
        let empty = Census::new(key);
        let counted = audited.census.as_ref().unwrap_or(&empty);
        let Some(tenant) = self.tenant.as_deref().map(str::as_bytes) else { return true };
        self.checkpoint.chains.iter().all(|(chain, reached)| {
            let mut census = reached.census.iter().flatten();
            let commitment = census.find(|tally| tally.tenant.as_deref() == Some(tenant));
            counted.fits(chain.as_bytes(), Some(tenant), commitment)
        })
    }
}

/// Rows that no checkpoint has: above what it reached, at or below its cut, in chains that it does not know,
/// or at no place in a chain. The index on chain and position finds them; a pair of columns is only compared
/// from below, since as an upper bound it would not end the walk over the index.
fn is_newer(chains: &BTreeMap<String, (u64, u64)>) -> String {
    let names: Vec<String> = chains.keys().map(|chain| spi::literal(chain)).collect();
    let mut places = vec!["h.seal_chain IS NULL".to_owned()];
    match names.first() {
        Some(first) => places.push(format!("h.seal_chain < {first}")),
        None => places.push("true".to_owned()),
    }
    for (place, (name, (cut, position))) in names.iter().zip(chains.values()).enumerate() {
        let before = names.get(place + 1).map_or_else(String::new, |next| format!(" AND h.seal_chain < {next}"));
        places.push(format!("((h.seal_chain, h.seal_seq) > ({name}, {position}){before})"));
        places.push(format!("(h.seal_chain = {name} AND h.seal_seq <= {cut})"));
        places.push(format!("(h.seal_chain = {name} AND h.seal_seq IS NULL)"));
    }
    places.join(" OR ")
}

/// While alive, queries for what a checkpoint leaves to read go by index, however many rows the statistics expect
/// and whatever the session has turned off.
pub fn by_index() -> PinnedPath {
    PinnedPath::pin_with(&[(c"enable_seqscan", c"off"), (c"enable_indexscan", c"on"), (c"enable_bitmapscan", c"on")])
}

/// Rows whose tenant may print as this text; `None`: only looking at each row can tell.
fn is_of_tenant(column: &Place, tenant: &str) -> Option<String> {
    let name = spi::identifier(&column.name);
    let number = |range: std::ops::RangeInclusive<i64>| match tenant.parse::<i64>() {
        // Only what the type itself prints is the text of a value.
        Ok(number) if range.contains(&number) && number.to_string() == tenant => format!("h.{name} = {number}"),
        _ => "false".to_owned(),
    };
    match column.type_oid {
        TypeOid::TEXT | TypeOid::VARCHAR => {
            Some(format!("h.{name}::pg_catalog.text = {}::pg_catalog.text", spi::literal(tenant)))
        }
        TypeOid::BPCHAR => Some(format!("h.{name} = {}::pg_catalog.bpchar", spi::literal(tenant))),
        TypeOid::INT2 => Some(number(i64::from(i16::MIN)..=i64::from(i16::MAX))),
        TypeOid::INT4 => Some(number(i64::from(i32::MIN)..=i64::from(i32::MAX))),
        TypeOid::INT8 => Some(number(i64::MIN..=i64::MAX)),
        TypeOid::UUID => Some(match is_uuid(tenant) {
            true => format!("h.{name} = {}::pg_catalog.uuid", spi::literal(tenant)),
            false => "false".to_owned(),
        }),
        _ => None,
    }
}

/// As the type prints it.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        })
}
