//! Whatever is done to the rows is found, without panic and without a flood of findings.

mod common;

use common::acts::{Act, act, apply};
use common::{Row, World};
use proptest::prelude::*;

fn sorted(rows: &[Row]) -> Vec<String> {
    let mut rows: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
    rows.sort();
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn every_act_is_found(
        acts in prop::collection::vec(act(), 0..6),
        pruned in 0_u32..3,
        heads in any::<bool>(),
    ) {
        let mut world = World::of(9).with("b", 3);
        let branch = world.branch(3, 50, 6);
        if pruned > 0 {
            world.prune(pruned);
        }
        let before = sorted(&world.rows);
        for act in &acts {
            apply(&mut world.rows, &branch, act);
        }
        if heads {
            let changed = sorted(&world.rows) != before;
            prop_assert_eq!(!world.findings().is_empty(), changed, "{:?}", world.brief());
        } else {
            world.known.heads.clear();
        }
        let findings = world.findings();
        prop_assert!(findings.total as usize <= 2 * acts.len(), "{:?}", world.brief());
        prop_assert_eq!(findings.total as usize, findings.list.len());
        for lost in 1..=3 {
            world.lost_keys = vec![lost];
            let _ = world.findings();
        }
    }

    #[test]
    fn one_act_is_one_finding(act in act(), pruned in 0_u32..3) {
        let mut world = World::of(9).with("b", 3);
        let branch = world.branch(3, 50, 6);
        if pruned > 0 {
            world.prune(pruned);
        }
        let before = sorted(&world.rows);
        apply(&mut world.rows, &branch, &act);
        let acts = match act {
            Act::Swap(..) => 2,
            _ => 1,
        };
        let changed = if sorted(&world.rows) == before { 0 } else { acts };
        prop_assert_eq!(world.brief().len(), changed, "{:?}", world.brief());
    }
}
