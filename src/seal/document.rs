//! The document of a row: which columns, in which order, written how.

use crate::pg::row::Row;
use crate::pg::value::ColumnType;
use crate::record::columns::Place;
use crate::record::definition::{Definition, Epoch};
use pgseal_document::{self as text, Malformed};

struct Member {
    /// `"name": `, escaped.
    key: Vec<u8>,
    index: usize,
    column: ColumnType,
}

/// Writes documents of one epoch for rows of one layout.
pub struct DocumentPlan {
    members: Vec<Member>,
}

/// A signed column that the table no longer has, or has with another type.
#[derive(Debug, Clone)]
pub struct MissingColumn {
    pub name: String,
    pub type_name: String,
}

impl DocumentPlan {
    /// All these columns, under their own names.
    pub fn of_places(places: &[Place]) -> DocumentPlan {
        DocumentPlan::new(places.iter().map(|place| (place.name.as_str(), place)).collect())
    }

    /// The columns of an epoch under the names they had then, found in `places` by today's names.
    pub fn of_epoch(definition: &Definition, epoch: &Epoch, places: &[Place]) -> Result<DocumentPlan, MissingColumn> {
        let found = epoch.record.columns.iter().map(|column| {
            definition
                .live(column)
                .and_then(|live| {
                    places.iter().find(|place| place.name == live.name && place.type_name == live.type_name)
                })
                .map(|place| (column.name.as_str(), place))
                .ok_or_else(|| MissingColumn { name: column.name.clone(), type_name: column.type_name.clone() })
        });
        Ok(DocumentPlan::new(found.collect::<Result<_, _>>()?))
    }

    fn new(mut columns: Vec<(&str, &Place)>) -> DocumentPlan {
        columns.sort_by(|(a, _), (b, _)| text::member_order(a.as_bytes(), b.as_bytes()));
        let members = columns
            .into_iter()
            .map(|(name, place)| Member {
                key: member_key(name),
                index: place.index,
                column: ColumnType::new(place.type_oid),
            })
            .collect();
        DocumentPlan { members }
    }

    /// Replaces `out` by the row's document. NULL columns are absent.
    pub fn write(&self, row: Row<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
        out.clear();
        out.push(b'{');
        for member in &self.members {
            if let Some(value) = row.get(member.index) {
                if out.len() > 1 {
                    out.extend_from_slice(b", ");
                }
                out.extend_from_slice(&member.key);
                member.column.write_json(value, out)?;
            }
        }
        out.push(b'}');
        Ok(())
    }
}

fn member_key(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 4);
    // A column name has at most 63 bytes, so its escaped text cannot be too long.
    let _ = text::write_string(name.as_bytes(), &mut key);
    key.extend_from_slice(b": ");
    key
}
