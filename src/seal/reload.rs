//! Finds a chain's newest entry in the table, where shared memory does not know it.

use super::error::SealError;
use super::heads::Head;
use crate::pg::index;
use crate::pg::relation::{self, Relation};
use crate::pg::snapshot::Sees;
use crate::record::columns::{self, SealPlaces};
use crate::record::definition::Definition;
use crate::record::{identity, registry};
use crate::seal::plan;
use crate::verify::entry::{EntryChecker, Judgement, Scratch};
use pgseal_chain::Mac;

/// What the table says of a chain.
#[derive(Debug, Clone, Copy)]
pub struct Reloaded {
    pub head: Head,
    /// A row that is not authentic stands above the newest entry.
    pub blocked: bool,
}

/// Looks leaf by leaf; the lock on each is released before the next is opened. A leaf without a
/// seal index could hide the newest entry, so it is an error.
pub fn reload(root: u32, chain: &str) -> Result<Reloaded, SealError> {
    newest_in(root, chain, relation::with_descendants(root).into_iter().filter_map(Relation::open))
}

/// The same without waiting for any lock; `None` where one was taken, or a leaf cannot be looked
/// through.
pub fn reload_at_once(root: u32, chain: &str) -> Option<Reloaded> {
    let leaves: Option<Vec<Relation>> =
        relation::with_descendants(root).into_iter().map(Relation::open_at_once).collect();
    newest_in(root, chain, leaves?.into_iter()).ok()
}

/// Whether the entry that something else remembers stands in its place. Waits for no lock; a table
/// that is locked counts as having it.
pub fn has_entry(root: u32, chain: &str, position: u64, mac: &Mac) -> bool {
    let Ok(wanted) = i64::try_from(position) else { return false };
    let mut found = false;
    for leaf in relation::with_descendants(root) {
        let Some(open) = Relation::open_at_once(leaf) else { return true };
        let places = SealPlaces::find(&open.attributes());
        if let (true, Some(seal_index), Some(places)) = (open.has_storage(), open.seal_index(), places) {
            index::visit(&open, seal_index, chain, Some(wanted), Sees::Stored, |row| {
                found |= row.get(places.mac).and_then(|value| value.as_mac()).as_ref() == Some(mac);
                !found
            });
        }
    }
    found
}

fn newest_in(root: u32, chain: &str, parts: impl Iterator<Item = Relation>) -> Result<Reloaded, SealError> {
    let mut best = Reloaded { head: Head::START, blocked: false };
    let mut highest_foreign = 0;
    let is_own = plan::chain_prefix().is_ok_and(|prefix| identity::is_of_place(chain, &prefix));
    let load = if is_own { Definition::load_own } else { Definition::load };
    let Some(definition) = registry::attached(root).map(load) else {
        return Err(SealError::NotAttached { table: relation::name_of(root) });
    };
    for open in parts.filter(Relation::has_storage) {
        let (foreign, newest) = top_of_leaf(&definition, &open, chain)
            .ok_or_else(|| SealError::NoIndex { table: relation::name_of(open.oid()) })?;
        highest_foreign = highest_foreign.max(foreign);
        if let Some(head) = newest.filter(|head| head.position > best.head.position) {
            best.head = head;
        }
    }
    best.blocked = highest_foreign > best.head.position;
    Ok(best)
}

/// The highest position of a row that is not authentic (0: none), and the newest entry; `None`
/// without a usable index.
fn top_of_leaf(definition: &Definition, open: &Relation, chain: &str) -> Option<(u64, Option<Head>)> {
    let attributes = open.attributes();
    let seal_index = open.seal_index()?;
    let places = SealPlaces::find(&attributes)?;
    let mut checker = None;
    let mut scratch = Scratch::default();
    let (mut foreign, mut newest) = (0, None);
    index::visit(open, seal_index, chain, None, Sees::Stored, |row| {
        let checker =
            checker.get_or_insert_with(|| EntryChecker::new(definition, &columns::signable(&attributes), places));
        let seal = checker.seal(row, &mut scratch);
        let authentic = seal.filter(|seal| {
            matches!(checker.judge(row, seal, &mut scratch), Judgement::Authentic | Judgement::UnknownContent(_))
        });
        match authentic {
            Some(seal) => {
                newest =
                    Some(Head { position: seal.position, mac: seal.mac, sealed_at: seal.sealed_at, epoch: seal.epoch });
                false
            }
            None => {
                let position = row.get(places.seq).and_then(|value| u64::try_from(value.as_i64()).ok());
                foreign = foreign.max(position.unwrap_or(0));
                true
            }
        }
    });
    Some((foreign, newest))
}
