//! What both passes over a history share: the plan in the query, the columns, the tenant asked for.

use super::entry::{EntryChecker, Scratch, TenantColumn};
use crate::pg::error::Report;
use crate::pg::relation::Relation;
use crate::pg::row::Row;
use crate::pg::shared_memory;
use crate::pg::value::ColumnType;
use crate::pg::{spi, value::TypeOid};
use crate::record::checkpoint::CensusId;
use crate::record::columns::{self, Place, SealPlaces};
use crate::record::definition::Definition;
use crate::record::registry;
use crate::seal::document::DocumentPlan;
use pgrx::PgSqlErrorCode;
use pgseal_chain::{Census, HistoryId, RunSecret};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What every process of a run is told through the query's text. Nothing secret.
#[derive(Debug, Clone)]
pub struct PassPlan {
    pub relation: u32,
    pub tenant: Option<String>,
    /// Columns by which people name a row; the row's place in the table if it has no primary key.
    pub key_columns: Vec<String>,
    /// The entries are counted by tenant.
    pub census: Option<CensusId>,
    /// What a checkpoint stands for.
    pub since: Option<Since>,
}

/// What was verified before: which positions of each chain. Of that only the entries of the tenant
/// asked for are judged.
#[derive(Debug, Clone, Default)]
pub struct Since {
    /// By chain the last position that was pruned, and the last one that was verified.
    pub chains: BTreeMap<String, (u64, u64)>,
    /// Which rows are to be looked at, as an SQL condition on `h`; empty: all. Others may be.
    pub condition: String,
}

/// Arguments after the plan: the seal columns, the row's place in the table, then its columns.
const SEAL_FIRST: usize = 0;
const CTID: usize = 7;
const COLUMNS_FIRST: usize = 8;

/// Oids of the seal columns' types, in their order.
const SEAL_TYPES: [u32; 7] =
    [TypeOid::TEXT, TypeOid::INT8, TypeOid::INT4, TypeOid::INT8, TypeOid::TIMESTAMPTZ, TypeOid::BYTEA, TypeOid::BYTEA];

impl PassPlan {
    /// A query that runs `aggregate` over the history, `ordered` or as it comes.
    pub fn query(&self, aggregate: &str, table: &str, places: &[Place], ordered: bool) -> String {
        let seal = columns::SEAL_COLUMNS.map(|(name, _)| format!("h.{name}")).join(", ");
        let signed: String = places.iter().map(|place| format!(", h.{}", spi::identifier(&place.name))).collect();
        let order = if ordered { " ORDER BY h.seal_chain COLLATE \"C\" NULLS LAST, h.seal_seq NULLS LAST" } else { "" };
        // Only the ordered pass names rows. Asked for a system column, the scan would copy every row's values.
        let row_place = if ordered { "h.ctid" } else { "NULL::pg_catalog.tid" };
        format!(
            "SELECT seal.{aggregate}({}, {seal}, {row_place}{signed}{order}) FROM {table} h{}",
            spi::literal(&self.to_json()),
            self.since.as_ref().map_or("", |since| &since.condition)
        )
    }

    fn to_json(&self) -> String {
        json!({
            "relation": self.relation,
            "tenant": self.tenant,
            "key": self.key_columns,
            "census": self.census.as_ref().map(CensusId::to_json),
            "since": self.since.as_ref().map(|since| &since.chains),
        })
        .to_string()
    }

    fn parse(text: &str) -> Option<PassPlan> {
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        let keys = value.get("key")?.as_array()?;
        Some(PassPlan {
            relation: u32::try_from(value.get("relation")?.as_u64()?).ok()?,
            tenant: value.get("tenant")?.as_str().map(str::to_owned),
            key_columns: keys.iter().filter_map(|key| key.as_str().map(str::to_owned)).collect(),
            census: CensusId::parse(value.get("census")?),
            since: value.get("since")?.as_object().map(|chains| Since {
                chains: chains
                    .iter()
                    .filter_map(|(chain, of)| Some((chain.clone(), (of[0].as_u64()?, of[1].as_u64()?))))
                    .collect(),
                condition: String::new(),
            }),
        })
    }
}

/// One process's view of the history during a pass.
pub struct Pass {
    pub checker: EntryChecker,
    pub scratch: Scratch,
    pub plan: PassPlan,
    /// Some of pgseal's records were changed, so that entries of an unknown epoch prove nothing.
    pub records_altered: bool,
    /// A subscription brings rows of other nodes here. Only the ordered pass asks.
    pub is_receiving: bool,
    history: HistoryId,
    tenant: Option<TenantColumn>,
    whole: DocumentPlan,
    /// By place.
    seal_types: Vec<ColumnType>,
    key: Vec<(String, usize, ColumnType)>,
}

