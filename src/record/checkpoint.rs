//! Checkpoints: up to where each chain of a history was verified, and a census of its tenants. The
//! journal has the digest of the newest one of each history; the table keeps no other.

use super::cut::Cut;
use super::identity::{self, mac, uuid_text};
use super::journal::{self, Act, Note};
use super::journaled::{self, Journaled};
use super::tables::{self, Table};
use crate::key::{self, KeyFault};
use crate::pg::row::Row;
use crate::pg::snapshot::Sees;
use crate::pg::value::{ColumnType, TypeOid};
use crate::pg::{clock, scan, spi, user};
use pgseal_chain::{Census, CensusKey, Commitment, HistoryId, Mac};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Which census it is: what its key is derived from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CensusId {
    pub nonce: [u8; 16],
    pub key_id: String,
}

impl CensusId {
    /// A new one, under the key in force.
    pub fn draw() -> Result<CensusId, KeyFault> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
        Ok(CensusId { nonce, key_id: key::current()?.id })
    }

    /// `None` if this server does not have its key.
    pub fn key(&self, history: HistoryId) -> Option<CensusKey> {
        let keys = key::to_verify(&self.key_id).ok()?.keys(history).ok()?;
        Some(CensusKey::derive(&keys, history, &self.nonce))
    }

    pub fn to_json(&self) -> Value {
        json!({"nonce": hex::encode(self.nonce), "key": self.key_id})
    }

    pub fn parse(value: &Value) -> Option<CensusId> {
        let mut nonce = [0; 16];
        hex::decode_to_slice(value["nonce"].as_str()?, &mut nonce).ok()?;
        Some(CensusId { nonce, key_id: value["key"].as_str()?.to_owned() })
    }
}

/// What a verification of a whole, intact history came to.
pub struct Draft {
    pub id: CensusId,
    pub census: Census,
    /// The highest position of each chain, with its mac.
    pub tops: BTreeMap<String, (u64, Mac)>,
    /// The newest anchor of each chain of anchors.
    pub anchors: BTreeMap<String, (u64, Mac)>,
    /// All that was pruned since was in the census.
    pub adds_up: bool,
    /// What other nodes pruned.
    pub pruned_elsewhere: BTreeMap<String, Cut>,
}

impl Draft {
    /// An entry was pruned.
    pub fn leave_out_one(&mut self, chain: &str, tenant: Option<&[u8]>, entry: &Cut) {
        self.adds_up &= self.census.remove(chain.as_bytes(), tenant, entry.position, &entry.mac);
    }

    /// All these entries were pruned.
    pub fn leave_out(&mut self, pruned: &Census) {
        self.adds_up &= self.census.subtract(pruned);
    }
}

/// How far one chain was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The last pruned position then; 0: none.
    pub cut: u64,
    pub position: u64,
    pub mac: Mac,
    /// By tenant; `None`: there were too many.
    pub census: Option<Vec<Commitment>>,
}

/// A history as a full verification found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Number of the run that made it.
    pub run: i64,
    /// µs since 2000-01-01 UTC.
    pub at: i64,
    pub id: CensusId,
    pub chains: BTreeMap<String, Reached>,
    /// The newest anchor of each chain of anchors then, with its mac.
    pub anchors: BTreeMap<String, (u64, Mac)>,
}

/// What the journal says of a history's newest checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    pub run: i64,
    /// Hex.
    pub digest: String,
}

impl Mention {
    pub fn parse(details: &Value) -> Option<Mention> {
        Some(Mention { run: details["run"].as_i64()?, digest: details["digest"].as_str()?.to_owned() })
    }
}

/// One row of `seal.checkpoint`.
struct Stored {
    /// As `jsonb::text` prints it.
    record: String,
}

impl Stored {
    fn digest(&self) -> String {
        identity::digest(&self.record)
    }
}

