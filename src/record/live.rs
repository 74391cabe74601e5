//! A history's definition as it is in the catalogs now, as a flat map from items to texts.
//!
//! Items are named so that an auditor understands them: `table`, `owner`, `column amount`,
//! `trigger audit`, `index i on partition public.p1`. Dump and restore change nothing of it, and a
//! rename of the table changes one item only. Of partitions it has what their root does not imply.

use crate::pg::output::PinnedOutput;
use crate::pg::settings::PinnedPath;
use crate::pg::snapshot::Sees;
use crate::pg::spi;
use crate::record::changes::Changes;
use std::collections::BTreeMap;

/// Item → text.
pub type LiveDefinition = BTreeMap<String, String>;

/// The item that holds the table's schema-qualified name.
pub const TABLE: &str = "table";

/// What the items of types begin with.
pub const TYPE: &str = "type ";

/// What the texts of domains begin with; those of other types have no expressions.
const DOMAIN: &str = "domain over ";

/// What the items of tables begin with whose text may have an expression.
const EXPRESSIONS: [&str; 7] =
    ["column ", "default of column ", "trigger ", "rule ", "policy ", "constraint ", "index "];

const QUERY: &str = include_str!("live.sql");

/// The definitions of several histories (roots) in one query; none for a table that is gone.
pub fn of(relations: &[u32], sees: Sees) -> BTreeMap<u32, LiveDefinition> {
    let mut found: BTreeMap<u32, LiveDefinition> = BTreeMap::new();
    if relations.is_empty() {
        return found;
    }
    // In printed expressions it says whether a backslash is doubled.
    let _settings = PinnedPath::pin_with(&[(c"standard_conforming_strings", c"on")]);
    let _output = PinnedOutput::pin();
    for row in spi::query(&QUERY.replace("{roots}", &oids(relations)), sees) {
        if let [Some(root), Some(item), text] = row.as_slice()
            && let Ok(root) = root.parse()
        {
            found.entry(root).or_default().insert(item.clone(), text.clone().unwrap_or_default());
        }
    }
    found
}

/// The definition of one history, as this transaction sees it now.
pub fn of_history(relation: u32) -> LiveDefinition {
    of(&[relation], Sees::Stored).remove(&relation).unwrap_or_default()
}

/// An SQL array of oids, without its quotes.
pub fn oids(relations: &[u32]) -> String {
    let list: Vec<String> = relations.iter().map(u32::to_string).collect();
    format!("{{{}}}", list.join(","))
}

/// What leads from one definition to another. Another print of the same expression is no change.
pub fn difference(before: &LiveDefinition, after: &LiveDefinition) -> Changes {
    Changes {
        set: after
            .iter()
            .filter(|(item, text)| !before.get(*item).is_some_and(|known| is_same(item, known, text)))
            .map(|(item, text)| (item.clone(), text.clone()))
            .collect(),
        added: after.keys().filter(|item| !before.contains_key(*item)).cloned().collect(),
        unset: before.keys().filter(|item| !after.contains_key(*item)).cloned().collect(),
    }
}

/// Names and labels are compared letter by letter: quotes in them need not match.
fn is_same(item: &str, one: &str, other: &str) -> bool {
    let has_expressions =
        EXPRESSIONS.iter().any(|kind| item.starts_with(kind)) || (item.starts_with(TYPE) && one.starts_with(DOMAIN));
    one == other || (has_expressions && pgseal_expression::is_same(one, other))
}

/// One item that is not as the journal has it: a sentence, what the journal says, what is there.
pub type Problem = (String, Option<String>, Option<String>);

/// Where the live definition is not the journaled one.
pub fn problems(journaled: &LiveDefinition, live: &LiveDefinition) -> Vec<Problem> {
    let table = journaled.get(TABLE).or_else(|| live.get(TABLE)).cloned().unwrap_or_default();
    let changes = difference(journaled, live);
    let sentence = |item: &str, what: &str| match item {
        TABLE => format!("table {table} was renamed or moved outside pgseal"),
        _ => format!("{item} of table {table} was {what} outside pgseal"),
    };
    let set = changes.set.iter().map(|(item, text)| {
        let what = if changes.added.contains(item) { "added" } else { "changed" };
        (sentence(item, what), journaled.get(item).cloned(), Some(text.clone()))
    });
    let unset = changes.unset.iter().map(|item| (sentence(item, "removed"), journaled.get(item).cloned(), None));
    set.chain(unset).collect()
}
