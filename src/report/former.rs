//! A report that somebody kept: what it saw, and whether that is still there.

use super::signature::{Authenticity, Format, Kept, TITLE};
use super::words::count;
use crate::pg::error::Report;
use crate::pg::snapshot::Sees;
use crate::pg::{relation, server, snapshot, spi, user};
use crate::record::definition::{self, Attachment};
use crate::record::registry::{self, Registration};
use crate::record::{journaled, witness};
use crate::verify::witness as witnessed;
use pgrx::PgSqlErrorCode;
use pgseal_chain::{HistoryId, WitnessLine};
use serde_json::Value;

/// What a report says of itself and of the ends of chains.
pub struct Former {
    /// When it was made, as it says.
    pub made: String,
    /// Its verdict, as it says.
    pub verdict: String,
    /// Where it was made.
    pub system_identifier: String,
    /// The newest anchor of that time.
    pub anchor: Option<WitnessLine>,
    heads: Vec<Head>,
}

struct Head {
    history: HistoryId,
    chain: String,
    position: u64,
    /// The first bytes of its mac, or all.
    mac: Vec<u8>,
}

/// What became of what a former report saw.
pub struct Continuity {
    pub made: String,
    pub verdict: String,
    /// `None`: nothing that it saw is left to compare with, or it saw nothing.
    pub contained: Option<bool>,
    pub detail: String,
}

/// Reads the argument `previous`; raises where it is not a report that was made with this server's key.
pub fn require(text: &str) -> Former {
    let kept = Kept::new(text);
    let refuse = |detail: &str| -> ! {
        Report::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, "the previous report cannot be compared with")
            .detail(detail)
            .hint("Give the whole report, as text or JSON, word for word as seal.report made it.")
            .raise()
    };
    match kept.authenticity() {
        Authenticity::Authentic => {}
        Authenticity::NoMac => refuse("It is no report of pgseal, or does not end with the mac of one."),
        Authenticity::UnknownKey(id) => refuse(&format!("It was made with key {id}, which this server does not have.")),
        Authenticity::Changed => refuse("It was changed after it was made, or was made with another key."),
    }
    Former::read(&kept)
}

impl Former {
    /// Reads an authentic report.
    pub fn read(kept: &Kept) -> Former {
        match kept.format {
            Format::Text => Former::of_text(&kept.text),
            Format::Json => Former::of_json(&serde_json::from_str(&kept.text).unwrap_or(Value::Null)),
        }
    }

    fn of_json(report: &Value) -> Former {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut heads = Vec::new();
        for history in report["histories"].as_array().into_iter().flatten() {
            let Some(id) = history["id"].as_str().and_then(history_id) else { continue };
            let of_history = history["heads"].as_array().into_iter().flatten().filter_map(|head| {
                Some(Head {
                    history: id,
                    chain: head["chain"].as_str()?.to_owned(),
                    position: head["entry"].as_u64()?,
                    mac: hex::decode(head["mac"].as_str()?).ok()?,
                })
            });
            heads.extend(of_history);
        }
        Former {
            made: text(&report["made"]["at"]),
            verdict: text(&report["headline"]),
            system_identifier: text(&report["server"]["system_identifier"]),
            anchor: report["anchor"].as_str().map(witness::read),
            heads,
        }
    }

    fn of_text(text: &str) -> Former {
        let field = |label: &str| text.lines().find_map(|line| value_of(line, label)).unwrap_or_default();
        let mut heads = Vec::new();
        let (mut history, mut label) = (None, "");
        for line in text.lines().filter_map(|line| line.split_at_checked(super::text::LABEL)) {
            let (begin, value) = (line.0.trim(), line.1);
            if !begin.is_empty() {
                label = begin;
            }
            match label {
                "History" => history = value.rsplit_once(' ').and_then(|(_, id)| history_id(id)),
                "Heads" => heads.extend(history.and_then(|history| head(history, value))),
                _ => {}
            }
        }
        Former {
            made: field("Made").split(" by ").next().unwrap_or_default().to_owned(),
            verdict: text.lines().next().and_then(|line| line.strip_prefix(TITLE)).unwrap_or_default().to_owned(),
            system_identifier: field("Server").split_whitespace().nth(2).unwrap_or_default().replace(',', ""),
            anchor: Some(field("Anchor")).filter(|line| line.starts_with("pgseal-anchor ")).map(witness::read),
            heads,
        }
    }

