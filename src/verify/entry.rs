//! Is this row an entry that pgseal sealed, unchanged?

use crate::pg::row::Row;
use crate::pg::value::ColumnType;
use crate::record::columns::{Place, SealPlaces};
use crate::record::definition::{Definition, Epoch, EpochKeys};
use crate::record::nodes::Nodes;
use crate::seal::document::{DocumentPlan, MissingColumn};
use pgseal_chain::{Claim, Entry, HistoryId, Mac, verify_pair};
use std::cell::RefCell;

/// The tenant column of a layout.
pub struct TenantColumn {
    index: usize,
    column: ColumnType,
}

impl TenantColumn {
    pub fn find(name: &str, places: &[Place]) -> Option<TenantColumn> {
        let place = places.iter().find(|place| place.name == name)?;
        Some(TenantColumn { index: place.index, column: ColumnType::new(place.type_oid) })
    }

    /// Replaces `out` by the row's tenant; `false` if it has none.
    pub fn write(&self, row: Row<'_>, out: &mut Vec<u8>) -> bool {
        out.clear();
        match row.get(self.index) {
            Some(value) => {
                self.column.write_text(value, out);
                true
            }
            None => false,
        }
    }
}

/// A column that an epoch does not know: it must be empty, or hold the default it was added with.
struct UnknownColumn {
    name: String,
    index: usize,
    column: ColumnType,
    default: Option<String>,
}

struct EpochChecker {
    /// Place of the node that opened it among the other nodes; `None`: this one.
    node: Option<usize>,
    number: i32,
    keys: Option<EpochKeys>,
    document: Result<DocumentPlan, MissingColumn>,
    tenant: Option<Result<TenantColumn, MissingColumn>>,
    unknown: Vec<UnknownColumn>,
}

/// Buffers used again for every row.
#[derive(Default)]
pub struct Scratch {
    pub chain: Vec<u8>,
    pub tenant: Vec<u8>,
    document: Vec<u8>,
}

/// What the seal columns of a row say, if they are well-formed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seal {
    pub position: u64,
    pub epoch: i32,
    pub anchor: u64,
    pub sealed_at: i64,
    pub prev: Mac,
    pub mac: Mac,
}

/// A row of which all is known but whether its mac is right: two are judged at a time.
#[derive(Default)]
pub struct Waiting {
    pub seal: Seal,
    pub scratch: Scratch,
    /// Place of its epoch in the checker.
    epoch: usize,
    has_tenant: bool,
}

/// The judgement on one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    Authentic,
    /// Authentic, but this column has content that its epoch does not know.
    UnknownContent(String),
    Altered,
    NoSuchEpoch,
    /// Of a node whose journal, as far as it is here, does not have the epoch.
    NotArrived,
    NoKey,
    NoColumn(String),
}

/// Checks entries of one history in rows of one layout.
pub struct EntryChecker {
    history: HistoryId,
    epochs: Vec<EpochChecker>,
    nodes: Nodes,
    /// The chain that was asked for last, and its node.
    node_of: RefCell<(Vec<u8>, Option<usize>)>,
    pub places: SealPlaces,
}

impl EntryChecker {
    pub fn new(definition: &Definition, columns: &[Place], places: SealPlaces) -> EntryChecker {
        EntryChecker {
            history: definition.registration.history,
            epochs: epoch_checkers(definition, columns),
            nodes: definition.elsewhere.nodes.clone(),
            node_of: RefCell::default(),
            places,
        }
    }

    /// The seal columns, with the chain's name in `scratch.chain`; `None` if one is NULL or has a
    /// value that pgseal never writes.
    pub fn seal(&self, row: Row<'_>, scratch: &mut Scratch) -> Option<Seal> {
        let places = &self.places;
        let chain = row.get(places.chain)?;
        let seal = Seal {
            position: u64::try_from(row.get(places.seq)?.as_i64()).ok().filter(|position| *position > 0)?,
            epoch: row.get(places.epoch)?.as_i32(),
            anchor: u64::try_from(row.get(places.anchor)?.as_i64()).ok()?,
            sealed_at: row.get(places.at)?.as_i64(),
            prev: row.get(places.prev)?.as_mac()?,
            mac: row.get(places.mac)?.as_mac()?,
        };
        scratch.chain.clear();
        chain.with_bytes(|bytes| scratch.chain.extend_from_slice(bytes));
        Some(seal)
    }

