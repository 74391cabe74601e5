//! What is wrong with an expression, and where.

use std::fmt;

/// An expression that cannot be a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid schedule \"{text}\"")]
pub struct Fault {
    /// The expression.
    pub text: String,
    /// Where the fault is; `None`: nowhere in particular.
    pub place: Option<Place>,
    /// What is wrong there.
    pub reason: String,
}

/// A place in an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Number of the field from 1 on, with its name; `None`: not in a field.
    pub field: Option<(usize, &'static str)>,
    /// Number of the character in the whole expression, from 1 on.
    pub character: usize,
}

impl Fault {
    /// An example for each kind of schedule.
    pub const HINT: &str = "Write five fields, minute hour day-of-month month day-of-week, such as '0 3 * * *' for 03:00 \
         every day or '30 2 * * SUN' for 02:30 on Sundays; a sixth field in front of them is the second.";

    pub(crate) fn never(text: &str) -> Fault {
        Fault { text: text.to_owned(), place: None, reason: "such a date never comes".to_owned() }
    }

    /// Place and reason as a sentence.
    pub fn detail(&self) -> String {
        match &self.place {
            Some(place) => format!("{place}: {}.", self.reason),
            None => {
                let mut letters = self.reason.chars();
                let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
                format!("{first}{}.", letters.as_str())
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field {
            Some((number, name)) => write!(f, "Field {number} ({name}), character {}", self.character),
            None => write!(f, "Character {}", self.character),
        }
    }
}
