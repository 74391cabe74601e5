//! What a backend knows of a history to seal its rows: looked up once per table, kept until the
//! table's definition changes.

use super::document::DocumentPlan;
use super::error::SealError;
use super::heads::Slot;
use crate::key::{self, KeyFault};
use crate::pg::relation::{self, Relation};
use crate::pg::server;
use crate::record::columns::{self, Place, SealPlaces};
use crate::record::definition::{Definition, Epoch, EpochKeys};
use crate::record::registry;
use crate::settings;
use crate::verify::entry::TenantColumn;
use pgseal_chain::HistoryId;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Everything about one table (a leaf of a partitioned history) that sealing a row needs.
pub struct SealPlan {
    /// The table whose rows are sealed.
    pub leaf: u32,
    /// The history: the leaf itself, or the root above it.
    pub root: u32,
    /// Oid of `seal.history`, for the chain's lock.
    pub catalog: u32,
    pub table: String,
    pub history: HistoryId,
    pub epoch: i32,
    pub keys: EpochKeys,
    pub document: DocumentPlan,
    pub tenant: Option<TenantColumn>,
    pub places: SealPlaces,
    pub seal_index: Option<u32>,
    pub max_chains: Option<u32>,
    /// `node.tag`: what the names of all its chains begin with.
    pub chain_prefix: String,
    /// Name of a BEFORE INSERT trigger that fires after the seal trigger.
    pub later_trigger: Option<String>,
    /// The chain that this backend's transactions owned last, which they mostly do again.
    familiar: RefCell<Option<FamiliarChain>>,
}

/// What a backend need not look for again to own a chain.
#[derive(Clone)]
pub struct FamiliarChain {
    pub name: Rc<str>,
    pub slot: Slot,
}

thread_local! {
    static PLANS: RefCell<BTreeMap<u32, Rc<SealPlan>>> = const { RefCell::new(BTreeMap::new()) };
    static GENERATION: Cell<u64> = const { Cell::new(0) };
}

/// Forgets what was cached about a table, or everything. Runs inside the server's invalidation:
/// touches nothing but the cache.
pub fn forget(relation: Option<u32>) {
    GENERATION.set(GENERATION.get() + 1);
    let _ = PLANS.try_with(|plans| {
        if let Ok(mut plans) = plans.try_borrow_mut() {
            plans.retain(|_, plan| relation.is_some_and(|changed| plan.leaf != changed && plan.root != changed));
        }
    });
}

/// The plan for a table, from the cache or made now. `trigger` is the oid of the seal trigger's
/// function.
pub fn of(leaf: u32, trigger: u32) -> Result<Rc<SealPlan>, SealError> {
    if let Some(plan) = PLANS.with_borrow(|plans| plans.get(&leaf).cloned()) {
        return Ok(plan);
    }
    let before = GENERATION.get();
    let plan = Rc::new(SealPlan::make(leaf, trigger)?);
    if GENERATION.get() == before {
        PLANS.with_borrow_mut(|plans| plans.insert(leaf, Rc::clone(&plan)));
    }
    Ok(plan)
}

/// The plan as the records are now, although the server has not said yet that they changed.
pub fn renewed(leaf: u32, trigger: u32) -> Result<Rc<SealPlan>, SealError> {
    forget(Some(leaf));
    of(leaf, trigger)
}

