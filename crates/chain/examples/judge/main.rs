//! Judges histories for the tests that ask real servers (`tests/equality`): one case per line in, one judgement per
//! line out, both JSON. Everything is computed anew from the rows and the key, by this crate alone.
//!
//! A judgement has three voices. `right` is the slow model: every mac recomputed, every chain walked row by row.
//! `unchanged` and `told` compare the rows with those that were sealed, which no verification can. `findings` is what
//! the locating pass makes of the rows. `names_another`: it has a key that is not the asker's. `needed`: an answer that
//! rests on the checkpoint must have it too, which is so unless it is about entries that the checkpoint covers (it is not
//! `since`) and that were never the asking tenant's.

mod entry;
mod input;
#[path = "../../tests/common/path.rs"]
mod path;
mod truth;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Write};

use input::{Case, Row};
use path::{Edge, is_right};
use pgseal_chain::{Authenticity, Finding, Findings, GENESIS, Known, Locator, Observed, Verdict};
use serde_json::{Value, json};
use truth::{Place, Truth};

fn main() {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a case is text");
        let judgement = judgement(&Case::read(&line).expect("a case is what input.rs describes"));
        writeln!(out, "{judgement}").and_then(|()| out.flush()).expect("somebody reads the judgement");
    }
}

fn judgement(case: &Case) -> Value {
    let truth = Truth::of(case);
    let tenants = std::iter::once(None).chain(case.tenants.iter().map(|tenant| Some(tenant.as_str())));
    let answers: Vec<Value> = tenants.map(|tenant| answer(case, &truth, tenant)).collect();
    json!({
        "right": right(case),
        "unchanged": truth.is_unchanged(),
        "since": truth.count_since(),
        "answers": answers,
    })
}

fn right(case: &Case) -> bool {
    let sealed = |row: &Row| entry::judge(case, row) == (Authenticity::Valid, None);
    let in_rows = case.rows.iter().filter_map(|row| row.chain.as_deref());
    let in_heads = case.heads.iter().filter_map(|head| std::str::from_utf8(&head.chain).ok());
    let chains: BTreeSet<&str> = in_rows.chain(in_heads).collect();
    case.rows.iter().all(sealed) && chains.into_iter().all(|chain| is_chain_right(case, chain))
}

fn is_chain_right(case: &Case, chain: &str) -> bool {
    let rows: Vec<&Row> = case.rows.iter().filter(|row| row.chain.as_deref() == Some(chain)).collect();
    let epochs: BTreeMap<Option<u64>, Option<i32>> = rows.iter().map(|row| (row.at(), row.epoch)).collect();
    let edge = |row: &&Row| Some(Edge { position: row.at()?, prev: row.prev()?, mac: row.mac()? });
    let edges: Option<Vec<Edge>> = rows.iter().map(edge).collect();
    let cut = case.cuts.iter().find(|cut| cut.chain == chain.as_bytes());
    let cut = cut.map_or((0, GENESIS), |cut| (cut.position, cut.mac));
    let head = case.heads.iter().find(|head| head.chain == chain.as_bytes());
    let head = head.and_then(|head| Some((head.position, head.mac?)));
    epochs.values().is_sorted() && edges.is_some_and(|edges| is_right(&edges, cut, head))
}

fn answer(case: &Case, truth: &Truth<'_>, tenant: Option<&str>) -> Value {
    let findings = locate(case, tenant);
    let of_tenant = |row: &&Row| tenant.is_none() || row.tenant.as_deref() == tenant;
    let entries = case.rows.iter().filter(of_tenant).count();
    json!({
        "tenant": tenant,
        "entries": entries,
        "verdict": Verdict::of(&findings, entries as u64).as_str(),
        "told": truth.concerns(tenant),
        "told_since": tenant.map_or(truth.concerns(None), |tenant| truth.concerns_since(tenant)),
        "findings": findings.list.iter().map(|finding| described(case, truth, tenant, finding)).collect::<Vec<_>>(),
    })
}

fn locate(case: &Case, tenant: Option<&str>) -> Findings<usize> {
    let known =
        Known { heads: case.heads.clone(), cuts: case.cuts.clone(), window_start: None, tenant_only: tenant.is_some() };
    let mut locator = Locator::new(known);
    for (number, row) in case.rows.iter().enumerate() {
        let (authenticity, foreign_content) = entry::judge(case, row);
        locator.observe(Observed {
            chain: row.chain.clone().map(String::into_bytes),
            position: row.position,
            epoch: row.epoch,
            sealed_at: row.sealed_at,
            prev: row.prev.clone(),
            mac: row.mac.clone(),
            authenticity,
            of_tenant: tenant.is_none() || row.tenant.as_deref() == tenant,
            key: Some(number),
            foreign_content,
        });
    }
    locator.finish()
}

fn described(case: &Case, truth: &Truth<'_>, tenant: Option<&str>, finding: &Finding<usize>) -> Value {
    let place = Place {
        chain: finding.chain.as_deref(),
        first: finding.position,
        last: finding.last_position,
        row: finding.key.and_then(|number| case.rows.get(number)),
    };
    let since = truth.is_since(&place);
    json!({
        "chain": finding.chain,
        "position": finding.position,
        "last_position": finding.last_position,
        "kind": finding.kind.as_str(),
        "row_key": place.row.filter(|_| finding.of_tenant).map(|row| &row.key),
        "expected": finding.expected,
        "found": finding.found,
        "detail": finding.detail,
        "names_another": place.row.is_some_and(|row| {
            finding.of_tenant && tenant.is_some() && row.tenant.as_deref() != tenant
        }),
        "since": since,
        "needed": since || tenant.is_none_or(|tenant| truth.is_about(tenant, &place)),
    })
}