impl Checkpoint {
    fn of(draft: Draft, run: i64, cuts: &BTreeMap<String, Cut>) -> Option<Checkpoint> {
        let mut chains = BTreeMap::new();
        for (chain, (position, mac)) in draft.tops {
            let cut = cuts.get(&chain).map_or(0, |cut| cut.position);
            let census =
                (draft.adds_up && draft.census.is_complete()).then(|| draft.census.commitments(chain.as_bytes()));
            if cut < position {
                chains.insert(chain, Reached { cut, position, mac, census });
            }
        }
        let checkpoint = Checkpoint { run, at: clock::now(), id: draft.id, chains, anchors: draft.anchors };
        checkpoint.adds_up().then_some(checkpoint)
    }

    /// How many entries it stands for.
    pub fn entries(&self) -> u64 {
        self.chains.values().map(|reached| reached.position - reached.cut).sum()
    }

    /// Whether nothing was pruned since.
    pub fn is_current(&self, cuts: &BTreeMap<String, Cut>) -> bool {
        self.chains.iter().all(|(chain, reached)| cuts.get(chain).map_or(0, |cut| cut.position) == reached.cut)
    }

    /// Whether it says of each tenant which entries it has.
    pub fn has_census(&self) -> bool {
        self.chains.values().all(|reached| reached.census.is_some())
    }

    /// Only if all entries are in the census may somebody who is not in it have none.
    fn adds_up(&self) -> bool {
        self.chains.values().all(|reached| {
            let counted = reached.census.as_ref().map(|census| census.iter().map(|tally| tally.entries).sum::<u64>());
            reached.cut < reached.position && counted.is_none_or(|counted| counted == reached.position - reached.cut)
        })
    }

    fn to_json(&self) -> Value {
        let chain = |(chain, reached): (&String, &Reached)| {
            let census = reached.census.as_ref().map(|census| {
                let tally = |tally: &Commitment| {
                    let tenant = tally.tenant.as_deref().map(String::from_utf8_lossy);
                    json!([tenant, tally.entries, hex::encode(tally.mac)])
                };
                census.iter().map(tally).collect::<Vec<_>>()
            });
            let value = json!({
                "cut": reached.cut,
                "position": reached.position,
                "mac": hex::encode(reached.mac),
                "census": census,
            });
            (chain.clone(), value)
        };
        let anchors =
            self.anchors.iter().map(|(chain, (number, mac))| (chain.clone(), json!([number, hex::encode(mac)])));
        json!({
            "run": self.run,
            "at": self.at,
            "census": self.id.to_json(),
            "chains": self.chains.iter().map(chain).collect::<serde_json::Map<_, _>>(),
            "anchors": anchors.collect::<serde_json::Map<_, _>>(),
        })
    }

    fn parse(record: &str) -> Option<Checkpoint> {
        let value: Value = serde_json::from_str(record).ok()?;
        let chains = value["chains"].as_object()?.iter();
        let anchors = value["anchors"].as_object()?.iter();
        let checkpoint = Checkpoint {
            run: value["run"].as_i64()?,
            at: value["at"].as_i64()?,
            id: CensusId::parse(&value["census"])?,
            chains: chains.map(|(chain, of)| Some((chain.clone(), reached(of)?))).collect::<Option<_>>()?,
            anchors: anchors.map(|(chain, of)| Some((chain.clone(), anchor(of)?))).collect::<Option<_>>()?,
        };
        checkpoint.adds_up().then_some(checkpoint)
    }
}

fn reached(value: &Value) -> Option<Reached> {
    let census = match &value["census"] {
        Value::Null => None,
        census => Some(census.as_array()?.iter().map(commitment).collect::<Option<_>>()?),
    };
    Some(Reached {
        cut: value["cut"].as_u64()?,
        position: value["position"].as_u64()?,
        mac: mac(&value["mac"])?,
        census,
    })
}

fn anchor(value: &Value) -> Option<(u64, Mac)> {
    Some((value[0].as_u64()?, mac(&value[1])?))
}

