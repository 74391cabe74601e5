//! A report as text: one line for each matter, each with a label.
//!
//! Whatever somebody else has named or written is put on one line, so that nothing but pgseal begins a line.

use super::facts::{Facts, Found, HistoryFacts};
use super::gather::is_journal_altered;
use super::life::Life;
use super::runs::Runs;
use super::signature::TITLE;
use super::words::{self, count, moment};
use crate::alert::message::one_line;
use crate::pg::spi;
use crate::record::identity::uuid_text;
use pgseal_chain::Verdict;
use pgseal_schedule::Gap;

/// Width of the labels.
pub const LABEL: usize = 13;
/// How many bytes of a mac are shown.
pub const SHOWN_OF_MAC: usize = 8;
/// How many heads of a history are listed.
const MAX_HEADS: usize = 6;
/// How many findings, runs or acts are listed.
const MAX_LISTED: usize = 20;

struct Page(String);

impl Page {
    fn line(&mut self, label: &str, text: &str) {
        self.0.push_str(&format!("{label:<LABEL$}"));
        self.0.push_str(&one_line(text));
        self.0.push('\n');
    }

    /// The first under the label, the others below it.
    fn lines(&mut self, label: &str, texts: impl IntoIterator<Item = String>) {
        for (number, text) in texts.into_iter().enumerate() {
            self.line(if number == 0 { label } else { "" }, &text);
        }
    }

    fn blank(&mut self) {
        self.0.push('\n');
    }
}

/// All but the last line.
pub fn render(facts: &Facts) -> String {
    let mut page = Page(format!("{TITLE}{}\n{}\n", words::headline(facts), words::meaning(facts)));
    page.line("Made", &made(facts));
    page.line("Server", &server(facts));
    page.line("Asked", &asked(facts));
    page.line("Previous", &previous(facts));
    for history in &facts.histories {
        page.blank();
        describe(&mut page, facts, history);
    }
    page.blank();
    page.lines("Changes", changes(facts));
    page.lines("Detached", facts.detached.iter().cloned());
    page.line("Witness", &facts.witness);
    page.line("Not covered", &facts.not_covered.join("; "));
    page.line("Anchor", facts.anchor.as_deref().unwrap_or("there is none yet"));
    page.0
}

fn made(facts: &Facts) -> String {
    let made = &facts.made;
    let role = if made.role == made.by { String::new() } else { format!(" with the rights of {}", made.role) };
    format!("{} by {}{role}; took {:.1} s", moment(made.at), made.by, made.took as f64 / 1e6)
}

fn server(facts: &Facts) -> String {
    let server = &facts.server;
    let standby = if server.standby { ", a standby" } else { "" };
    format!(
        "system identifier {}, database {} on {}{standby}, PostgreSQL {}, pgseal {}",
        server.system_identifier,
        server.database,
        server.host,
        server.postgresql,
        env!("CARGO_PKG_VERSION")
    )
}

fn asked(facts: &Facts) -> String {
    let asked = &facts.asked;
    let tenant =
        asked.tenant.as_deref().map_or("all tenants".into(), |tenant| format!("tenant {}", spi::literal(tenant)));
    let history = asked.history.as_deref().unwrap_or("all histories");
    let limited = match asked.period.is_limited() {
        true => "; the period limits what is counted and listed, the verdict is about all times",
        false => "",
    };
    format!("{tenant}, {history}, {}{limited}", words::period(asked.period))
}

fn previous(facts: &Facts) -> String {
    let Some(previous) = &facts.previous else {
        return "none given; the next report can be compared with this one: seal.report(previous => …)".into();
    };
    let contained = match previous.contained {
        Some(true) => "still contained",
        Some(false) => "NOT CONTAINED",
        None => "nothing left to compare with",
    };
    format!("{contained}: the report of {} ({}): {}", previous.made, previous.verdict, previous.detail)
}

fn describe(page: &mut Page, facts: &Facts, history: &HistoryFacts) {
    let table = history.table.as_deref().unwrap_or("none");
    let id = history.id.map(|id| format!(", id {}", uuid_text(&id.0))).unwrap_or_default();
    page.line("History", &format!("{table}{id}"));
    page.line("Verdict", &verdict(facts, history));
    page.line("Basis", &history.basis);
    page.lines("Heads", heads(history));
    page.lines("Findings", findings(facts, history));
    if let Some(runs) = &history.runs {
        page.lines("Runs", made_runs(runs));
        page.lines("Missed", missed(runs));
    }
    life(page, history);
}

