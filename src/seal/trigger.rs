//! The seal trigger: one inserted row becomes one entry.

use super::error::SealError;
use super::heads::Head;
use super::plan::{self, SealPlan};
use super::transaction;
use crate::pg::clock;
use crate::pg::counters::{self, Counted};
use crate::pg::error::Report;
use crate::pg::trigger::{Fired, NewTuple, SealValue, TriggerCall};
use pgrx::PgSqlErrorCode;
use pgseal_chain::{Entry, document_digest};
use std::cell::RefCell;

/// Buffers used again for every row.
#[derive(Default)]
struct Scratch {
    document: Vec<u8>,
    tenant: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Seals the incoming row or ends the statement with an ERROR; never lets it through unsealed.
pub fn seal(call: &TriggerCall<'_>) -> NewTuple {
    let (leaf, function) = (call.relation(), call.function());
    let sealed = plan::of(leaf, function).and_then(|plan| match sealed(call, &plan) {
        Err(SealError::OlderEpoch { .. }) => sealed(call, &*plan::renewed(leaf, function)?),
        result => result,
    });
    sealed.unwrap_or_else(|error| error.refuse())
}

fn sealed(call: &TriggerCall<'_>, plan: &SealPlan) -> Result<NewTuple, SealError> {
    let table = || plan.table.clone();
    match call.fired() {
        Fired::BeforeInsertRow => {}
        Fired::BeforeUpdateRow if transaction::is_sealing_baseline(plan.root) => {}
        _ => return Err(SealError::WrongEvent { table: table() }),
    }
    if let Some(trigger) = &plan.later_trigger {
        return Err(SealError::LaterTrigger { table: table(), trigger: trigger.clone() });
    }
    if plan.seal_index.is_none() && call.fired() == Fired::BeforeInsertRow {
        return Err(SealError::NoIndex { table: table() });
    }
    let row = call.row();
    if let Some((column, _)) = plan.places.named().into_iter().find(|(_, place)| row.get(*place).is_some()) {
        return Err(SealError::SuppliedSealColumn { table: table(), column });
    }
    let turn = transaction::next_turn(plan)?;
    if turn.head.epoch > plan.epoch {
        return Err(SealError::OlderEpoch {
            table: table(),
            chain: turn.chain.to_string(),
            head: turn.head.epoch,
            known: plan.epoch,
        });
    }
    let position = turn.head.position + 1;
    let sealed_at = clock::now().max(turn.head.sealed_at).max(turn.anchor.at);
    let mac = SCRATCH.with_borrow_mut(|scratch| {
        let has_tenant = plan.tenant.as_ref().is_some_and(|tenant| tenant.write(row, &mut scratch.tenant));
        if let Err(malformed) = plan.document.write(row, &mut scratch.document) {
            unprintable(&plan.table, &malformed.to_string());
        }
        let salt = plan.keys.salts.salt(plan.history, turn.chain.as_bytes(), position);
        let entry = Entry {
            history: plan.history,
            chain: turn.chain.as_bytes(),
            position,
            epoch: plan.epoch as u32,
            anchor: turn.anchor.number,
            sealed_at,
            tenant: has_tenant.then_some(scratch.tenant.as_slice()),
            prev: &turn.head.mac,
            document_digest: document_digest(salt, &scratch.document),
        };
        entry.mac(&plan.keys.entries)
    });
    let places = &plan.places;
    let tuple = call.with_cells(&[
        (places.chain, SealValue::Text(&turn.chain)),
        (places.seq, SealValue::Int8(position as i64)),
        (places.epoch, SealValue::Int4(plan.epoch)),
        (places.anchor, SealValue::Int8(turn.anchor.number as i64)),
        (places.at, SealValue::Time(sealed_at)),
        (places.prev, SealValue::Mac(&turn.head.mac)),
        (places.mac, SealValue::Mac(&mac)),
    ]);
    transaction::advance(plan, Head { position, mac, sealed_at, epoch: plan.epoch });
    Ok(tuple)
}

fn unprintable(table: &str, reason: &str) -> ! {
    counters::count(Counted::InputErrors, 1);
    Report::new(
        PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        format!("the document of a row of history \"{table}\" cannot be written"),
    )
    .detail(format!("Reason: {reason}."))
    .hint("A document is the row as JSON text; it must be shorter than 1 GB.")
    .raise()
}
