//! A report as JSON: the same facts, whole.

use super::facts::{Change, Facts, Found, HistoryFacts};
use super::gather::is_journal_altered;
use super::life::Life;
use super::runs::{Run, Runs};
use super::words;
use crate::pg::clock;
use crate::record::identity::uuid_text;
use crate::verify::recorded;
use serde_json::{Value, json};

/// Version of the format; one that leaves out or changes what another has, has another number.
const VERSION: u32 = 1;

/// An object that is still open: its last members come with the signature.
pub fn render(facts: &Facts) -> String {
    let members = [
        ("pgseal_report", json!(VERSION)),
        ("headline", json!(words::headline(facts))),
        ("verdict", json!(facts.verdict.as_str())),
        ("meaning", json!(words::meaning(facts))),
        ("made", made(facts)),
        ("server", server(facts)),
        ("asked", asked(facts)),
        ("previous", previous(facts)),
        ("histories", facts.histories.iter().map(|of| history(facts, of)).collect()),
        ("changes", facts.changes.iter().map(change).collect()),
        ("changes_complete", json!(!facts.histories.iter().any(is_journal_altered))),
        ("detached", json!(facts.detached)),
        ("witness", json!(facts.witness)),
        ("not_covered", json!(facts.not_covered)),
        ("anchor", json!(facts.anchor)),
    ];
    let mut text = String::from("{\n");
    for (name, value) in members {
        // Indented as a member of the object.
        text.push_str(&format!("  \"{name}\": {},\n", format!("{value:#}").replace('\n', "\n  ")));
    }
    text
}

fn time(at: i64) -> Value {
    json!(clock::text(at))
}

fn optional_time(at: Option<i64>) -> Value {
    at.map_or(Value::Null, time)
}

fn made(facts: &Facts) -> Value {
    let made = &facts.made;
    json!({"at": time(made.at), "by": made.by, "role": made.role, "took_ms": made.took / 1_000})
}

fn server(facts: &Facts) -> Value {
    let server = &facts.server;
    json!({
        // Larger than what many readers of JSON keep exactly.
        "system_identifier": server.system_identifier.to_string(),
        "database": server.database,
        "host": server.host,
        "postgresql": server.postgresql,
        "pgseal": env!("CARGO_PKG_VERSION"),
        "standby": server.standby,
    })
}

fn asked(facts: &Facts) -> Value {
    let asked = &facts.asked;
    json!({
        "tenant": asked.tenant,
        "history": asked.history,
        "since": optional_time(asked.period.since),
        "until": optional_time(asked.period.until),
        "entries_in_period": facts.in_period(),
    })
}

fn previous(facts: &Facts) -> Value {
    facts.previous.as_ref().map_or(Value::Null, |previous| {
        json!({
            "made_at": previous.made,
            "headline": previous.verdict,
            "contained": previous.contained,
            "detail": previous.detail,
        })
    })
}

fn history(facts: &Facts, history: &HistoryFacts) -> Value {
    let nodes = history.nodes.iter().map(|(node, count)| {
        json!({
            "node": node,
            "entries": count.entries,
            "first_sealed_at": optional_time(count.first),
            "last_sealed_at": optional_time(count.last),
        })
    });
    let heads = history
        .heads
        .iter()
        .map(|(chain, (position, mac))| json!({"chain": chain, "entry": position, "mac": hex::encode(mac)}));
    json!({
        "history": history.table,
        "id": history.id.map(|id| uuid_text(&id.0)),
        "verdict": history.verdict.as_str(),
        "entries": history.entries(),
        "entries_in_period": history.in_period,
        "nodes": nodes.collect::<Value>(),
        "window_months": history.window_months,
        "window_start": optional_time(history.window_start),
        "heads": heads.collect::<Value>(),
        "findings": history.findings,
        "findings_new": history.findings_new,
        "findings_before_window": history.findings_before_window,
        "found": history.found.iter().map(|found| finding(facts, found)).collect::<Value>(),
        "basis": history.basis,
        "next_step": history.next_step,
        "runs": history.runs.as_ref().map(runs),
        "life": history.life.as_ref().map(life),
        "unsigned_columns": history.unsigned_columns,
    })
}

fn finding(facts: &Facts, found: &Found) -> Value {
    // The reason is free text, which may name other tenants.
    let acknowledged = found.acknowledged.as_ref().map(|filed| match facts.asked.tenant {
        Some(_) => json!({"at": time(filed.at), "who": filed.who}),
        None => json!({"at": time(filed.at), "who": filed.who, "reason": filed.reason}),
    });
    let mut value = recorded::to_json(&found.finding);
    value["acknowledged"] = json!(acknowledged);
    value
}

fn run(run: &Run) -> Value {
    json!({
        "run": run.number,
        "started": time(run.started),
        "finished": time(run.finished),
        "how": run.how,
        "who": run.who,
        "verdict": run.verdict,
        "findings_new": run.findings_new,
    })
}

fn runs(runs: &Runs) -> Value {
    let missed = |gap: &pgseal_schedule::Gap| {
        json!({
            "first": time(gap.first),
            "last": time(gap.last),
            "times": gap.times,
            "next_run": optional_time(gap.next_run),
        })
    };
    let schedule = runs.scheduled.as_ref();
    json!({
        "by_schedule": runs.by_schedule(),
        "by_hand": runs.by_hand(),
        "last": runs.made.last().map(run),
        "not_intact": runs.made.iter().filter(|run| run.is_bad()).map(run).collect::<Value>(),
        "schedule": schedule.map(|of| &of.expression),
        "time_zone": schedule.map(|of| of.zone),
        "missed": schedule.map(|of| of.missed.gaps.iter().map(missed).collect::<Value>()),
        "missed_complete": schedule.map(|of| !of.missed.more),
    })
}

fn life(life: &Life) -> Value {
    let pruned = life.pruned.iter().map(
        |pruned| json!({"at": time(pruned.at), "run": pruned.run, "entries": pruned.entries, "chains": pruned.chains}),
    );
    let holds = life.holds.iter().map(
        |(tenant, hold)| json!({"tenant": tenant, "since": time(hold.at), "who": hold.who, "reason": hold.reason}),
    );
    let keys = life.keys.iter().map(|key| {
        json!({
            "id": key.id,
            "fingerprint": key.fingerprint,
            "first_epoch": key.first_epoch,
            "last_epoch": key.last_epoch,
        })
    });
    json!({
        "attached_at": time(life.attached_at),
        "attached_by": life.attached_by,
        "unsealed": life.unsealed,
        "pruned": pruned.collect::<Value>(),
        "pruned_ever": life.pruned_ever,
        "holds": holds.collect::<Value>(),
        "holds_of_other_tenants": life.other_holds,
        "keys": keys.collect::<Value>(),
        "signed_columns": life.signed_columns,
    })
}

fn change(change: &Change) -> Value {
    json!({
        "at": time(change.at),
        "who": change.who,
        "kind": change.kind,
        "history": change.table,
        "sentence": change.sentence,
    })
}
