//! The SQL functions of administration. Their definitions, comments and grants stand in
//! `sql/administration.sql`.

use super::attach::{self, Request};
use super::change::Renamed;
use super::error::AdminError;
use super::{change, clock, detach, guard, history_secret, hold, preconditions, rotation, schedule, window};
use crate::key::evolution::{self, EvolutionFault};
use crate::pg::clock::now as clock_now;
use crate::pg::error::OrRaise;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::iter::TableIterator;
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
        relation: named(history),
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

fn named(history: Option<Oid>) -> u32 {
    history.ok_or(AdminError::NoTable).or_raise().to_u32()
}

#[pg_extern(sql = false)]
fn set_window(history: Option<Oid>, months: Option<i32>) -> String {
    window::set(named(history), months)
}

#[pg_extern(sql = false)]
fn hold_entries(history: Option<Oid>, tenant: Option<&str>, reason: Option<&str>) -> String {
    hold::hold(named(history), tenant, reason.unwrap_or_default())
}

#[pg_extern(sql = false)]
fn release_entries(history: Option<Oid>, tenant: Option<&str>, reason: Option<&str>) -> String {
    hold::release(named(history), tenant, reason.unwrap_or_default())
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn hold_lines() -> TableIterator<
    'static,
    (
        name!(history, String),
        name!(tenant, Option<String>),
        name!(reason, String),
        name!(since, Option<TimestampWithTimeZone>),
        name!(held_by, String),
    ),
> {
    TableIterator::new(hold::lines().into_iter().map(|line| {
        let since = TimestampWithTimeZone::try_from(line.hold.at).ok();
        (line.history, line.tenant, line.hold.reason, since, line.hold.who)
    }))
}

#[pg_extern(sql = false)]
fn accept_clock(reason: Option<&str>) -> String {
    clock::accept(reason.unwrap_or_default())
}

#[pg_extern(sql = false)]
fn new_stream() -> String {
    let kind = evolution::kind().ok_or(EvolutionFault::Off).or_raise();
    evolution::draw_stream(kind, clock_now()).or_raise().text().to_string()
}

#[pg_extern(sql = false)]
fn rotate_key() -> String {
    rotation::rotate()
}

#[pg_extern(sql = false)]
fn retire_key(id: Option<&str>) -> String {
    rotation::retire(id.unwrap_or_default())
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn key_lines() -> TableIterator<
    'static,
    (
        name!(id, String),
        name!(fingerprint, String),
        name!(source, Option<String>),
        name!(created, Option<TimestampWithTimeZone>),
        name!(retired, Option<TimestampWithTimeZone>),
        name!(state, String),
    ),
> {
    TableIterator::new(rotation::lines().into_iter().map(|line| {
        let created = TimestampWithTimeZone::try_from(line.known.created).ok();
        let retired = line.known.retired.and_then(|at| TimestampWithTimeZone::try_from(at).ok());
        (line.id, line.known.fingerprint, line.known.source, created, retired, line.state)
    }))
}

#[pg_extern(sql = false, name = "history_secret")]
fn hand_out_history_secret(history: Option<Oid>) -> String {
    history_secret::hand_out(named(history))
}
