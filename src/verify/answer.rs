//! From what was found to what an auditor reads.

use super::locate::RowKey;
use super::outcome::{self, NodeCount, Outcome};
use super::run::{self, Ask, Scope};
use super::{acknowledge, configuration};
use crate::pg::error::Report;
use crate::pg::snapshot::Sees;
use crate::pg::{relation, server, snapshot, spi, user};
use crate::record::definition::{self, Attachment};
use crate::record::journaled::{self, Journaled};
use crate::record::registry::{self, Registration};
use crate::record::tables;
use crate::seal::heads;
use crate::settings;
use pgrx::PgSqlErrorCode;
use pgseal_chain::{Finding, Findings, HistoryId, Kind, Verdict, WitnessLine};
use std::collections::{BTreeMap, BTreeSet};

/// One line of `seal.verify_history`.
pub struct Line {
    pub verdict: Verdict,
    pub history: Option<String>,
    pub node: String,
    pub count: NodeCount,
    pub window_start: Option<i64>,
    pub findings: u64,
    /// Those that nobody has acknowledged.
    pub findings_new: u64,
    pub findings_before_window: u64,
    pub basis: String,
    pub next_step: String,
}

/// One line of `seal.findings`.
pub struct FoundLine {
    pub history: String,
    pub finding: Finding<RowKey>,
}

/// Which histories are asked about.
pub struct Question<'a> {
    pub tenant: Option<&'a str>,
    /// Oid of a table or one of its leaves; `None` for all histories.
    pub history: Option<u32>,
    /// What somebody outside the server saw.
    pub witness: Option<&'a WitnessLine>,
    pub scope: Scope,
}

