//! What closings say, judged: their signatures by the root, where it can be had; their order; and that nothing which
//! they name was changed since. The rules are those of docs/forward-security.md.

mod secrets;

use self::secrets::{Root, Secrets, Standing};
use super::ends::Heads;
use super::locate::RowKey;
use crate::key::evolution;
use crate::pg::snapshot::Sees;
use crate::pg::{clock, server, shared_memory, spi};
use crate::record::closing::{self, Content, JournaledStream, LATE, Stored};
use crate::record::cut::Cut;
use crate::record::identity::{content, origin, uuid_text};
use crate::record::journal::{Act, Entry};
use crate::record::ring::Ring;
use pgseal_chain::{ClosingKind, Finding, HistoryId, JOURNAL, Kind, Mac, Origin, Period, judge_closings, period_names};
use std::collections::BTreeMap;

/// How long after the end of a period, or the start of the server, its closings may be on their way, µs.
const GRACE: i64 = 600_000_000;

/// How long something may keep a period from being closed, µs.
const LONGEST_DELAY: i64 = 86_400_000_000;

/// What can be pruned is at least so old, µs.
const YEAR: i64 = 365 * 86_400_000_000;

/// What is known of one subject's records.
#[derive(Default)]
struct Subject {
    /// Those that are not known to be false, by number.
    trusted: Vec<(u64, Content)>,
    /// How many signatures were found right.
    proven: u64,
}

/// Closings of a run.
#[derive(Default)]
pub struct Closings {
    /// What is wrong with them.
    pub findings: Vec<Finding<RowKey>>,
    journal: Subject,
    history: Subject,
    /// All entries of the history were sealed at this time or later, µs since 2000-01-01 UTC.
    begin: Option<i64>,
    /// Why signatures were not judged.
    unjudged: Option<String>,
}

/// What they are judged by, besides themselves.
pub struct Facts<'a> {
    pub streams: &'a [JournaledStream],
    /// What administrators did, in its order.
    pub acts: &'a [Entry],
    /// Which keys there were.
    pub ring: &'a Ring,
    /// The history that this is about.
    pub history: Option<HistoryId>,
    /// Histories that the journal knows.
    pub is_known: &'a dyn Fn(HistoryId) -> bool,
    /// Name of this node's first chain here; none while the server only replays.
    pub here: Option<&'a str>,
    /// The period in force, read before the snapshot was taken: what went before it is closed.
    pub in_force: Option<Period>,
}

impl Closings {
    /// Reads and judges them under the active snapshot.
    pub fn judge(facts: &Facts<'_>) -> Closings {
        let mut stored = closing::stored(Sees::Snapshot);
        let mut closings = Closings::default();
        let mut secrets = Secrets::of(facts.streams, facts.ring);
        let of_journal = stored.remove(&JOURNAL).unwrap_or_default();
        closings.journal = closings.subject(&of_journal, &mut secrets);
        if let Some(history) = facts.history {
            let of_history = stored.remove(&history).unwrap_or_default();
            closings.history = closings.subject(&of_history, &mut secrets);
            closings.begin = closings.history.begin(facts.streams);
        }
        for stray in stored.keys().filter(|history| !(facts.is_known)(**history)) {
            let stray = uuid_text(&stray.0);
            closings.fault(format!(
                "closing records of history {stray}, which is not in the journal, stand in seal.closing"
            ));
        }
        let missing = closings.missing(facts);
        closings.findings.extend(missing);
        if let Some(history) = facts.history {
            let missing = closings.missing_of_history(history, facts);
            closings.findings.extend(missing.map(|what| Finding::new(Kind::ConfigurationAltered, what)));
        }
        for (key_id, root) in &secrets.roots {
            match root {
                Root::Right(_) => {}
                Root::Unavailable(fault) => closings.unjudged = Some(fault.to_string()),
                Root::Wrong { wanted, have } => closings.findings.push(Finding::new(
                    Kind::UnknownKey,
                    format!(
                        "closing records cannot be judged: the root secret of key {key_id} has fingerprint {have}, their stream began with {wanted}"
                    ),
                )),
            }
        }
        closings
    }