    /// Judges the row under the epoch that it names. `scratch.chain` is the chain of `seal`.
    pub fn judge(&self, row: Row<'_>, seal: &Seal, scratch: &mut Scratch) -> Judgement {
        match self.epoch(seal.epoch, &scratch.chain) {
            Some(place) => self.judge_under(&self.epochs[place], row, seal, scratch),
            None if self.node_of(&scratch.chain).is_some() => Judgement::NotArrived,
            None => Judgement::NoSuchEpoch,
        }
    }

    /// Whether nothing is known of the node that the chain names.
    pub fn is_of_unknown_node(&self, chain: &[u8]) -> bool {
        str::from_utf8(chain).is_ok_and(|chain| self.nodes.is_unknown(chain))
    }

    /// Which other node a chain is of.
    fn node_of(&self, chain: &[u8]) -> Option<usize> {
        if self.nodes.others().is_empty() {
            return None;
        }
        let mut last = self.node_of.borrow_mut();
        if last.0 != chain {
            *last = (chain.to_vec(), str::from_utf8(chain).ok().and_then(|chain| self.nodes.find(chain)));
        }
        last.1
    }

    /// Place of the epoch of this number under which an entry of the chain was sealed. What this database was a copy of
    /// had the same epochs up to then.
    fn epoch(&self, number: i32, chain: &[u8]) -> Option<usize> {
        let of = |node| self.epochs.iter().position(|epoch| epoch.number == number && epoch.node == node);
        let node = self.node_of(chain);
        let is_past = node.is_some_and(|node| self.nodes.others()[node].is_past);
        of(node).or_else(|| if is_past { of(None) } else { None })
    }

    /// The other epoch under which the row is authentic, if its epoch number was changed.
    pub fn other_epoch(&self, row: Row<'_>, seal: &Seal, scratch: &mut Scratch) -> Option<i32> {
        self.epochs
            .iter()
            .filter(|epoch| epoch.number != seal.epoch)
            .find(|epoch| self.judge_under(epoch, row, seal, scratch) == Judgement::Authentic)
            .map(|epoch| epoch.number)
    }

    fn judge_under(&self, epoch: &EpochChecker, row: Row<'_>, seal: &Seal, scratch: &mut Scratch) -> Judgement {
        let Some(keys) = &epoch.keys else { return Judgement::NoKey };
        let has_tenant = match epoch.read(row, scratch) {
            Ok(has_tenant) => has_tenant,
            Err(judgement) => return judgement,
        };
        if !self.claim(epoch, keys, seal, scratch, has_tenant).verify() {
            return Judgement::Altered;
        }
        match epoch.unknown_content(row) {
            Some(column) => Judgement::UnknownContent(column.name.clone()),
            None => Judgement::Authentic,
        }
    }

    /// Keeps in `waiting` what is needed to judge a row whose seal is there already; `false` if it is not authentic
    /// whatever its mac, or cannot be judged.
    pub fn prepare(&self, row: Row<'_>, waiting: &mut Waiting) -> bool {
        let Some(place) = self.epoch(waiting.seal.epoch, &waiting.scratch.chain) else { return false };
        let epoch = &self.epochs[place];
        if epoch.keys.is_none() {
            return false;
        }
        let Ok(has_tenant) = epoch.read(row, &mut waiting.scratch) else { return false };
        waiting.epoch = place;
        waiting.has_tenant = has_tenant;
        epoch.unknown_content(row).is_none()
    }

    /// Whether rows that were prepared are authentic.
    pub fn judge_pair(&self, waiting: [&Waiting; 2]) -> [bool; 2] {
        let [Some(a), Some(b)] = waiting.map(|row| self.waiting_claim(row)) else { return [false; 2] };
        verify_pair([a, b])
    }

    /// [`EntryChecker::judge_pair`] for a row that was left over.
    pub fn judge_single(&self, waiting: &Waiting) -> bool {
        self.waiting_claim(waiting).is_some_and(|claim| claim.verify())
    }