    /// Looks for its anchor, and for each entry that it names as the newest of a chain.
    pub fn continuity(&self) -> Continuity {
        let anchor = self.anchor.as_ref().map(witnessed::check);
        let heads = user::with_rights_of(user::extension_owner(), || snapshot::with_fresh(|| self.look_for_heads()));
        let elsewhere = match self.system_identifier == server::system_identifier().to_string() {
            true => "",
            false => "it was made on another server, of which this is a copy at best; ",
        };
        let answer = |contained, detail: String| Continuity {
            made: self.made.clone(),
            verdict: self.verdict.clone(),
            contained,
            detail: format!("{elsewhere}{detail}"),
        };
        if let Some(lost) = anchor.as_ref().filter(|anchor| anchor.contained == Some(false)) {
            return answer(Some(false), format!("{}: {}", lost.detail, lost.next_step));
        }
        match heads {
            Err(lost) => answer(Some(false), lost),
            Ok(found) => {
                let anchored = anchor.as_ref().and_then(|anchor| anchor.contained);
                let heads =
                    count(found, "newest entry that it names is there", "newest entries that it names are there");
                match anchor {
                    Some(anchor) => {
                        answer(anchored.or((found > 0).then_some(true)), format!("{}; {heads}", anchor.detail))
                    }
                    None => answer((found > 0).then_some(true), heads),
                }
            }
        }
    }

    /// How many are there, or a sentence on the first that is not. Of what was pruned, or detached, nobody
    /// promised that it stays.
    fn look_for_heads(&self) -> Result<u64, String> {
        let registrations = registry::registrations();
        let histories = journaled::as_seen(Sees::Snapshot);
        let mut found = 0;
        for head in &self.heads {
            let registration = registrations.iter().find(|row| row.history == head.history);
            if registration.is_some_and(|row| definition::attachment(row) == Attachment::Detached) {
                continue;
            }
            let cut = histories.get(&head.history).and_then(|journaled| journaled.cuts.get(&head.chain));
            if cut.is_some_and(|cut| head.position <= cut.position) {
                continue;
            }
            match registration.filter(|row| relation::exists(row.relation)) {
                Some(row) if head.is_in(row) => found += 1,
                Some(row) => {
                    let (position, chain, table) = (head.position, &head.chain, relation::name_of(row.relation));
                    return Err(format!(
                        "entry {position} of chain {chain} of {table}, which it names, is gone or was changed"
                    ));
                }
                None => return Err("a history that it names is gone".to_owned()),
            }
        }
        Ok(found)
    }
}

impl Head {
    fn is_in(&self, history: &Registration) -> bool {
        !spi::read(&format!(
            "SELECT FROM {} WHERE seal_chain = {} AND seal_seq = {} AND pg_catalog.substring(seal_mac, 1, {}) = {}",
            relation::name_of(history.relation),
            spi::literal(&self.chain),
            self.position,
            self.mac.len(),
            spi::bytea_literal(&self.mac)
        ))
        .is_empty()
    }
}

/// What stands behind a label.
fn value_of<'a>(line: &'a str, label: &str) -> Option<&'a str> {
    let (begin, value) = line.split_at_checked(super::text::LABEL)?;
    (begin.trim_end() == label).then_some(value)
}

/// `chain: entry 17, mac 0123…`, as `text` writes it.
fn head(history: HistoryId, text: &str) -> Option<Head> {
    let (chain, rest) = text.split_once(": entry ")?;
    let (position, mac) = rest.split_once(", mac ")?;
    Some(Head {
        history,
        chain: chain.to_owned(),
        position: position.parse().ok()?,
        mac: hex::decode(mac).ok().filter(|mac| mac.len() == super::text::SHOWN_OF_MAC)?,
    })
}

fn history_id(text: &str) -> Option<HistoryId> {
    let mut id = [0; 16];
    hex::decode_to_slice(text.replace('-', ""), &mut id).ok()?;
    Some(HistoryId(id))
}
