//! The difference between two definitions of a history.

use super::live::TABLE;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Most items that a sentence names; the details name all.
const NAMED: usize = 6;

/// Items that got a new text, and items that are gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    pub set: BTreeMap<String, String>,
    /// Those of `set` that were not there before.
    pub added: BTreeSet<String>,
    pub unset: Vec<String>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.unset.is_empty()
    }

    /// For people: `trigger a was added, column c was changed`.
    pub fn sentence(&self) -> String {
        let set = self.set.iter().map(|(item, text)| {
            if item == TABLE {
                return format!("it is called {text} now");
            }
            let what = if self.added.contains(item) { "added" } else { "changed" };
            format!("{item} was {what}")
        });
        let unset = self.unset.iter().map(|item| format!("{item} was removed"));
        let all: Vec<String> = unset.chain(set).collect();
        match all.len().saturating_sub(NAMED) {
            0 => all.join(", "),
            more => format!("{} and {more} more", all[..NAMED].join(", ")),
        }
    }

    /// For the journal: applied to the definition before, it gives the one after.
    pub fn details(&self, command: &str) -> Value {
        json!({"command": command, "set": self.set, "unset": self.unset})
    }

    /// Whether an item has this in its name.
    pub fn touches(&self, name: &str) -> bool {
        self.set.keys().chain(&self.unset).any(|item| item.contains(name))
    }

    /// Only the items that `wanted` accepts.
    pub fn only(mut self, wanted: impl Fn(&str) -> bool) -> Changes {
        self.set.retain(|item, _| wanted(item));
        self.added.retain(|item| wanted(item));
        self.unset.retain(|item| wanted(item));
        self
    }
}
