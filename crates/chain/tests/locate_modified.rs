//! One entry that was changed is one finding, at the place where it was sealed.

mod common;

use common::World;
use pgseal_chain::Kind;

#[test]
fn nothing_is_found_in_what_is_right() {
    assert!(World::of(10).brief().is_empty());
    assert!(World::of(5).with("b", 7).with("c", 1).brief().is_empty());
    assert!(World::empty().brief().is_empty());
}

#[test]
fn changed_content() {
    for position in [1, 4, 10] {
        let mut world = World::of(10);
        world.row(position).content = 77;
        assert_eq!(world.brief(), [format!("modified a:{position} #{position}")]);
    }
    let mut world = World::of(10);
    world.row(4).content = 77;
    assert_eq!(world.detail(), "entry 4 was changed after it was sealed");
}

#[test]
fn changed_content_in_several_rows() {
    let mut world = World::of(10);
    for position in [4, 5, 6, 9] {
        world.row(position).content = 77;
    }
    assert_eq!(world.brief(), ["modified a:4 #4", "modified a:5 #5", "modified a:6 #6", "modified a:9 #9"]);
}

#[test]
fn changed_mac() {
    for position in [1, 4, 10] {
        let mut world = World::of(10);
        let old = hex::encode(world.get(position).mac());
        world.row(position).mac = Some(vec![7; 32]);
        assert_eq!(world.brief(), [format!("modified a:{position} #{position}")]);
        let finding = world.findings().list.remove(0);
        assert_eq!(finding.expected, Some(old));
        assert_eq!(finding.found, Some("07".repeat(32)));
    }
}

#[test]
fn malformed_and_missing_seals() {
    for position in [1, 4, 10] {
        for bad in [None, Some(vec![]), Some(vec![1; 31]), Some(vec![1; 33])] {
            let expected = [format!("modified a:{position} #{position}")];
            let mut world = World::of(10);
            world.row(position).mac = bad.clone();
            assert_eq!(world.brief(), expected);
            let mut world = World::of(10);
            world.row(position).prev = bad.clone();
            assert_eq!(world.brief(), expected);
        }
        let mut world = World::of(10);
        world.row(position).sealed_at = None;
        assert_eq!(world.brief(), [format!("modified a:{position} #{position}")]);
    }
}

#[test]
fn changed_prev() {
    for position in [1, 4, 10] {
        let mut world = World::of(10);
        world.row(position).prev = Some(vec![7; 32]);
        assert_eq!(world.brief(), [format!("modified a:{position} #{position}")]);
    }
}

#[test]
fn changed_position() {
    for (from, to) in [(4, 50), (4, 8), (4, 11), (10, 11), (1, 5), (10, 2), (4, -3), (4, 0)] {
        let mut world = World::of(10).with("b", 3);
        world.row(from).position = Some(to);
        assert_eq!(world.brief(), [format!("modified a:{from} #{from}")], "{from} to {to}");
        let detail = format!("entry {from} was changed after it was sealed: its position was changed to {to}");
        assert_eq!(world.detail(), detail);
    }
}

#[test]
fn removed_position_or_chain() {
    let mut world = World::of(10);
    world.row(4).position = None;
    assert_eq!(world.brief(), ["modified a:4 #4"]);
    assert!(world.detail().ends_with("its position was removed"));
    let mut world = World::of(10);
    world.row(4).chain = None;
    assert_eq!(world.brief(), ["modified a:4 #4"]);
    assert!(world.detail().ends_with("its chain was removed"));
    let mut world = World::of(10);
    world.row(10).chain = None;
    world.row(10).position = None;
    assert_eq!(world.brief(), ["modified a:10 #10"]);
    assert!(world.detail().ends_with("its chain was removed and its position was removed"));
}

#[test]
fn changed_chain() {
    for chain in ["b", "zzz", "0"] {
        for position in [1, 4, 10] {
            let mut world = World::of(10).with("b", 3);
            world.row(position).chain = Some(chain.into());
            assert_eq!(world.brief(), [format!("modified a:{position} #{position}")]);
            assert!(world.detail().ends_with(&format!("its chain was changed to {chain}")));
        }
    }
}