    fn fault(&mut self, sentence: String) {
        self.findings.push(Finding::new(Kind::ConfigurationAltered, sentence));
    }

    fn subject(&mut self, records: &[Stored], secrets: &mut Secrets<'_>) -> Subject {
        let mut subject = Subject::default();
        let mut steps = Vec::new();
        for record in records {
            server::check_for_interrupts();
            let read = record.content();
            let standing = read.as_ref().map_or(Standing::False, |read| secrets.judge(record, read));
            if standing == Standing::False {
                let what = format!("closing record {} was changed or is forged", record.number);
                self.findings.push(
                    Finding::new(Kind::ConfigurationAltered, what)
                        .at(name(record.subject), record.number, record.number)
                        .values(None, Some(content(record))),
                );
            }
            subject.proven += u64::from(standing == Standing::Right);
            if let Some(read) = read {
                steps.push(read.step(record.number, record.digest()));
                if standing != Standing::False {
                    subject.trusted.push((record.number, read));
                }
            }
        }
        let subject_id = records.first().map_or(JOURNAL, |record| record.subject);
        self.findings.extend(judge_closings(&steps).into_iter().map(|flaw| {
            Finding::new(Kind::ConfigurationAltered, flaw.what).at(name(subject_id), flaw.first, flaw.last)
        }));
        subject
    }

    /// What the journal's records lack: they go on until now, from the beginning of their stream.
    fn missing(&self, facts: &Facts<'_>) -> Vec<Finding<RowKey>> {
        let Some(here) = facts.here else { return Vec::new() };
        let altered = |what: String| Finding::new(Kind::ConfigurationAltered, what);
        let is_settled = |at: i64| clock::now() - at >= GRACE;
        // 0: since the server's start, or since it only replayed, nothing has run yet that could close a period.
        let since = shared_memory::read_launcher().since;
        let runs_long = since != 0 && is_settled(since);
        let Some((_, newest)) = self.journal.newest() else {
            let attached = facts.acts.iter().find(|act| act.kind == Act::Attach.as_str());
            let is_late = runs_long && evolution::kind().is_some() && attached.is_some_and(|act| is_settled(act.at));
            return match facts.streams.first() {
                Some(_) => {
                    vec![altered("the journal has a stream of evolving secrets, but no closing record of it".into())]
                }
                None if is_late => {
                    vec![altered("no closing record was ever written although pgseal.key_evolution is on".into())]
                }
                None => Vec::new(),
            };
        };
        let mut found: Vec<_> = self.late_begins(facts).into_iter().map(altered).collect();
        let Some(period) = newest.period else { return found };
        if newest.place != here {
            if evolution::kind().is_some() && runs_long {
                found.push(altered("the closing records end in another place than this one".into()));
            }
            return found;
        }
        let next = reached(newest);
        let in_force =
            facts.in_force.filter(|in_force| in_force.stream == period.stream).map(|in_force| in_force.number);
        // While something keeps a period from being closed, its secret stays, by which anybody could close it.
        let grace = if in_force == Some(next) { LONGEST_DELAY } else { GRACE };
        let by_clock = runs_long.then(|| period.kind.period(clock::now() - grace));
        if let Some(until) = in_force.into_iter().chain(by_clock).max().filter(|until| next < *until) {
            let gap = period_names(period.kind, next, until - 1);
            found.push(altered(format!("{gap} is not closed, or its closing records were removed")));
        }
        found
    }

    /// A database that was there when a stream began has an opening of the stream's first period.
    fn late_begins(&self, facts: &Facts<'_>) -> Vec<String> {
        let began = facts.acts.iter().map(|act| act.at).min().unwrap_or(i64::MAX);
        let openings = self.journal.trusted.iter().filter(|(_, read)| read.what == ClosingKind::Opening);
        openings.filter_map(|(number, read)| late_begin(*number, read.period?, began, facts.streams)).collect()
    }

