//! Reading an expression: field by field and item by item first, to say where a fault is, then as a whole.

use super::fault::{Fault, Place};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use std::panic::catch_unwind;

/// No schedule that means anything is longer, in characters.
const LONGEST: usize = 200;

const NICKNAMES: [&str; 6] = ["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@annually"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

struct Field {
    name: &'static str,
    lowest: u32,
    highest: u32,
    /// Words that it may have beside numbers.
    words: &'static [&'static str],
    /// Characters that it may have beside digits and those of every field.
    signs: &'static str,
}

const FIELDS: [Field; 6] = [
    Field { name: "second", lowest: 0, highest: 59, words: &[], signs: "" },
    Field { name: "minute", lowest: 0, highest: 59, words: &[], signs: "" },
    Field { name: "hour", lowest: 0, highest: 23, words: &[], signs: "" },
    Field { name: "day of month", lowest: 1, highest: 31, words: &["L", "W", "LW"], signs: "" },
    Field { name: "month", lowest: 1, highest: 12, words: &MONTHS, signs: "" },
    Field { name: "day of week", lowest: 0, highest: 7, words: &WEEKDAYS, signs: "#" },
];

const SIGNS: &str = "*/,-";

fn parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build()
}

/// `None`: it is not one. What the crate does not expect is a fault, too.
fn cron(text: &str) -> Option<Cron> {
    catch_unwind(|| parser().parse(text).ok()).ok().flatten()
}

/// A word of the expression, with the number of its first character.
#[derive(Clone, Copy)]
struct Part<'a> {
    text: &'a str,
    from: usize,
}

impl<'a> Part<'a> {
    /// Its pieces between characters for which `between` says yes; empty ones too.
    fn split(self, between: impl Fn(char) -> bool) -> Vec<Part<'a>> {
        let mut found = Vec::new();
        let mut from = self.from;
        for text in self.text.split(between) {
            found.push(Part { text, from });
            from += text.chars().count() + 1;
        }
        found
    }
}

struct Reader<'a> {
    text: &'a str,
    field: Option<(usize, &'static str)>,
}

impl Reader<'_> {
    fn fault(&self, character: usize, reason: impl Into<String>) -> Fault {
        let place = Some(Place { field: self.field, character });
        Fault { text: self.text.to_owned(), place, reason: reason.into() }
    }

    fn characters(&self, field: &Field, part: Part<'_>) -> Result<(), Fault> {
        let letters = !field.words.is_empty();
        let fits = |letter: char| {
            letter.is_ascii_digit()
                || (letters && letter.is_ascii_alphabetic())
                || SIGNS.contains(letter)
                || field.signs.contains(letter)
        };
        match part.text.chars().enumerate().find(|(_, letter)| !fits(*letter)) {
            Some((place, letter)) => Err(self.fault(part.from + place, format!("'{letter}' cannot stand here"))),
            None => Ok(()),
        }
    }

    fn numbers_and_words(&self, field: &Field, item: Part<'_>) -> Result<(), Fault> {
        // The step of a range is a number of another kind.
        let range = item.split(|letter| letter == '/').remove(0);
        let range = range.split(|letter| letter == '#').remove(0);
        for part in range.split(|letter| !letter.is_ascii_alphanumeric()) {
            let digits = part.text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
            let word = &part.text[digits.len()..];
            if !digits.is_empty() {
                let Field { lowest, highest, .. } = *field;
                let within = digits.parse().is_ok_and(|number: u32| (lowest..=highest).contains(&number));
                if !within {
                    return Err(self.fault(part.from, format!("{digits} is not within {lowest} to {highest}")));
                }
            }
            let known = word.is_empty()
                || field.words.iter().any(|known| known.eq_ignore_ascii_case(word))
                // The last Friday of the month is 5L.
                || (field.signs.contains('#') && !digits.is_empty() && word.eq_ignore_ascii_case("L"));
            if !known {
                return Err(self.fault(part.from + digits.len(), format!("'{word}' means nothing here")));
            }
        }
        Ok(())
    }

    fn item(&self, place: usize, field: &Field, item: Part<'_>) -> Result<(), Fault> {
        if item.text.is_empty() {
            return Err(self.fault(item.from, "a value is missing"));
        }
        self.numbers_and_words(field, item)?;
        let mut alone = ["*"; FIELDS.len()];
        alone[place] = item.text;
        match cron(&alone.join(" ")) {
            Some(_) => Ok(()),
            None => Err(self.fault(item.from, format!("'{}' means nothing here", item.text))),
        }
    }
}

/// The schedule that an expression means.
pub fn read(text: &str) -> Result<Cron, Fault> {
    let mut reader = Reader { text, field: None };
    if text.chars().count() > LONGEST {
        return Err(reader.fault(LONGEST + 1, format!("it has more than {LONGEST} characters")));
    }
    let whole = Part { text, from: 1 };
    let parts: Vec<Part<'_>> =
        whole.split(|letter| letter.is_ascii_whitespace()).into_iter().filter(|part| !part.text.is_empty()).collect();
    if let [only] = parts.as_slice()
        && only.text.starts_with('@')
    {
        let known = NICKNAMES.iter().any(|known| known.eq_ignore_ascii_case(only.text));
        let reason = || format!("'{}' is not one of {}", only.text, NICKNAMES.join(", "));
        return cron(only.text).filter(|_| known).ok_or_else(|| reader.fault(only.from, reason()));
    }
    let first = match parts.len() {
        5 => 1,
        6 => 0,
        more @ 7.. => return Err(reader.fault(parts[6].from, format!("it has {more} fields, not 5 or 6"))),
        fewer => {
            let reason = format!("it has {fewer} field{}, not 5 or 6", if fewer == 1 { "" } else { "s" });
            return Err(reader.fault(text.trim_end().chars().count() + 1, reason));
        }
    };
    for (number, part) in parts.iter().enumerate() {
        let place = first + number;
        let field = &FIELDS[place];
        reader.field = Some((number + 1, field.name));
        reader.characters(field, *part)?;
        for item in part.split(|letter| letter == ',') {
            reader.item(place, field, item)?;
        }
    }
    reader.field = None;
    cron(text).ok_or_else(|| reader.fault(1, "it means nothing as a whole"))
}