impl Question<'_> {
    /// The answer, never empty.
    pub fn lines(&self) -> Vec<Line> {
        let outcomes = self.outcomes();
        let mut lines: Vec<Line> = outcomes.iter().flat_map(|outcome| self.node_lines(outcome)).collect();
        if lines.is_empty() {
            lines.push(nothing_attached());
        }
        lines
    }

    pub fn findings(&self) -> Vec<FoundLine> {
        self.outcomes()
            .into_iter()
            .flat_map(|outcome| {
                let (history, acknowledged) = (outcome.table, outcome.acknowledged);
                outcome.findings.list.into_iter().map(move |mut finding| {
                    if let Some(filed) = acknowledged.get(&acknowledge::fingerprint(&finding)) {
                        finding.detail.push_str(&filed.to_string());
                    }
                    FoundLine { history: history.clone(), finding }
                })
            })
            .collect()
    }

    /// Yes for `intact` and `intact_in_window` only, of everything that was asked.
    pub fn is_intact(&self) -> bool {
        self.lines().iter().all(|line| line.verdict.is_intact())
    }

    fn ask(&self) -> Ask<'_> {
        Ask { tenant: self.tenant, witness: self.witness, scope: self.scope }
    }

    /// What was found in each history.
    pub fn outcomes(&self) -> Vec<Outcome> {
        refuse_serializable();
        let unreadable = tables::problems();
        if !unreadable.is_empty() {
            let finding = |sentence| Finding::new(Kind::ConfigurationAltered, sentence);
            return unreadable
                .into_iter()
                .map(|sentence| outcome::only(finding(sentence), "seal".to_owned()))
                .collect();
        }
        // The journal first: what it has was committed together with the rows of settings.
        let journaled = user::with_rights_of(user::extension_owner(), || journaled::as_seen(Sees::Stored));
        let registrations = registry::registrations();
        let chosen: Vec<&Registration> = match self.history {
            Some(asked) => vec![registered(&registrations, asked)],
            None => registrations.iter().filter(|row| definition::is_to_be_verified(row)).collect(),
        };
        let mut outcomes: Vec<Outcome> =
            chosen.into_iter().filter_map(|row| self.outcome(row, &registrations, &journaled)).collect();
        if let Some(asked) = self.history.filter(|_| outcomes.is_empty()) {
            not_attached(asked);
        }
        if self.history.is_none() {
            outcomes.extend(unregistered());
            outcomes.extend(forgotten(&outcomes, &journaled));
            if !outcomes.iter().any(|outcome| outcome.readable) {
                outcomes.extend(run::verify_internal(self.witness));
            }
        }
        outcomes
    }

    fn outcome(
        &self,
        row: &Registration,
        registrations: &[Registration],
        journaled: &BTreeMap<HistoryId, Journaled>,
    ) -> Option<Outcome> {
        let of_row = |kind, what| {
            let acknowledged = journaled.get(&row.history).map(|journaled| journaled.acknowledged.clone());
            Outcome { acknowledged: acknowledged.unwrap_or_default(), ..of_row(row, kind, what) }
        };
        if stands_twice(row, registrations) {
            return Some(of_row(Kind::ConfigurationAltered, "stands twice in seal.history"));
        }
        match definition::attachment(row) {
            Attachment::Attached | Attachment::Detached => run::verify(row, self.ask()),
            Attachment::Doubtful => {
                let what = "is marked as detached, but not by pgseal under its key";
                Some(of_row(Kind::ConfigurationAltered, what))
            }
            Attachment::Unjudged => {
                let what = "is marked as detached; by whom cannot be judged without its key";
                Some(of_row(Kind::UnknownKey, what))
            }
        }
    }

    /// One line for each node that sealed entries of a history.
    pub fn node_lines(&self, outcome: &Outcome) -> Vec<Line> {
        let verdict = self.verdict(outcome);
        outcome
            .nodes
            .iter()
            .filter(|(node, count)| count.entries > 0 || **node == settings::chain_name())
            .filter(|(_, count)| count.entries > 0 || outcome.nodes.values().all(|node| node.entries == 0))
            .map(|(node, count)| Line {
                verdict,
                history: Some(outcome.table.clone()),
                node: node.clone(),
                count: count.clone(),
                window_start: outcome.window_start,
                findings: outcome.findings.total,
                findings_new: outcome.findings.total - acknowledge::count(outcome),
                findings_before_window: outcome.findings.before_window,
                basis: outcome.basis.clone(),
                next_step: self.next_step(verdict, outcome),
            })
            .collect()
    }

    /// A history whose entries were all pruned is not one where nothing was sealed.
    pub fn verdict(&self, outcome: &Outcome) -> Verdict {
        let entries = outcome.nodes.values().map(|node| node.entries).sum::<u64>();
        let cuts = outcome.subject.as_ref().and_then(|subject| subject.journaled.as_ref()).map(|of| of.cuts.len());
        let pruned = cuts.filter(|_| self.tenant.is_none()).unwrap_or(0);
        Verdict::of(&outcome.findings, entries + pruned as u64 + outcome.rested)
    }

    fn next_step(&self, verdict: Verdict, outcome: &Outcome) -> String {
        match verdict {
            Verdict::Intact => "nothing to do".into(),
            Verdict::IntactInWindow => {
                format!("entries before the window are not intact: {}", self.list_findings(outcome))
            }
            Verdict::Tampered if acknowledge::count(outcome) == outcome.findings.total => {
                format!("every finding is acknowledged: {}", self.list_findings(outcome))
            }
            Verdict::Tampered => format!(
                "cause not determined; the original value cannot be recovered from pgseal, look into a backup: {}",
                self.list_findings(outcome)
            ),
            Verdict::Unverifiable => match &outcome.key_fault {
                Some(fault) => fault.remedy(),
                None => {
                    format!("a key or a column is missing: {}", self.list_findings(outcome))
                }
            },
            Verdict::NothingSealed => self.why_nothing(outcome),
        }
    }

    fn list_findings(&self, outcome: &Outcome) -> String {
        if !outcome.readable {
            return "SELECT * FROM seal.findings()".into();
        }
        let tenant = self.tenant.map(|tenant| format!("{}, ", spi::literal(tenant))).unwrap_or_default();
        format!("SELECT * FROM seal.findings({tenant}history => {})", spi::literal(&outcome.table))
    }

    fn why_nothing(&self, outcome: &Outcome) -> String {
        let Some(tenant) = self.tenant else { return "no row was inserted since the table was attached".into() };
        if let Some(history) = history_named(tenant) {
            let (tenant, history) = (spi::literal(tenant), spi::literal(&history));
            return format!(
                "{tenant} is a history, not a tenant: SELECT * FROM seal.verify_history(history => {history})"
            );
        }
        match outcome.has_tenant_column {
            true => format!("no entry of tenant '{tenant}' is in {}: check the spelling", outcome.table),
            false => format!(
                "{} has no tenant column: SELECT * FROM seal.verify_history(history => {})",
                outcome.table,
                spi::literal(&outcome.table)
            ),
        }
    }
}

/// The attached table that somebody may have meant by this name, quoted or not.
fn history_named(name: &str) -> Option<String> {
    spi::value(spi::execute(&format!(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
           FROM seal.history h
           JOIN pg_catalog.pg_class c ON c.oid = h.relation
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE h.detached_at IS NULL
            AND {} IN (c.relname, pg_catalog.format('%I', c.relname), pg_catalog.format('%I.%I', n.nspname, c.relname),
                       pg_catalog.format('%s.%s', n.nspname, c.relname))",
        spi::literal(name)
    )))
}

