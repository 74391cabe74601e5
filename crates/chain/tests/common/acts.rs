//! What can be done to rows without the key.

use super::Row;
use proptest::prelude::*;
use proptest::sample::Index;

#[derive(Clone, Debug)]
pub enum Act {
    Content(Index),
    Mac(Index, Option<Index>),
    Prev(Index, Option<Index>),
    Position(Index, Option<i64>),
    Chain(Index, Option<u8>),
    Epoch(Index, Option<i32>),
    SealedAt(Index, Option<i64>),
    Swap(Index, Index),
    Delete(Index),
    Copy(Index),
    Branch(Index),
}

pub fn act() -> impl Strategy<Value = Act> {
    let row = any::<Index>;
    let position = prop_oneof![-2_i64..14, Just(i64::MAX), Just(i64::MIN)];
    prop_oneof![
        row().prop_map(Act::Content),
        (row(), prop::option::of(row())).prop_map(|(a, b)| Act::Mac(a, b)),
        (row(), prop::option::of(row())).prop_map(|(a, b)| Act::Prev(a, b)),
        (row(), prop::option::of(position)).prop_map(|(a, b)| Act::Position(a, b)),
        (row(), prop::option::of(b'a'..b'd')).prop_map(|(a, b)| Act::Chain(a, b)),
        (row(), prop::option::of(-1..5)).prop_map(|(a, b)| Act::Epoch(a, b)),
        (row(), prop::option::of(any::<i64>())).prop_map(|(a, b)| Act::SealedAt(a, b)),
        (row(), row()).prop_map(|(a, b)| Act::Swap(a, b)),
        row().prop_map(Act::Delete),
        row().prop_map(Act::Copy),
        row().prop_map(Act::Branch),
    ]
}

fn pick<'a>(rows: &'a mut [Row], index: &Index) -> &'a mut Row {
    let length = rows.len();
    &mut rows[index.index(length)]
}

pub fn apply(rows: &mut Vec<Row>, branch: &[Row], act: &Act) {
    if rows.is_empty() {
        return;
    }
    let other = |rows: &mut Vec<Row>, index: &Index| pick(rows, index).clone();
    match act {
        Act::Content(row) => pick(rows, row).content ^= 0x1000,
        Act::Mac(row, from) => {
            let mac = from.as_ref().and_then(|from| other(rows, from).mac);
            pick(rows, row).mac = mac;
        }
        Act::Prev(row, from) => {
            let prev = from.as_ref().and_then(|from| other(rows, from).prev);
            pick(rows, row).prev = prev;
        }
        Act::Position(row, position) => pick(rows, row).position = *position,
        Act::Chain(row, chain) => pick(rows, row).chain = chain.map(|byte| vec![byte]),
        Act::Epoch(row, epoch) => pick(rows, row).epoch = *epoch,
        Act::SealedAt(row, at) => pick(rows, row).sealed_at = *at,
        Act::Swap(a, b) => {
            let (first, second) = (other(rows, a).position, other(rows, b).position);
            pick(rows, a).position = second;
            pick(rows, b).position = first;
        }
        Act::Delete(row) => {
            let at = row.index(rows.len());
            rows.remove(at);
        }
        Act::Copy(row) => {
            let copy = other(rows, row);
            rows.push(copy);
        }
        Act::Branch(row) => rows.push(row.get(branch).clone()),
    }
}