fn verdict(facts: &Facts, history: &HistoryFacts) -> String {
    let tenant = facts.asked.tenant.as_deref().map(|tenant| format!(" of tenant {}", spi::literal(tenant)));
    let mut text = format!("{}: {}", history.verdict, count(history.entries(), "entry", "entries"));
    text.push_str(&tenant.unwrap_or_default());
    if history.verdict == Verdict::Intact && history.entries() > 0 {
        text.push_str(", all valid");
    }
    let first = history.nodes.values().filter_map(|node| node.first).min();
    let last = history.nodes.values().filter_map(|node| node.last).max();
    if let (Some(first), Some(last)) = (first, last) {
        text.push_str(&format!(", sealed from {} to {}", moment(first), moment(last)));
    }
    if history.nodes.len() > 1 {
        let nodes = history.nodes.iter().map(|(node, count)| format!("{} by {node}", count.entries));
        text.push_str(&format!(" ({})", nodes.collect::<Vec<_>>().join(", ")));
    }
    match history.in_period {
        Some(0) => text.push_str("; NONE OF THEM IN THE ASKED PERIOD"),
        Some(entries) => text.push_str(&format!("; {entries} of them in the asked period")),
        None => {}
    }
    if let (Some(months), Some(start)) = (history.window_months, history.window_start) {
        text.push_str(&format!("; window of {months} months, since {}", moment(start)));
    }
    text
}

fn heads(history: &HistoryFacts) -> Vec<String> {
    if history.heads.is_empty() {
        return vec!["none".into()];
    }
    let shown = history.heads.iter().take(MAX_HEADS).map(|(chain, (position, mac))| {
        format!("{chain}: entry {position}, mac {}", hex::encode(&mac[..SHOWN_OF_MAC]))
    });
    let rest = history.heads.len().saturating_sub(MAX_HEADS);
    shown.chain((rest > 0).then(|| format!("and {rest} more chains; format => 'json' has all"))).collect()
}

fn findings(facts: &Facts, history: &HistoryFacts) -> Vec<String> {
    if history.findings == 0 {
        // A verdict that is no success has its reason in the next step.
        let fine = history.verdict == Verdict::Intact;
        return vec![if fine { "none".into() } else { format!("none; {}", history.next_step) }];
    }
    let acknowledged = history.findings - history.findings_new;
    let mut lines = vec![format!(
        "{}: {} new, {acknowledged} acknowledged; {} before the window",
        history.findings, history.findings_new, history.findings_before_window
    )];
    lines.extend(history.found.iter().take(MAX_LISTED).map(|found| finding(facts, found)));
    let rest = history.findings.saturating_sub(MAX_LISTED as u64);
    lines.extend((rest > 0).then(|| format!("and {rest} more")));
    lines.push(format!("Next step: {}", history.next_step));
    lines
}

fn finding(facts: &Facts, found: &Found) -> String {
    let finding = &found.finding;
    let state = match (&found.acknowledged, finding.before_window) {
        (Some(_), _) => "acknowledged",
        (None, true) => "new, before the window",
        (None, false) => "new",
    };
    let chain = finding.chain.as_ref().map(|chain| format!("chain {chain}"));
    let row = finding.key.as_ref().map(|key| format!("row {}", key.json));
    let place: Vec<String> = chain.into_iter().chain(row).collect();
    let place = if place.is_empty() { String::new() } else { format!(" ({})", place.join(", ")) };
    // Whoever acknowledged it wrote the reason, which may name anybody.
    let filed = found.acknowledged.as_ref().map(|filed| match &facts.asked.tenant {
        Some(_) => format!("; by {} on {}", filed.who, moment(filed.at)),
        None => format!("; by {} on {}: {}", filed.who, moment(filed.at), filed.reason),
    });
    format!("{state}: {}{place}{}", finding.detail, filed.unwrap_or_default())
}

fn made_runs(runs: &Runs) -> Vec<String> {
    let schedule = match &runs.scheduled {
        Some(scheduled) => format!("{} in {}", scheduled.expression, scheduled.zone),
        None => "none, nothing is verified by itself".into(),
    };
    let bad: Vec<_> = runs.made.iter().filter(|run| run.is_bad()).collect();
    let made = format!("{} by schedule, {} by hand", runs.by_schedule(), runs.by_hand());
    let all = match (runs.made.last(), bad.len()) {
        (None, _) => "none was recorded".into(),
        (Some(last), 0) => format!("{made}, all intact, the last on {}", moment(last.finished)),
        (Some(last), bad) => {
            format!("{made}, {bad} of them not intact, the last on {} ({})", moment(last.finished), last.verdict)
        }
    };
    let mut lines = vec![format!("{all}; schedule: {schedule}")];
    let hidden = bad.len().saturating_sub(MAX_LISTED);
    lines.extend((hidden > 0).then(|| format!("{hidden} older ones that were not intact")));
    lines.extend(bad.into_iter().skip(hidden).map(|run| {
        let (number, at, who) = (run.number, moment(run.finished), &run.who);
        format!("run {number} of {at} by {who} ({}): {}, {} new", run.how, run.verdict, run.findings_new)
    }));
    lines
}