    fn waiting_claim<'a>(&'a self, waiting: &'a Waiting) -> Option<Claim<'a>> {
        let epoch = self.epochs.get(waiting.epoch)?;
        Some(self.claim(epoch, epoch.keys.as_ref()?, &waiting.seal, &waiting.scratch, waiting.has_tenant))
    }

    fn claim<'a>(
        &self,
        epoch: &EpochChecker,
        keys: &'a EpochKeys,
        seal: &'a Seal,
        scratch: &'a Scratch,
        has_tenant: bool,
    ) -> Claim<'a> {
        let entry = Entry {
            history: self.history,
            chain: &scratch.chain,
            position: seal.position,
            epoch: epoch.number as u32,
            anchor: seal.anchor,
            sealed_at: seal.sealed_at,
            tenant: has_tenant.then_some(scratch.tenant.as_slice()),
            prev: &seal.prev,
            document_digest: [0; 32],
        };
        Claim { entry, document: &scratch.document, mac: seal.mac, key: &keys.entries, salt_key: &keys.salts }
    }
}

impl EpochChecker {
    /// Replaces tenant and document in `scratch` by the row's, and says whether it has a tenant; otherwise what the
    /// judgement is without them.
    fn read(&self, row: Row<'_>, scratch: &mut Scratch) -> Result<bool, Judgement> {
        let no_column = |missing: &MissingColumn| Judgement::NoColumn(missing.name.clone());
        let document = self.document.as_ref().map_err(no_column)?;
        let has_tenant = match &self.tenant {
            Some(tenant) => tenant.as_ref().map_err(no_column)?.write(row, &mut scratch.tenant),
            None => false,
        };
        document.write(row, &mut scratch.document).map_err(|_| Judgement::Altered)?;
        Ok(has_tenant)
    }

    fn unknown_content(&self, row: Row<'_>) -> Option<&UnknownColumn> {
        self.unknown.iter().find(|column| column.has_content(row))
    }
}

impl UnknownColumn {
    fn has_content(&self, row: Row<'_>) -> bool {
        let text = row.get(self.index).map(|value| {
            let mut text = Vec::new();
            self.column.write_text(value, &mut text);
            text
        });
        text.as_deref() != self.default.as_deref().map(str::as_bytes)
    }
}

/// For the epochs of this node, then for those of the others.
fn epoch_checkers(definition: &Definition, columns: &[Place]) -> Vec<EpochChecker> {
    let elsewhere = definition.elsewhere.definitions.iter().enumerate().map(|(place, other)| (Some(place), other));
    std::iter::once((None, definition))
        .chain(elsewhere)
        .flat_map(|(node, of)| {
            let checker = move |epoch| EpochChecker { node, ..epoch_checker(of, epoch, columns) };
            of.epochs.iter().map(checker)
        })
        .collect()
}

fn epoch_checker(definition: &Definition, epoch: &Epoch, columns: &[Place]) -> EpochChecker {
    let tenant = epoch.record.tenant_column.as_deref().map(|name| {
        let column = epoch.record.columns.iter().find(|column| column.name == name);
        let live = column.and_then(|column| definition.live(column)).map_or(name, |live| &live.name);
        TenantColumn::find(live, columns)
            .ok_or_else(|| MissingColumn { name: name.to_owned(), type_name: String::new() })
    });
    EpochChecker {
        node: None,
        number: epoch.number,
        keys: epoch.keys.clone(),
        document: DocumentPlan::of_epoch(definition, epoch, columns),
        tenant,
        unknown: unknown_columns(definition, epoch, columns),
    }
}

fn unknown_columns(definition: &Definition, epoch: &Epoch, columns: &[Place]) -> Vec<UnknownColumn> {
    let known: Vec<&str> = epoch
        .record
        .columns
        .iter()
        .filter_map(|column| definition.live(column))
        .map(|live| live.name.as_str())
        .collect();
    let default_of = |name: &str| {
        let newest = definition.newest()?;
        newest.record.columns.iter().find(|column| column.name == name)?.default.clone()
    };
    columns
        .iter()
        .filter(|place| !known.contains(&place.name.as_str()))
        .map(|place| UnknownColumn {
            name: place.name.clone(),
            index: place.index,
            column: ColumnType::new(place.type_oid),
            default: default_of(&place.name),
        })
        .collect()
}