fn registered(registrations: &[Registration], asked: u32) -> &Registration {
    let root = relation::root_of(asked);
    registrations
        .iter()
        .rfind(|row| row.relation == root && definition::is_to_be_verified(row))
        .unwrap_or_else(|| not_attached(asked))
}

fn not_attached(asked: u32) -> ! {
    let table = relation::name_of(asked);
    let literal = spi::literal(&table);
    Report::new(PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT, format!("table \"{table}\" is not attached to pgseal"))
        .detail("Nothing of it is sealed, so there is nothing to verify.")
        .hint(format!("To seal it: SELECT seal.attach({literal}). Attached tables: SELECT * FROM seal.status."))
        .raise()
}

/// Tables that look sealed, or that the server remembers as sealed, without a row in `seal.history`.
fn unregistered() -> Vec<Outcome> {
    let suspects = suspects();
    if suspects.is_empty() {
        return Vec::new();
    }
    // An attach or detach may have been on its way: wait for it, and look again.
    for (relation, _) in &suspects {
        relation::lock_with_descendants(*relation);
    }
    let still = snapshot::with_fresh(self::suspects);
    let confirmed: BTreeSet<String> = suspects.intersection(&still).map(|(_, table)| table.clone()).collect();
    confirmed
        .into_iter()
        .map(|table| {
            let sentence = format!("table {table} was sealed by pgseal, but its row was removed from seal.history");
            outcome::only(Finding::new(Kind::ConfigurationAltered, sentence), table)
        })
        .collect()
}

/// Histories that the journal has as attached and that have no row in `seal.history`.
fn forgotten(reported: &[Outcome], journaled: &BTreeMap<HistoryId, Journaled>) -> Vec<Outcome> {
    let registrations = registry::registrations();
    let is_forgotten = |history: &HistoryId, of: &Journaled| {
        of.detached.is_none()
            && !registrations.iter().any(|row| row.history == *history)
            && !reported.iter().any(|outcome| outcome.table == of.table)
    };
    journaled
        .iter()
        .filter(|(history, of)| is_forgotten(history, of))
        .map(|(_, of)| {
            let sentence =
                format!("the journal has {} as attached, but its row was removed from seal.history", of.table);
            let outcome = outcome::only(Finding::new(Kind::ConfigurationAltered, sentence), of.table.clone());
            Outcome { acknowledged: of.acknowledged.clone(), ..outcome }
        })
        .collect()
}

/// By oid and name of the table.
fn suspects() -> BTreeSet<(u32, String)> {
    // The heads first: what they remember was committed before.
    let remembered = if server::in_recovery() { Vec::new() } else { heads::histories() };
    let registrations = registry::registrations();
    let reported =
        |relation: u32| registrations.iter().any(|row| row.relation == relation && definition::is_to_be_verified(row));
    let sealed = configuration::unregistered().into_iter().filter(|(relation, _)| !reported(*relation));
    let known = |history| registrations.iter().any(|row| row.history == history);
    let forgotten = remembered.into_iter().filter(|(history, _)| !known(*history));
    sealed.chain(forgotten.map(|(_, relation)| (relation, relation::name_of(relation)))).collect()
}

fn stands_twice(row: &Registration, registrations: &[Registration]) -> bool {
    let same = |other: &&Registration| {
        other.history == row.history || (other.is_attached() && row.is_attached() && other.relation == row.relation)
    };
    registrations.iter().filter(same).count() > 1
}

fn of_row(row: &Registration, kind: Kind, what: &str) -> Outcome {
    let table = relation::name_of(row.relation);
    outcome::only(Finding::new(kind, format!("history {table} {what}")), table)
}

/// The answer where there is no history.
pub fn nothing_attached() -> Line {
    Line {
        verdict: Verdict::of(&Findings::<RowKey>::default(), 0),
        history: None,
        node: settings::chain_name(),
        count: NodeCount::default(),
        window_start: None,
        findings: 0,
        findings_new: 0,
        findings_before_window: 0,
        basis: "no history is attached in this database".into(),
        next_step: "attach a table: SELECT seal.attach('TABLE', tenant_column => 'COLUMN')".into(),
    }
}

fn refuse_serializable() {
    if server::serializable_and_not_deferrable() {
        Report::new(
            PgSqlErrorCode::ERRCODE_ACTIVE_SQL_TRANSACTION,
            "a history cannot be verified in a SERIALIZABLE transaction that may write",
        )
        .detail("Reading the whole history would make other serializable transactions fail.")
        .hint("Run: BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE, or verify at READ COMMITTED.")
        .raise();
    }
}
