//! The columns that attach adds, and where the columns of a row stand.

use crate::pg::attributes::Attribute;

pub const CHAIN: &str = "seal_chain";
pub const SEQ: &str = "seal_seq";
pub const EPOCH: &str = "seal_epoch";
pub const ANCHOR: &str = "seal_anchor";
pub const AT: &str = "seal_at";
pub const PREV: &str = "seal_prev";
pub const MAC: &str = "seal_mac";

/// Name and type of each, in the order in which attach adds them; the text has collation "C".
pub const SEAL_COLUMNS: [(&str, &str); 7] = [
    (CHAIN, "text"),
    (SEQ, "bigint"),
    (EPOCH, "integer"),
    (ANCHOR, "bigint"),
    (AT, "timestamp with time zone"),
    (PREV, "bytea"),
    (MAC, "bytea"),
];

pub fn is_seal_column(name: &str) -> bool {
    SEAL_COLUMNS.iter().any(|(column, _)| *column == name)
}

/// Where each seal column stands in a row.
#[derive(Debug, Clone, Copy)]
pub struct SealPlaces {
    pub chain: usize,
    pub seq: usize,
    pub epoch: usize,
    pub anchor: usize,
    pub at: usize,
    pub prev: usize,
    pub mac: usize,
}

impl SealPlaces {
    /// In a table's rows; `None` unless all seven are there with their types. With another type,
    /// reading them would run whatever cast the table's owner defined.
    pub fn find(attributes: &[Attribute]) -> Option<SealPlaces> {
        let place = |name: &str| {
            let (_, type_name) = SEAL_COLUMNS.iter().find(|(column, _)| *column == name)?;
            let column = attributes.iter().find(|column| column.name == name)?;
            let fits = column.type_name() == *type_name && (name != CHAIN || column.has_collation_c());
            fits.then_some(column.index)
        };
        Some(SealPlaces {
            chain: place(CHAIN)?,
            seq: place(SEQ)?,
            epoch: place(EPOCH)?,
            anchor: place(ANCHOR)?,
            at: place(AT)?,
            prev: place(PREV)?,
            mac: place(MAC)?,
        })
    }

    /// Seven arguments in a row, as verification passes them.
    pub fn consecutive(first: usize) -> SealPlaces {
        SealPlaces {
            chain: first,
            seq: first + 1,
            epoch: first + 2,
            anchor: first + 3,
            at: first + 4,
            prev: first + 5,
            mac: first + 6,
        }
    }

    pub fn named(&self) -> [(&'static str, usize); 7] {
        [
            (CHAIN, self.chain),
            (SEQ, self.seq),
            (EPOCH, self.epoch),
            (ANCHOR, self.anchor),
            (AT, self.at),
            (PREV, self.prev),
            (MAC, self.mac),
        ]
    }
}

/// A column of the application that can be signed: not generated, not a seal column.
#[derive(Debug, Clone)]
pub struct Place {
    pub name: String,
    pub index: usize,
    pub type_oid: u32,
    pub type_name: String,
}

/// The signable columns of a table, in its order.
pub fn signable(attributes: &[Attribute]) -> Vec<Place> {
    attributes
        .iter()
        .filter(|column| !column.generated && !is_seal_column(&column.name))
        .map(|column| Place {
            name: column.name.clone(),
            index: column.index,
            type_oid: column.type_oid,
            type_name: column.type_name(),
        })
        .collect()
}
