//! pgseal's own tables as the install script makes them. Their rows are read by place, so a table
//! with other columns is not read at all.

use crate::pg::relation::Relation;
use crate::pg::row::Row;
use crate::pg::scan;
use crate::pg::value::ColumnType;
use std::ffi::CStr;

/// One of these tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    History,
    Epoch,
    Journal,
    Anchor,
    Run,
    Checkpoint,
    Closing,
}

const ALL: [Table; 7] =
    [Table::History, Table::Epoch, Table::Journal, Table::Anchor, Table::Run, Table::Checkpoint, Table::Closing];

const TIME: &str = "timestamp with time zone";

impl Table {
    fn name(self) -> &'static CStr {
        match self {
            Table::History => c"history",
            Table::Epoch => c"epoch",
            Table::Journal => c"journal",
            Table::Anchor => c"anchor",
            Table::Run => c"run",
            Table::Checkpoint => c"checkpoint",
            Table::Closing => c"closing",
        }
    }

    fn columns(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Table::History => &[
                ("history_id", "uuid"),
                ("relation", "regclass"),
                ("tenant_column", "text"),
                ("max_chains", "integer"),
                ("window_months", "integer"),
                ("epoch", "integer"),
                ("epoch_digest", "bytea"),
                ("attached_at", TIME),
                ("attached_by", "text"),
                ("detached_at", TIME),
                ("detached_by", "text"),
                ("mac", "bytea"),
                ("detach_mac", "bytea"),
            ],
            Table::Epoch => &[("history_id", "uuid"), ("epoch", "integer"), ("record", "jsonb"), ("mac", "bytea")],
            Table::Journal => &[
                ("at", TIME),
                ("who", "text"),
                ("kind", "text"),
                ("history", "text"),
                ("sentence", "text"),
                ("details", "jsonb"),
                ("history_id", "uuid"),
                ("chain", "text"),
                ("seq", "bigint"),
                ("anchor", "bigint"),
                ("key", "text"),
                ("prev", "bytea"),
                ("mac", "bytea"),
            ],
            Table::Anchor => &[
                ("chain", "text"),
                ("number", "bigint"),
                ("at", TIME),
                ("complete", "boolean"),
                ("heads", "jsonb"),
                ("boot", "text"),
                ("boot_time", "bigint"),
                ("key", "text"),
                ("prev", "bytea"),
                ("mac", "bytea"),
            ],
            Table::Run => &[("id", "bigint"), ("record", "jsonb")],
            Table::Checkpoint => &[("history_id", "uuid"), ("record", "jsonb")],
            Table::Closing => &[("history_id", "uuid"), ("number", "bigint"), ("record", "jsonb"), ("mac", "bytea")],
        }
    }

    /// Its oid, if the extension is installed in this database.
    pub fn oid(self) -> Option<u32> {
        scan::seal_table(self.name())
    }

    /// Open, if it is there with exactly the columns that it was made with.
    pub fn open(self) -> Option<Relation> {
        self.oid().and_then(Relation::open).filter(|open| self.fits(open))
    }

    fn fits(self, open: &Relation) -> bool {
        let attributes = open.attributes();
        let columns = self.columns();
        open.has_storage()
            && attributes.len() == columns.len()
            && attributes.iter().zip(columns).enumerate().all(|(place, (attribute, (name, type_name)))| {
                attribute.index == place && attribute.name == *name && attribute.type_name() == *type_name
            })
    }
}

/// The text of the jsonb at a place of a row. A damaged value leaves an unfinished text, which no mac and no digest
/// fits.
pub fn jsonb_text(row: Row<'_>, place: usize, jsonb: &ColumnType) -> String {
    let mut text = Vec::new();
    if let Some(value) = row.get(place) {
        let _ = jsonb.write_json(value, &mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Whether this is one of them.
pub fn is_own(table: u32) -> bool {
    ALL.into_iter().any(|own| own.oid() == Some(table))
}

/// A sentence for each table that is not as it was made.
pub fn problems() -> Vec<String> {
    ALL.into_iter()
        .filter(|table| table.open().is_none())
        .map(|table| {
            let name = table.name().to_string_lossy();
            format!("table seal.{name} is gone, or has other columns than pgseal made it with")
        })
        .collect()
}