    /// What a history's records lack: they begin when it was attached, and end where the journal's do.
    fn missing_of_history(&self, history: HistoryId, facts: &Facts<'_>) -> Option<String> {
        let (_, newest) = self.journal.newest()?;
        let is_attach = |act: &&Entry| act.history == Some(history) && act.kind == Act::Attach.as_str();
        let attached = facts.acts.iter().find(is_attach)?;
        let knew = |read: &Content| {
            read.journal
                .as_ref()
                .is_some_and(|(chain, position, _)| *chain == attached.chain && attached.position <= *position)
        };
        let Some((_, last)) = self.history.newest() else {
            return knew(newest).then(|| "the closing records of this history were removed".to_owned());
        };
        if (last.period, last.what) != (newest.period, newest.what) && !is_first_of(last, newest) {
            return Some("the closing records of this history do not end where those of the journal end".to_owned());
        }
        let first = &self.history.trusted.first()?.1;
        let before = self.journal.trusted.iter().rev().find(|(_, read)| is_before(read, first))?;
        knew(&before.1).then(|| {
            let name = first.period.map(|period| period.kind.name(period.number)).unwrap_or_default();
            format!("the closing records of this history begin with {name}, but it was attached before")
        })
    }

    /// The highest entries that records of the journal name, by chain.
    pub fn journal_ends(&self) -> Vec<(String, u64, Mac)> {
        self.journal.pins()
    }

    /// The newest anchor that records name.
    pub fn anchor_end(&self) -> Option<(String, u64, Mac)> {
        self.journal.trusted.iter().rev().find_map(|(_, read)| read.anchor.clone())
    }

    /// The highest entries of the history that its records name, by chain.
    pub fn ends(&self) -> Vec<(String, u64, Mac)> {
        self.history.pins()
    }

    /// Cuts of the history above what was closed a year ago: nothing that young can have been pruned.
    pub fn young_cuts(&self, cuts: &BTreeMap<String, Cut>) -> Vec<Finding<RowKey>> {
        let since = clock::now() - YEAR;
        let Some((_, then)) = self.history.trusted.iter().find(|(_, read)| read.closed >= since) else {
            return Vec::new();
        };
        cuts.iter()
            .filter(|(chain, cut)| match then.chains.get(*chain) {
                Some(pin) => !pin.open && cut.position > pin.position,
                None => true,
            })
            .map(|(chain, cut)| {
                let what =
                    "the journal says that entries were pruned which closing records show to be younger than a year";
                Finding::new(Kind::CutAltered, what).at(chain.clone(), cut.position, cut.position)
            })
            .collect()
    }

    /// Entries that are dated before the newest closing, which does not have them. `heads` has the table's chains.
    pub fn dated_back(&self, table: &str, heads: &Heads) -> Vec<Finding<RowKey>> {
        let Some((number, newest)) = self.history.newest() else { return Vec::new() };
        let bounds: Vec<String> = heads
            .keys()
            .filter_map(|chain| str::from_utf8(chain).ok())
            .filter(|chain| origin(chain, &newest.place) != Some(Origin::AnotherNode))
            .flat_map(|chain| {
                let pin = newest.chains.get(chain);
                let since = pin.filter(|pin| pin.open).map_or(newest.closed, |pin| pin.sealed_at);
                let above = Some((pin.map_or(0, |pin| pin.position), since));
                above.into_iter().chain(self.begin.map(|begin| (0, begin))).map(move |(position, since)| {
                    let since = spi::time_literal(since);
                    format!("({}, {position}::pg_catalog.int8, {since})", spi::literal(chain))
                })
            })
            .collect();
        if bounds.is_empty() {
            return Vec::new();
        }
        let rows = spi::read(&format!(
            "SELECT c.chain, pg_catalog.min(e.seal_seq), pg_catalog.max(e.seal_seq)
               FROM (VALUES {}) AS c (chain, position, since)
               JOIN {table} e ON e.seal_chain = c.chain AND e.seal_seq > c.position AND e.seal_at < c.since
              GROUP BY c.chain",
            bounds.join(", ")
        ));
        let found = rows.into_iter().filter_map(|row| match row.as_slice() {
            [Some(chain), Some(first), Some(last)] => Some((chain.clone(), first.parse().ok()?, last.parse().ok()?)),
            _ => None,
        });
        found
            .map(|(chain, first, last)| {
                let what = format!("dated before closing record {number}, which does not have it");
                Finding::new(Kind::Forged, what).at(chain, first, last)
            })
            .collect()
    }

