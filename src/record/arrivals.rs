//! Rows that logical replication brings into pgseal's own tables: journals and anchors of other nodes are taken in,
//! everything else is each node's own.

use super::identity::origin;
use super::tables::Table;
use super::{anchor, journal};
use crate::pg::error::Report;
use crate::pg::server;
use crate::pg::trigger::{Fired, NewTuple, TriggerCall};
use crate::seal::plan;
use crate::settings;
use pgrx::PgSqlErrorCode;
use pgseal_chain::Origin;

/// Lets a row in or leaves it out. Whatever does not come by logical replication goes on as it came.
pub fn judge(call: &TriggerCall<'_>) -> NewTuple {
    if !server::is_logical_worker() {
        return call.unchanged();
    }
    let table = Some(call.relation());
    let chain_column = match () {
        () if table == Table::Journal.oid() => journal::CHAIN,
        () if table == Table::Anchor.oid() => anchor::CHAIN,
        () => return call.nothing(),
    };
    let chain = call.row().get(chain_column).map(|value| value.to_text()).unwrap_or_default();
    let here = plan::chain_prefix().ok();
    match here.and_then(|here| origin(&chain, &here)) {
        Some(Origin::ThisPlace) => call.nothing(),
        Some(Origin::AnotherPlace) if call.fired() == Fired::BeforeInsertRow => refuse(&chain),
        _ => call.unchanged(),
    }
}

fn refuse(chain: &str) -> ! {
    let name = settings::chain_name();
    Report::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("two nodes are called \"{name}\" in pgseal.chain_name"),
    )
    .detail(format!("Replication brings chain \"{chain}\", which another server of that name has begun."))
    .hint(
        "Give this node a name of its own: ALTER SYSTEM SET pgseal.chain_name = 'NAME', restart; replication then goes on by itself.",
    )
    .raise()
}
