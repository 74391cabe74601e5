//! Subject and text of an alarm, from the templates that settings hold.
//!
//! What a placeholder stands for is data: a name of a table may contain anything. So every value but the
//! report is put on one line, and the subject as a whole.

use super::{Alarm, newest_anchor_line};
use crate::pg::{clock, server};
use crate::settings;

/// The letters after `%`; `%%` is a percent sign.
const PLACEHOLDERS: &str = "kdhtvnNrRasm";
/// How long a subject may be, in bytes.
const LONGEST_SUBJECT: usize = 240;
/// What stands for a value that there is not.
const NONE: &str = "-";

/// What a mail says, and a command reads.
#[derive(Debug, Clone)]
pub struct Message {
    /// One line.
    pub subject: String,
    pub text: String,
}

impl Message {
    /// What the templates make of an alarm; inside a transaction.
    pub fn of(alarm: &Alarm) -> Message {
        let (subject, text) = (settings::alert::mail_subject(), settings::alert::mail_text());
        let values = Values {
            alarm,
            at: clock::text(clock::now()),
            database: server::database_name(),
            host: host(),
            anchor: alarm.anchor_line.clone().or_else(newest_anchor_line),
        };
        let subject = one_line(&values.fill(&subject));
        let end = subject.floor_char_boundary(LONGEST_SUBJECT);
        Message { subject: subject[..end].trim().to_owned(), text: lines(&values.fill(&text)) }
    }
}

/// This machine's name; empty where it has none that can be read.
pub fn host() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default()
}

struct Values<'a> {
    alarm: &'a Alarm,
    at: String,
    database: String,
    host: String,
    anchor: Option<String>,
}

impl Values<'_> {
    fn fill(&self, template: &str) -> String {
        let mut filled = String::new();
        for piece in Pieces(template.char_indices()) {
            match piece {
                Ok(Piece::Letter(letter)) => filled.push(letter),
                Ok(Piece::Placeholder('R')) => filled.push_str(&self.alarm.report),
                Ok(Piece::Placeholder(name)) => filled.push_str(&one_line(&self.value(name))),
                // The setting's check lets no such template pass.
                Err(_) => {}
            }
        }
        filled
    }

    fn value(&self, name: char) -> String {
        let alarm = self.alarm;
        let or_none = |text: Option<&str>| text.unwrap_or(NONE).to_owned();
        match name {
            'k' => alarm.kind.as_str().to_owned(),
            'd' => self.database.clone(),
            'h' => self.host.clone(),
            't' => or_none(alarm.history.as_deref()),
            'v' => or_none(alarm.verdict.as_deref()),
            'n' => alarm.findings.to_string(),
            'N' => alarm.findings_new.to_string(),
            'r' => alarm.run.map_or(NONE.to_owned(), |run| run.to_string()),
            'a' => or_none(self.anchor.as_deref()),
            'm' => self.at.clone(),
            _ => alarm.sentence.clone(),
        }
    }
}

/// Whether a template can be filled; the refusal names the place.
pub fn check(template: &str) -> Result<(), String> {
    Pieces(template.char_indices()).find_map(Result::err).map_or(Ok(()), Err)
}

enum Piece {
    Letter(char),
    Placeholder(char),
}

struct Pieces<'a>(std::str::CharIndices<'a>);

impl Iterator for Pieces<'_> {
    type Item = Result<Piece, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let (start, letter) = self.0.next()?;
        if letter != '%' {
            return Some(Ok(Piece::Letter(letter)));
        }
        Some(match self.0.next() {
            Some((_, '%')) => Ok(Piece::Letter('%')),
            Some((_, name)) if PLACEHOLDERS.contains(name) => Ok(Piece::Placeholder(name)),
            Some((_, name)) => Err(format!(
                "At byte {}: there is no placeholder %{name}. There are {}, and %% for a percent sign.",
                start + 1,
                known()
            )),
            None => Err(format!("At byte {}: a percent sign ends the text, write %% for one.", start + 1)),
        })
    }
}

fn known() -> String {
    PLACEHOLDERS.chars().map(|name| format!("%{name}")).collect::<Vec<_>>().join(" ")
}

/// Text on one line: what could end it, or change how the rest is read, is written as an escape.
pub fn one_line(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut line, letter| {
        if is_control(letter) {
            line.extend(letter.escape_default())
        } else {
            line.push(letter)
        }
        line
    })
}

/// Text of several lines without other control characters.
fn lines(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut lines, letter| {
        if is_control(letter) && letter != '\n' && letter != '\t' {
            lines.extend(letter.escape_default());
        } else {
            lines.push(letter);
        }
        lines
    })
}

/// Control characters, line and paragraph separators, and marks that reverse the reading direction.
fn is_control(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