    /// What is said of them in an answer's basis; empty where there are none.
    pub fn basis(&self) -> String {
        let Some((_, newest)) = self.journal.newest() else { return String::new() };
        let Some(period) = newest.period else { return String::new() };
        let first = self.journal.trusted.iter().find_map(|(_, read)| read.period).unwrap_or(period);
        let next = reached(newest);
        let closed = match next > period.kind.period(first.kind.start(first.number)) {
            true => format!("closed from {} to {}", first.kind.name(first.number), period.kind.name(next - 1)),
            false => format!("no period closed yet, opened with {}", first.kind.name(first.number)),
        };
        let proven = self.journal.proven + self.history.proven;
        match &self.unjudged {
            None => format!("; {closed}, {proven} signatures of closing records judged"),
            Some(fault) => format!("; {closed}, signatures of closing records not judged: {fault}"),
        }
    }
}

impl Subject {
    /// The newest opening or closing.
    fn newest(&self) -> Option<(u64, &Content)> {
        let newest = self.trusted.iter().rev().find(|(_, read)| read.what != ClosingKind::Rotation)?;
        Some((newest.0, &newest.1))
    }

    /// What was attached after the stream began has nothing that is older.
    fn begin(&self, streams: &[JournaledStream]) -> Option<i64> {
        let (_, first) = self.trusted.first().filter(|(number, _)| *number == 1)?;
        let period = first.period?;
        let stream = streams.iter().find(|known| known.stream.id == period.stream)?;
        (period.number > stream.stream.first).then(|| period.kind.start(period.number) - LATE)
    }

    fn pins(&self) -> Vec<(String, u64, Mac)> {
        let mut highest: BTreeMap<&String, (u64, Mac)> = BTreeMap::new();
        for (_, read) in &self.trusted {
            for (chain, pin) in read.chains.iter().filter(|(_, pin)| pin.position > 0) {
                let known = highest.entry(chain).or_insert((pin.position, pin.mac));
                if known.0 < pin.position {
                    *known = (pin.position, pin.mac);
                }
            }
        }
        highest.into_iter().map(|(chain, (position, mac))| (chain.clone(), position, mac)).collect()
    }
}

/// What is said of an opening that others must have gone before. `began` is the time of the journal's first entry.
fn late_begin(number: u64, period: Period, began: i64, streams: &[JournaledStream]) -> Option<String> {
    let first = streams.iter().find(|known| known.stream.id == period.stream)?.stream.first;
    let was_there = number > 1 || began < period.kind.start(period.number) - LATE;
    let name = || period.kind.name(period.number - 1);
    (was_there && period.number > first).then(|| format!("closing records of {} and before were removed", name()))
}

/// The first period that is not closed.
fn reached(read: &Content) -> u32 {
    read.period.map_or(0, |period| period.number + u32::from(read.what == ClosingKind::Closing))
}

/// A history that was attached after the journal's newest opening has an opening of its own in the same period.
fn is_first_of(of_history: &Content, of_journal: &Content) -> bool {
    let same_stream = |a: Period, b: Period| a.stream == b.stream;
    of_history.what == ClosingKind::Opening
        && of_history.period.zip(of_journal.period).is_some_and(|(a, b)| same_stream(a, b))
        && reached(of_history) == reached(of_journal)
}

/// Whether a record of the journal is of an earlier period, or of an earlier stream, than a history's first.
fn is_before(of_journal: &Content, first: &Content) -> bool {
    match (of_journal.period, first.period) {
        (Some(a), Some(b)) if a.stream == b.stream => of_journal.what == ClosingKind::Closing && a.number < b.number,
        (Some(_), Some(_)) => of_journal.closed < first.closed,
        _ => false,
    }
}

/// What findings call a subject's records.
fn name(subject: HistoryId) -> String {
    if subject == JOURNAL { "closings of the journal".to_owned() } else { "closings".to_owned() }
}
