//! The SQL functions of administration. Their definitions, comments and grants stand in
//! `sql/administration.sql`.

use super::attach::{self, Request};
use super::change::Renamed;
use super::error::AdminError;
use super::{change, detach, guard, preconditions, schedule};
use crate::pg::error::OrRaise;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;
use std::ffi::CStr;

#[pg_extern(sql = false, name = "attach")]
fn attach_history(
    history: Option<Oid>,
    tenant_column: Option<&CStr>,
    max_chains: Option<i32>,
    window_months: Option<i32>,
    existing: Option<&str>,
    history_id: Option<pgrx::Uuid>,
) -> String {
    // A value of type name is a NUL-terminated string.
    let tenant_column = tenant_column.map(CStr::to_string_lossy);
    attach::attach(&Request {
        relation: history.ok_or(AdminError::NoTable).or_raise().to_u32(),
        tenant_column: tenant_column.as_deref(),
        max_chains,
        window_months,
        existing: existing.unwrap_or("refuse"),
        history_id: history_id.map(|id| *id.as_bytes()),
    })
}

#[pg_extern(sql = false, name = "detach")]
fn detach_history(history: Oid) -> String {
    detach::detach(history.to_u32())
}

#[pg_extern(sql = false)]
fn set_schedule(history: Option<Oid>, expression: Option<&str>) -> String {
    schedule::set(history.ok_or(AdminError::NoTable).or_raise().to_u32(), expression)
}

#[pg_extern(sql = false)]
fn open_epoch(history: Oid) {
    preconditions::require_ownership(history.to_u32()).or_raise();
    change::follow(history.to_u32(), Renamed::TheOnlyOne, change::ATTACH);
    guard::accept_columns(history.to_u32());
}
