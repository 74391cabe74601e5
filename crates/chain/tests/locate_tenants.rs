//! Whoever has a row that is not as it was sealed is told, and nobody is told another's key.

mod common;

use common::acts::{act, apply};
use common::{Row, World};
use pgseal_chain::Known;
use proptest::prelude::*;

const TENANTS: u32 = 3;

fn tenant(row: &Row) -> u32 {
    row.key % TENANTS
}

/// Those of `rows` that are not among `others`, each as often as it stands there more.
fn without(rows: &[Row], others: &[Row]) -> Vec<Row> {
    let mut left = others.to_vec();
    let is_more = |row: &&Row| match left.iter().position(|other| other == *row) {
        Some(index) => {
            left.swap_remove(index);
            false
        }
        None => true,
    };
    rows.iter().filter(is_more).cloned().collect()
}

/// Which tenants may by no means be told that all is well. An entry that is gone or changed may have been anybody's,
/// unless only the number of its epoch was changed.
fn concerned(before: &[Row], now: &[Row]) -> Vec<bool> {
    let mut strange = without(now, before);
    let mut lost = without(before, now);
    let mut is_concerned = vec![false; TENANTS as usize];
    lost.retain(|lost| {
        let same = |row: &Row| Row { epoch: lost.epoch, ..row.clone() } == *lost;
        let index = strange.iter().position(same);
        if let Some(index) = index {
            is_concerned[tenant(&strange.swap_remove(index)) as usize] = true;
        }
        index.is_none()
    });
    for row in &strange {
        is_concerned[tenant(row) as usize] = true;
    }
    is_concerned.iter().map(|is_concerned| *is_concerned || !lost.is_empty()).collect()
}

/// An entry whose epoch was changed, where the path first seems to go along a branch.
#[test]
fn an_entry_beside_a_branch_is_told_to_its_tenant() {
    let mut world = World::of(12);
    let branch = world.branch(3, 50, 2);
    world.row(4).epoch = None;
    world.rows.splice(0..0, branch);
    world.known = Known { tenant_only: true, ..world.known };
    world.rows.iter_mut().for_each(|row| row.of_tenant = tenant(row) == 1);
    assert_eq!(world.brief(), ["wrong_epoch a:4 #4"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn whoever_is_concerned_is_told(
        acts in prop::collection::vec(act(), 0..6),
        beside in prop::collection::vec(any::<bool>(), 6),
        beside_first in any::<bool>(),
    ) {
        let mut world = World::of(12).with("b", 3);
        let before = world.rows.clone();
        let branch = world.branch(3, 50, 6);
        let rows = branch.iter().zip(&beside).filter(|(_, beside)| **beside).map(|(row, _)| row.clone());
        let at = if beside_first { 0 } else { world.rows.len() };
        world.rows.splice(at..at, rows);
        for act in &acts {
            apply(&mut world.rows, &branch, act);
        }
        let concerned = concerned(&before, &world.rows);
        let all = world.brief();
        world.known = Known { tenant_only: true, ..world.known };
        for asking in 0..TENANTS {
            world.rows.iter_mut().for_each(|row| row.of_tenant = tenant(row) == asking);
            let findings = world.findings();
            if concerned[asking as usize] {
                prop_assert!(findings.total > 0, "{asking} is told nothing of {all:?}");
            }
            for finding in findings.list.iter().filter(|finding| finding.of_tenant) {
                prop_assert!(finding.key.is_none_or(|key| key % TENANTS == asking), "{asking} is told {finding:?}");
            }
        }
    }
}
