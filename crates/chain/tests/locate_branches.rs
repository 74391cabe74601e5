//! Genuine rows of branches that were abandoned when a chain was rolled back and sealed anew.

mod common;

use common::World;

#[test]
fn entries_replaced_by_those_of_a_branch() {
    // Branch from 2: rows 50 at 3, 51 at 4, 52 at 5 …; 51 and 52 do not follow entry 3.
    let mut world = World::of(10);
    let branch = world.branch(2, 50, 5);
    world.delete([5]);
    world.rows.push(branch[2].clone());
    assert_eq!(world.brief(), ["wrong_predecessor a:5 #52"]);
    let mut world = World::of(10);
    world.delete(4..=6);
    world.rows.extend_from_slice(&branch[1..4]);
    assert_eq!(world.brief(), ["wrong_predecessor a:4-6 #51"]);
    assert_eq!(world.detail(), "entry 4 was not sealed after the entry that stands before it");
    // One that begins where the branch begins is only seen where it ends.
    let mut world = World::of(10);
    world.delete(3..=6);
    world.rows.extend_from_slice(&branch[..4]);
    assert_eq!(world.brief(), ["wrong_predecessor a:7 #7"]);
}

#[test]
fn two_incidents() {
    let mut world = World::of(20);
    let branch = world.branch(2, 50, 15);
    world.delete([5, 12, 13]);
    world.rows.push(branch[2].clone());
    world.rows.extend_from_slice(&branch[9..11]);
    assert_eq!(world.brief(), ["wrong_predecessor a:5 #52", "wrong_predecessor a:12-13 #59"]);
}

#[test]
fn the_newest_entries_replaced() {
    for (from, text) in [(5, "wrong_predecessor a:5-7 #52"), (3, "wrong_predecessor a:7 #54")] {
        let mut world = World::of(7);
        let branch = world.branch(2, 50, 5);
        world.delete(from..=7);
        world.rows.extend_from_slice(&branch[from as usize - 3..]);
        assert_eq!(world.brief(), [text]);
    }
    let mut world = World::of(7);
    let branch = world.branch(6, 50, 1);
    world.delete([7]);
    world.rows.extend(branch);
    assert_eq!(world.brief(), ["wrong_predecessor a:7 #50"]);
    assert_eq!(world.detail(), "the server remembers another newest entry at position 7");
    // It went on from there.
    let last = world.get(50);
    let next = common::seal("a", Some(&last), 60, 1, &world.keys);
    world.rows.push(next);
    assert_eq!(world.brief(), ["wrong_predecessor a:7 #50"]);
}

#[test]
fn a_memory_below_the_branch_says_where_the_foreign_entries_end() {
    let mut world = World::of(7);
    let branch = world.branch(2, 50, 5);
    world.delete(3..=6);
    world.rows.extend_from_slice(&branch[..4]);
    assert_eq!(world.brief(), ["wrong_predecessor a:7 #7"]);
    let (third, fifth) = (branch[0].clone(), branch[2].clone());
    world.remember(&third);
    world.remember(&fifth);
    assert_eq!(world.brief(), ["wrong_predecessor a:7 #7"]);
}

#[test]
fn a_branch_beside_the_chain() {
    let mut world = World::of(10);
    let branch = world.branch(2, 50, 5);
    world.rows.extend_from_slice(&branch[1..4]);
    assert_eq!(world.brief(), ["wrong_predecessor a:4-6 #51"]);
    let mut world = World::of(10);
    world.rows.extend_from_slice(&branch[..3]);
    assert_eq!(world.brief(), ["duplicated a:3-5 #50"]);
    // Both are complete to the end: the remembered head tells which is the chain.
    for first in [true, false] {
        let mut world = World::of(7);
        let at = if first { 0 } else { world.rows.len() };
        let branch = world.branch(2, 50, 5);
        world.rows.splice(at..at, branch);
        assert_eq!(world.brief(), ["duplicated a:3-7 #50"]);
    }
}

#[test]
fn two_branches_and_a_copy_beside_the_chain() {
    let mut world = World::of(10);
    let branches = [world.branch(2, 50, 3), world.branch(3, 60, 3)];
    world.rows.extend(branches.concat());
    let mut copy = branches[0][1].clone();
    copy.key = 99;
    world.rows.push(copy);
    assert_eq!(world.brief(), ["duplicated a:3-5 #50", "duplicated a:4 #99", "duplicated a:4-6 #60"]);
}

#[test]
fn a_branch_and_a_gap() {
    let mut world = World::of(10);
    let branch = world.branch(2, 50, 5);
    world.delete([5, 6]);
    world.rows.push(branch[2].clone());
    assert_eq!(world.brief(), ["wrong_predecessor a:5 #52", "missing a:6"]);
}

#[test]
fn branches_say_nothing_about_epochs() {
    let mut world = World::empty();
    world.extend("a", (1..=2).map(|p| (p, 1)));
    world.extend("a", (3..=10).map(|p| (p, 2)));
    let branch = world.branch(1, 50, 5);
    world.delete([5]);
    world.rows.push(branch[3].clone());
    assert_eq!(world.brief(), ["wrong_predecessor a:5 #53"]);
}