#[test]
fn a_chain_renamed_as_a_whole() {
    let mut world = World::of(5);
    for row in &mut world.rows {
        row.chain = Some(b"zzz".to_vec());
    }
    let expected: Vec<String> = (1..=5).map(|p| format!("modified a:{p} #{p}")).collect();
    assert_eq!(world.brief(), expected);
}

#[test]
fn a_run_of_rows_moved() {
    let mut world = World::of(10);
    for position in 4..=6 {
        world.row(position).position = Some(i64::from(position) + 20);
    }
    assert_eq!(world.brief(), ["modified a:4 #4", "modified a:5 #5", "modified a:6 #6"]);
    // From below as well, when the newest of the run is gone.
    world.delete([6]);
    assert_eq!(world.brief(), ["modified a:4 #4", "modified a:5 #5", "missing a:6"]);
}

#[test]
fn swapped_positions() {
    for (a, b) in [(4, 8), (4, 5), (1, 10), (9, 10)] {
        let mut world = World::of(10);
        world.row(a).position = Some(i64::from(b));
        world.row(b).position = Some(i64::from(a));
        assert_eq!(world.brief(), [format!("modified a:{a} #{a}"), format!("modified a:{b} #{b}")]);
        assert!(world.detail().contains(&format!("its position was changed to {a}")));
        assert!(world.detail().contains(&format!("its position was changed to {b}")));
    }
}

#[test]
fn shifted_positions() {
    let mut world = World::of(10);
    for position in 4..=10 {
        world.row(position).position = Some(i64::from(position) + 1);
    }
    let expected: Vec<String> = (4..=10).map(|p| format!("modified a:{p} #{p}")).collect();
    assert_eq!(world.brief(), expected);
}

#[test]
fn a_gap_closed_by_hand() {
    // Entry 5 removed, entry 6 made to follow entry 4.
    let mut world = World::of(10);
    let prev = world.get(5).prev;
    world.delete([5]);
    world.row(6).prev = prev;
    assert_eq!(world.brief(), ["missing a:5", "modified a:6 #6"]);
    // The later ones moved down as well.
    let mut world = World::of(10);
    world.delete([5]);
    for position in 6..=10 {
        world.row(position).position = Some(i64::from(position) - 1);
    }
    let mut expected = vec!["missing a:5".to_owned()];
    expected.extend((6..=10).map(|p| format!("modified a:{p} #{p}")));
    assert_eq!(world.brief(), expected);
}

#[test]
fn epochs() {
    let mut world = World::of(10);
    world.row(4).epoch = Some(2);
    assert_eq!(world.brief(), ["wrong_epoch a:4 #4"]);
    let mut world = World::of(10);
    world.row(4).epoch = Some(77);
    world.row(5).epoch = None;
    assert_eq!(world.brief(), ["wrong_epoch a:4 #4", "wrong_epoch a:5 #5"]);
    // Valid under none, and the mac is the expected one.
    let mut world = World::of(10);
    world.row(4).epoch = Some(77);
    world.row(4).content = 1;
    assert_eq!(world.brief(), ["wrong_epoch a:4 #4"]);
    world.row(4).mac = Some(vec![1; 32]);
    assert_eq!(world.brief(), ["modified a:4 #4"]);
}

#[test]
fn epochs_do_not_descend() {
    let mut world = World::empty();
    world.extend("a", (1..=9).map(|p| (p, if p <= 3 { 1 } else { 2 })));
    assert!(world.brief().is_empty());
    world.extend("a", (10..=12).map(|p| (p, 1)));
    world.extend("a", (13..=14).map(|p| (p, 2)));
    assert_eq!(world.brief(), ["wrong_epoch a:10-12 #10"]);
}

#[test]
fn content_that_no_epoch_knows_of() {
    let mut world = World::of(10);
    world.row(4).foreign_content = Some("note".to_owned());
    let findings = world.findings();
    assert_eq!(world.brief(), ["unknown_column a:4 #4"]);
    assert_eq!(findings.list[0].kind, Kind::UnknownColumn);
    assert!(!findings.list[0].is_unverifiable());
    assert_eq!(findings.tampered, 1);
}