fn missed(runs: &Runs) -> Vec<String> {
    let Some(scheduled) = &runs.scheduled else { return Vec::new() };
    let missed = &scheduled.missed;
    let hidden = missed.gaps.len().saturating_sub(MAX_LISTED);
    let mut lines: Vec<String> = missed.gaps.iter().take(MAX_LISTED).map(gap).collect();
    lines.extend((hidden > 0).then(|| format!("and {hidden} more gaps")));
    lines.extend(missed.more.then(|| "later times were not looked at any more".to_owned()));
    lines
}

fn gap(gap: &Gap) -> String {
    let next = match gap.next_run {
        Some(at) => format!("the next one began on {}", moment(at)),
        None => "there was none since".into(),
    };
    match gap.times {
        1 => format!("the scheduled run of {} was not made; {next}", moment(gap.first)),
        times => {
            format!("{times} scheduled runs from {} to {} were not made; {next}", moment(gap.first), moment(gap.last))
        }
    }
}

fn life(page: &mut Page, history: &HistoryFacts) {
    let Some(life) = &history.life else { return };
    let since = format!("since {} by {}", moment(life.attached_at), life.attached_by);
    let whole = if life.unsealed.is_empty() { "; the journal knows of no interruption" } else { "" };
    let kept = if life.pruned_ever == 0 { "; nothing was ever pruned" } else { "" };
    page.lines("Sealed", [format!("{since}{whole}{kept}")].into_iter().chain(life.unsealed.iter().cloned()));
    page.lines("Pruned", pruned(life));
    let holds = life.holds.iter().map(|(tenant, hold)| {
        let what = tenant.as_ref().map_or("everything".into(), |tenant| format!("tenant {}", spi::literal(tenant)));
        format!("{what} is on hold since {} by {}: {}", moment(hold.at), hold.who, hold.reason)
    });
    let others =
        (life.other_holds > 0).then(|| count(life.other_holds, "hold of another tenant", "holds of other tenants"));
    page.lines("Holds", holds.chain(others));
    let keys = life.keys.iter().map(|key| {
        let epochs = match key.first_epoch == key.last_epoch {
            true => format!("epoch {}", key.first_epoch),
            false => format!("epochs {} to {}", key.first_epoch, key.last_epoch),
        };
        format!("key {} with fingerprint {}, {epochs}", key.id, key.fingerprint)
    });
    let unsigned = match history.unsigned_columns.as_slice() {
        [] => "every column is signed".to_owned(),
        columns => format!("NOT SIGNED: {}", columns.join(", ")),
    };
    page.line("Keys", &format!("{}; {unsigned}", keys.collect::<Vec<_>>().join("; ")));
}

fn pruned(life: &Life) -> Option<String> {
    let ever = (life.pruned_ever > 0).then_some(life.pruned_ever)?;
    let last = life.pruned.last().map(|last| moment(last.at));
    Some(match last {
        None => format!("nothing in the asked period; {} ever", count(ever, "entry", "entries")),
        Some(last) => {
            let entries = life.pruned.iter().map(|pruned| pruned.entries).sum();
            format!("{}, the last on {last}; {ever} ever", count(entries, "entry", "entries"))
        }
    })
}

fn changes(facts: &Facts) -> Vec<String> {
    let altered = facts.histories.iter().any(is_journal_altered);
    let warning = altered.then(|| "the journal was altered or cannot be read: this may not be all".to_owned());
    let period = if facts.asked.period.is_limited() { " in the asked period" } else { "" };
    let total = match facts.changes.len() {
        0 => format!("none by administrators{period}"),
        number => format!("{number} by administrators{period}"),
    };
    let hidden = facts.changes.len().saturating_sub(MAX_LISTED);
    let older = (hidden > 0).then(|| format!("{hidden} older ones; seal.journal has all"));
    let listed = facts.changes.iter().skip(hidden);
    let listed = listed.map(|change| format!("{} {}: {}", moment(change.at), change.who, change.sentence));
    [total].into_iter().chain(warning).chain(older).chain(listed).collect()
}
