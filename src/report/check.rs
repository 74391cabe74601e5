//! Whether a report that somebody has was made here, and what became of what it saw.

use super::former::Former;
use super::signature::{Authenticity, Kept};

/// One line of `seal.check_report`.
pub struct Answer {
    /// `None`: its key is not at hand.
    pub authentic: Option<bool>,
    /// `None`: it is not authentic, or too old to say.
    pub contained: Option<bool>,
    pub detail: String,
    pub next_step: String,
}

pub fn check(text: &str) -> Answer {
    let kept = Kept::new(text);
    let answer = |authentic, contained, detail: String, next_step: &str| Answer {
        authentic,
        contained,
        detail,
        next_step: next_step.to_owned(),
    };
    match kept.authenticity() {
        Authenticity::NoMac => answer(
            Some(false),
            None,
            "it is no report of pgseal, or does not end with the mac of one".into(),
            "give the whole report, from its first line to the mac",
        ),
        Authenticity::UnknownKey(id) => answer(
            None,
            None,
            format!("it was made with key {id}, which this server does not have"),
            "check it on a server that has this key",
        ),
        Authenticity::Changed => answer(
            Some(false),
            None,
            "it was changed after it was made, or was made with another key".into(),
            "get it again from whoever made it, as a file, and compare; in psql: \\pset format unaligned",
        ),
        Authenticity::Authentic => {
            let former = Former::read(&kept);
            let continuity = former.continuity();
            let detail = format!("made {}: {}; {}", continuity.made, continuity.verdict, continuity.detail);
            let next_step = match continuity.contained {
                Some(true) => "verify what came since: SELECT seal.report(previous => …) with this report",
                Some(false) => {
                    "an older state was put back, entries were removed, or this is another database: compare with a backup of that time"
                }
                None => "compare with a newer report",
            };
            answer(Some(true), continuity.contained, detail, next_step)
        }
    }
}