fn commitment(value: &Value) -> Option<Commitment> {
    let tenant = match &value[0] {
        Value::Null => None,
        tenant => Some(tenant.as_str()?.as_bytes().to_vec()),
    };
    Some(Commitment { tenant, entries: value[1].as_u64()?, mac: mac(&value[2])? })
}

/// Stores what a run has verified, in the place of the checkpoint before, and journals its digest.
pub fn store(draft: Draft, history: HistoryId, table: &str, run: i64) {
    // With what this transaction pruned.
    let mut cuts = journaled::as_seen(Sees::Stored).remove(&history).unwrap_or_default().cuts;
    for (chain, cut) in &draft.pruned_elsewhere {
        let known = cuts.entry(chain.clone()).or_insert(*cut);
        *known = if known.position < cut.position { *cut } else { *known };
    }
    let Some(checkpoint) = Checkpoint::of(draft, run, &cuts) else { return };
    let stored = Stored { record: spi::jsonb_text(&checkpoint.to_json()) };
    user::with_rights_of(user::extension_owner(), || {
        spi::execute(&format!(
            "INSERT INTO seal.checkpoint (history_id, record) VALUES ({}, {}::pg_catalog.jsonb)
             ON CONFLICT (history_id) DO UPDATE SET record = EXCLUDED.record",
            spi::uuid_literal(&history.0),
            spi::literal(&stored.record)
        ));
    });
    journal::note(Note {
        act: Act::Checkpoint,
        history: Some(history),
        table: Some(table.to_owned()),
        sentence: format!(
            "run {run} made a checkpoint of {table}: {} entries in {} chains",
            checkpoint.entries(),
            checkpoint.chains.len()
        ),
        details: json!({"run": run, "digest": stored.digest()}),
    });
}

/// The history's newest checkpoint; `None`: it has none.
///
/// # Errors
/// A sentence on a checkpoint that is not the one that was made.
pub fn newest(history: HistoryId, journaled: &Journaled, sees: Sees) -> Result<Option<Checkpoint>, String> {
    let rows = stored(history, sees);
    match (&journaled.checkpoint, rows.as_slice()) {
        (None, []) => Ok(None),
        (None, _) => Err("a checkpoint of this history in seal.checkpoint is not in the journal".to_owned()),
        (Some(made), []) => Err(format!("the checkpoint that run {} made was removed from seal.checkpoint", made.run)),
        (Some(made), [row]) if row.digest() == made.digest => Ok(Checkpoint::parse(&row.record)),
        (Some(made), _) => Err(format!(
            "the checkpoint in seal.checkpoint is not the one that run {} made, or it stands there twice",
            made.run
        )),
    }
}

/// Sentences on checkpoints of histories that the journal does not know.
pub fn strays(known: &BTreeMap<HistoryId, Journaled>, sees: Sees) -> Vec<String> {
    let mut found = Vec::new();
    visit(sees, |history, _| {
        if !known.contains_key(&history) {
            let history = uuid_text(&history.0);
            found.push(format!(
                "a checkpoint of history {history}, which is not in the journal, stands in seal.checkpoint"
            ));
        }
    });
    found
}

/// What stands there for one history.
fn stored(history: HistoryId, sees: Sees) -> Vec<Stored> {
    let mut found = Vec::new();
    let jsonb = ColumnType::new(TypeOid::JSONB);
    visit(sees, |of, row| {
        if of == history {
            found.push(Stored { record: tables::jsonb_text(row, 1, &jsonb) });
        }
    });
    found
}

fn visit(sees: Sees, mut visitor: impl FnMut(HistoryId, Row<'_>)) {
    if let Some(open) = Table::Checkpoint.open() {
        scan::visit_as(&open, sees, |row| {
            visitor(HistoryId(row.get(0).map_or([0; 16], |value| value.as_uuid())), row);
        });
    }
}
