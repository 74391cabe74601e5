//! Stored generated columns: no signature covers them, since a BEFORE trigger cannot see their
//! values, so each is compared with its expression.

use super::locate::RowKey;
use super::pass;
use crate::pg::output::PinnedOutput;
use crate::pg::{spi, user};
use pgseal_chain::{Finding, Kind};

/// Most rows that are named for one column.
const MAX_ROWS: u32 = 1_000;

/// What is asked about a history.
pub struct Question<'a> {
    pub relation: u32,
    pub key_columns: &'a [String],
    /// Only rows with this value in this column: the row is authentic, so that its tenant is known.
    pub tenant: Option<(&'a str, &'a str)>,
    /// Only rows that meet this, as `WHERE` and a condition on `h`.
    pub condition: Option<&'a str>,
}

struct Generated {
    column: String,
    expression: String,
    owner: u32,
}

/// Rows whose generated column is not what its expression gives. The expressions run with the
/// rights of the table's owner, who wrote them.
pub fn check(table: &str, question: &Question<'_>) -> Vec<Finding<RowKey>> {
    let differing =
        |generated: &Generated| user::with_rights_of(generated.owner, || differing(generated, table, question));
    columns(question.relation).iter().flat_map(differing).collect()
}

fn columns(relation: u32) -> Vec<Generated> {
    spi::read(&format!(
        "SELECT a.attname,
                pg_catalog.format('(%s)::%s', pg_catalog.pg_get_expr(d.adbin, d.adrelid),
                                  pg_catalog.format_type(a.atttypid, a.atttypmod)),
                c.relowner
           FROM pg_catalog.pg_attribute a
           JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
           JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
          WHERE a.attrelid = {relation} AND a.attgenerated = 's' AND NOT a.attisdropped
          ORDER BY a.attnum"
    ))
    .into_iter()
    .filter_map(|row| match <[_; 3]>::try_from(row) {
        Ok([Some(column), Some(expression), Some(owner)]) => {
            Some(Generated { column, expression, owner: owner.parse().ok()? })
        }
        _ => None,
    })
    .collect()
}

fn differing(generated: &Generated, table: &str, question: &Question<'_>) -> Vec<Finding<RowKey>> {
    let column = spi::identifier(&generated.column);
    let expression = &generated.expression;
    let key: Vec<String> =
        question.key_columns.iter().map(|name| format!("{}, {}", spi::literal(name), spi::identifier(name))).collect();
    let of_tenant = question.tenant.map(|(column, tenant)| format!("AND {}", pass::prints_as(column, tenant)));
    // Expressions that print values were evaluated under the settings of the inserting session.
    let _pinned = PinnedOutput::pin();
    spi::read(&format!(
        "SELECT seal_chain, seal_seq, pg_catalog.\"left\"(({expression})::pg_catalog.text, 200),
                pg_catalog.\"left\"({column}::pg_catalog.text, 200), pg_catalog.jsonb_build_object({})
           FROM (SELECT * FROM {table} h{}) h
          WHERE {column}::pg_catalog.text IS DISTINCT FROM ({expression})::pg_catalog.text {}
          LIMIT {MAX_ROWS}",
        key.join(", "),
        question.condition.unwrap_or_default(),
        of_tenant.unwrap_or_default()
    ))
    .into_iter()
    .filter_map(|row| <[_; 5]>::try_from(row).ok())
    .map(|[chain, position, expected, found, key]| {
        let position = position.and_then(|text| text.parse().ok());
        let place = position.map_or_else(String::new, |position: u64| format!(" of entry {position}"));
        let what = format!("the generated column {}{place} is not what its expression gives", generated.column);
        let key = key.map(|json| RowKey { json, content: None });
        Finding { chain, position, ..Finding::new(Kind::Modified, what).values(expected, found).about(key, true) }
    })
    .collect()
}