impl Pass {
    /// From the constant in the query, in the leader or a worker.
    pub fn begin(plan: &str) -> Pass {
        let opened = PassPlan::parse(plan).and_then(|plan| {
            let registration = registry::attached(plan.relation)?;
            Some((Relation::open(plan.relation)?.attributes(), registration, plan))
        });
        let Some((attributes, registration, plan)) = opened else { not_in_a_run() };
        let mut places = columns::signable(&attributes);
        for (offset, place) in places.iter_mut().enumerate() {
            place.index = COLUMNS_FIRST + offset;
        }
        let definition = Definition::load(registration);
        let tenant_name = tenant_column_name(&definition);
        Pass {
            checker: EntryChecker::new(&definition, &places, SealPlaces::consecutive(SEAL_FIRST)),
            scratch: Scratch::default(),
            records_altered: !definition.alterations.is_empty(),
            is_receiving: false,
            history: definition.registration.history,
            tenant: tenant_name.and_then(|name| TenantColumn::find(&name, &places)),
            seal_types: SEAL_TYPES.map(ColumnType::new).into(),
            whole: DocumentPlan::of_places(&places),
            key: key_columns(&plan, &places),
            plan,
        }
    }

    /// Whether the row stands for the tenant asked for; true if none was.
    pub fn is_of_tenant(&mut self, row: Row<'_>) -> bool {
        let Some(wanted) = &self.plan.tenant else { return true };
        match &self.tenant {
            Some(column) => column.write(row, &mut self.scratch.tenant) && self.scratch.tenant == wanted.as_bytes(),
            None => false,
        }
    }

    /// Replaces `out` by the row's tenant; `false` if it has none.
    pub fn find_tenant(&self, row: Row<'_>, out: &mut Vec<u8>) -> bool {
        self.tenant.as_ref().is_some_and(|column| column.write(row, out))
    }

    /// Of nobody, under the plan's key; `None` if none is asked for or the key is not at hand.
    pub fn new_census(&self) -> Option<Census> {
        Some(Census::new(self.plan.census.as_ref()?.key(self.history)?))
    }

    /// Digest of all that stands in the row; `None` where it cannot be printed.
    pub fn content(&self, row: Row<'_>) -> Option<[u8; 32]> {
        let mut document = Vec::new();
        self.whole.write(row, &mut document).ok()?;
        let mut digest = Sha256::new_with_prefix(&document);
        for (_, place) in self.checker.places.named() {
            let value = row.get(place);
            digest.update([u8::from(value.is_some())]);
            if let Some(value) = value {
                let mut text = Vec::new();
                self.seal_types[place].write_text(value, &mut text);
                digest.update(text);
            }
        }
        Some(digest.finalize().into())
    }

    /// How people find this row, as a JSON object.
    pub fn row_key(&self, row: Row<'_>) -> String {
        let mut text = Vec::from(b"{".as_slice());
        for (name, index, column) in &self.key {
            if text.len() > 1 {
                text.extend_from_slice(b", ");
            }
            // A key that cannot be printed is left out: the finding itself still says where.
            let _ = pgseal_document::write_string(name.as_bytes(), &mut text);
            text.extend_from_slice(b": ");
            match row.get(*index) {
                Some(value) if column.write_json(value, &mut text).is_ok() => {}
                _ => text.extend_from_slice(b"null"),
            }
        }
        text.push(b'}');
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// An SQL condition: the row's tenant prints as this text. Ask under pinned output.
pub fn prints_as(column: &str, tenant: &str) -> String {
    format!("pg_catalog.format('%s', {}) = {}", spi::identifier(column), spi::literal(tenant))
}

/// Today's name of the tenant column.
pub fn tenant_column_name(definition: &Definition) -> Option<String> {
    match definition.newest() {
        Some(epoch) => epoch.record.tenant_column.clone(),
        None => definition.registration.tenant_column.clone(),
    }
}

fn key_columns(plan: &PassPlan, places: &[Place]) -> Vec<(String, usize, ColumnType)> {
    let named: Vec<_> = plan
        .key_columns
        .iter()
        .filter_map(|name| places.iter().find(|place| place.name == *name))
        .map(|place| (place.name.clone(), place.index, ColumnType::new(place.type_oid)))
        .collect();
    match named.is_empty() {
        true => vec![("ctid".to_owned(), CTID, ColumnType::new(TypeOid::TID))],
        false => named,
    }
}

/// Whether this process takes part in a run.
pub fn is_running() -> bool {
    shared_memory::run_slot().active
}

/// The secret of the run that this process takes part in.
pub fn run_secret() -> RunSecret {
    if !is_running() {
        not_in_a_run();
    }
    RunSecret(shared_memory::run_slot().secret)
}

fn not_in_a_run() -> ! {
    Report::new(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, "a part of pgseal's verification was called on its own")
        .hint("Run: SELECT * FROM seal.verify_history().")
        .raise()
}
