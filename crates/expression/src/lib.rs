//! Whether PostgreSQL reads two texts of an expression as the same one.
//!
//! The server prints an expression from its tree. What it prints has the same meaning but, read again, it is not always
//! the same tree, and is printed otherwise from then on: after a dump and its restore, pg_upgrade, or a change of a
//! column's type. There are two such cases, and both are settled after one reading (but for casts of casts):
//!
//! | printed at first | printed once it has been read | comes from |
//! |---|---|---|
//! | `(ARRAY[a, b])::text[]` | `ARRAY[(a)::text, (b)::text]` | `varchar IN (…)`, `numeric = ANY (ARRAY[1, 2])` |
//! | `((a AND b) AND c)` | `(a AND b AND c)`, also for OR | `BETWEEN`, lists with columns or rows in them |
//!
//! Nothing else counts as the same: neither another order, nor a cast more, nor parentheses elsewhere.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod text;
mod tree;

/// Whether two texts, as the server prints them, are one expression. Texts whose brackets or quotes do not match, or that
/// are nested deeper than people nest, are the same only letter by letter.
pub fn is_same(one: &str, other: &str) -> bool {
    one == other
        || match (settled(one), settled(other)) {
            (Some(one), Some(other)) => one == other,
            _ => false,
        }
}

/// The text that the server keeps, however often it reads it.
fn settled(text: &str) -> Option<String> {
    Some(text::print(&tree::settle(text::parse(text)?)))
}