impl SealPlan {
    fn make(leaf: u32, trigger: u32) -> Result<SealPlan, SealError> {
        let root = relation::root_of(leaf);
        let table = relation::name_of(leaf);
        let (Some(open), Some(catalog)) = (Relation::open(leaf), registry::catalog()) else {
            return Err(SealError::NotAttached { table });
        };
        let Some(registration) = registry::attached(root) else {
            return Err(SealError::NotAttached { table });
        };
        if let Err(fault) = key::may_seal() {
            return Err(SealError::NoKey { table, fault });
        }
        let max_chains = registration.max_chains.and_then(|chains| u32::try_from(chains).ok());
        let history = registration.history;
        let definition = Definition::to_seal(registration);
        if let Some(fault) = definition.key_fault.clone() {
            return Err(SealError::NoKey { table, fault });
        }
        if let Some(alteration) = definition.alterations.first() {
            return Err(SealError::Altered { table, sentence: alteration.sentence.clone() });
        }
        let attributes = open.attributes();
        let places = columns::signable(&attributes);
        let Some(seal_places) = SealPlaces::find(&attributes) else {
            return Err(SealError::ColumnsDiffer { table, detail: "A seal column is missing.".into() });
        };
        let epoch = definition.newest().ok_or_else(|| SealError::NotAttached { table: table.clone() })?;
        let document = sealable_document(&definition, epoch, &places, &table)?;
        let tenant = tenant_column(epoch, &places, &table)?;
        let Some(keys) = epoch.keys.clone() else {
            let fault = key::by_id(&epoch.record.key_id).err().unwrap_or(KeyFault::NotConfigured);
            return Err(SealError::NoKey { table, fault });
        };
        Ok(SealPlan {
            leaf,
            root,
            catalog,
            history,
            epoch: epoch.number,
            keys,
            document,
            tenant,
            places: seal_places,
            seal_index: open.seal_index(),
            max_chains,
            chain_prefix: chain_prefix()?,
            later_trigger: later_trigger(&open, trigger),
            familiar: RefCell::new(None),
            table,
        })
    }

    /// The chain with this number, if it is the one owned last.
    pub fn familiar(&self, number: u32) -> Option<FamiliarChain> {
        self.familiar.borrow().as_ref().filter(|chain| chain.slot.chain() == number).cloned()
    }

    pub fn make_familiar(&self, chain: FamiliarChain) {
        self.familiar.replace(Some(chain));
    }
}

/// The signed columns must be exactly the table's: one that nobody signs could be changed freely.
fn sealable_document(
    definition: &Definition,
    epoch: &Epoch,
    places: &[Place],
    table: &str,
) -> Result<DocumentPlan, SealError> {
    let differ = |detail: String| SealError::ColumnsDiffer { table: table.to_owned(), detail };
    if let Some(new) = places.iter().find(|place| !epoch.record.columns.iter().any(|known| known.name == place.name)) {
        return Err(differ(format!("Column \"{}\" is not part of epoch {}.", new.name, epoch.number)));
    }
    DocumentPlan::of_epoch(definition, epoch, places).map_err(|missing| {
        differ(format!("Column \"{}\" of type {} is missing or has another type.", missing.name, missing.type_name))
    })
}

fn tenant_column(epoch: &Epoch, places: &[Place], table: &str) -> Result<Option<TenantColumn>, SealError> {
    let Some(name) = &epoch.record.tenant_column else { return Ok(None) };
    TenantColumn::find(name, places).map(Some).ok_or_else(|| SealError::ColumnsDiffer {
        table: table.to_owned(),
        detail: format!("The tenant column \"{name}\" is missing."),
    })
}

/// `node.tag`: new after a promotion, a restore beside the original and in a copied database.
pub fn chain_prefix() -> Result<String, SealError> {
    let node = settings::chain_name();
    if !pgseal_chain::valid_node_name(&node) {
        return Err(SealError::BadChainName { name: node });
    }
    let tag = pgseal_chain::tag(server::system_identifier(), server::timeline(), server::database());
    Ok(format!("{node}.{tag}"))
}

/// Name of one of a node's chains.
pub fn chain_name(prefix: &str, number: u32) -> String {
    if number == 0 { prefix.to_owned() } else { format!("{prefix}/{number}") }
}

fn later_trigger(open: &Relation, seal_function: u32) -> Option<String> {
    let triggers = open.triggers();
    let seal = triggers.iter().position(|trigger| trigger.before_insert_row && trigger.function == seal_function)?;
    triggers[seal + 1..]
        .iter()
        .find(|trigger| trigger.before_insert_row && !trigger.disabled)
        .map(|trigger| String::from_utf8_lossy(&trigger.name).into_owned())
}
