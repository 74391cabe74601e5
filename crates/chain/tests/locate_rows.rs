//! Entries removed, and rows that should not be there.

mod common;

use common::{World, brief, seal};
use pgseal_chain::{GENESIS, Head, Kind};

#[test]
fn removed_entries() {
    for (first, last) in [(1, 1), (1, 3), (4, 4), (4, 6), (9, 9)] {
        let mut world = World::of(10);
        world.delete(first..=last);
        let range = if first == last { format!("{first}") } else { format!("{first}-{last}") };
        assert_eq!(world.brief(), [format!("missing a:{range}")]);
    }
    let mut world = World::of(10);
    world.delete([2, 4, 5, 7]);
    assert_eq!(world.brief(), ["missing a:2", "missing a:4-5", "missing a:7"]);
    assert_eq!(world.detail(), "entry 2 was removed; entries 4 to 5 were removed; entry 7 was removed");
}

#[test]
fn removed_newest_entries() {
    let mut world = World::of(10);
    world.delete([10]);
    assert_eq!(world.brief(), ["truncated a:10"]);
    assert_eq!(world.detail(), "the newest entry of this chain (position 10) was removed");
    world.delete(8..=9);
    assert_eq!(world.brief(), ["truncated a:8-10"]);
    assert_eq!(world.detail(), "the newest 3 entries of this chain (positions 8 to 10) were removed");
    world.delete(1..=10);
    assert_eq!(world.brief(), ["truncated a:1-10"]);
}

#[test]
fn removed_chain_beside_others() {
    let mut world = World::of(3).with("b", 4).with("c", 2);
    world.rows.retain(|row| row.chain.as_deref() != Some(b"b"));
    assert_eq!(world.brief(), ["truncated b:1-4"]);
}

#[test]
fn several_acts_in_one_hole() {
    let mut world = World::of(10);
    world.delete([3, 5, 10]);
    world.row(4).content = 77;
    world.row(9).content = 77;
    assert_eq!(world.brief(), ["missing a:3", "modified a:4 #4", "missing a:5", "modified a:9 #9", "truncated a:10"]);
    let mut world = World::of(10);
    world.delete([9]);
    world.row(10).content = 77;
    assert_eq!(world.brief(), ["missing a:9", "modified a:10 #10"]);
}

#[test]
fn pruned_chains() {
    let mut world = World::of(10);
    let old = world.get(4);
    world.prune(4);
    assert!(world.brief().is_empty());
    let mut emptied = world.clone();
    emptied.delete(1..=10);
    assert_eq!(emptied.brief(), ["truncated a:5-10"]);
    world.rows.push(old);
    assert_eq!(world.brief(), ["cut_altered a:4"]);
    world.row(4).content = 77;
    assert_eq!(world.brief(), ["forged a:4 #4"]);
    world.delete([4, 5]);
    assert_eq!(world.brief(), ["missing a:5"]);
    world.known.cuts[0].mac = GENESIS;
    assert_eq!(world.brief(), ["missing a:5"]);

    let mut world = World::of(10);
    world.prune(4);
    world.known.cuts[0].mac = [7; 32];
    assert_eq!(world.brief(), ["wrong_predecessor a:5 #5"]);
    let mut world = World::of(10);
    world.prune(10);
    assert!(world.brief().is_empty());
}

#[test]
fn rows_beyond_the_head_are_fine_if_they_link() {
    let mut world = World::of(10);
    world.known.heads[0].position = 7;
    world.known.heads[0].mac = Some(world.get(7).mac());
    assert!(world.brief().is_empty());
    world.known.heads[0].mac = None;
    assert!(world.brief().is_empty());
    world.delete([9]);
    assert_eq!(world.brief(), ["missing a:9"]);
}

#[test]
fn several_memories_of_a_chain() {
    let mut world = World::of(10);
    for position in [3, 7] {
        let row = world.get(position);
        world.remember(&row);
    }
    assert!(world.brief().is_empty());
    world.delete(6..=10);
    assert_eq!(world.brief(), ["truncated a:6-10"]);
}

#[test]
fn copies() {
    let mut world = World::of(10);
    for position in [1, 4, 10] {
        let mut copy = world.get(position);
        copy.key += 100;
        world.rows.push(copy);
    }
    let briefs = world.brief();
    assert_eq!(briefs.len(), 3);
    for (text, place) in briefs.iter().zip(["a:1 #", "a:4 #", "a:10 #"]) {
        assert!(text.starts_with(&format!("duplicated {place}")), "{text}");
    }
}

#[test]
fn forged_rows() {
    // At a taken position: bearing another mac, the true mac, none.
    for mac in [Some(vec![7; 32]), Some(World::of(10).get(4).mac().to_vec()), None] {
        let mut world = World::of(10);
        let mut row = world.get(4);
        row.content = 77;
        row.key = 99;
        row.mac = mac;
        world.rows.push(row);
        assert_eq!(world.brief(), ["forged a:4 #99"]);
        assert_eq!(world.detail(), "a row that was never sealed like this stands beside entry 4");
    }
    // At a position not reached; a copy in another place; in a chain of its own.
    for (chain, position) in [("a", 11), ("a", 50), ("zzz", 4), ("b", 2), ("b", 9)] {
        let mut world = World::of(10).with("b", 3);
        let mut row = world.get(4);
        row.key = 99;
        row.chain = Some(chain.into());
        row.position = Some(position);
        world.rows.push(row);
        assert_eq!(world.brief(), [format!("forged {chain}:{position} #99")]);
    }
}

#[test]
fn an_invalid_row_after_the_last_valid_one() {
    let mut world = World::of(10);
    let last = world.get(10);
    let mut row = seal("a", Some(&last), 99, 1, &world.keys);
    row.mac = Some(vec![7; 32]);
    world.rows.push(row);
    assert_eq!(world.brief(), ["forged a:11 #99"]);
    world.known.heads.clear();
    assert_eq!(world.brief(), ["modified a:11 #99"]);
    world.row(99).prev = Some(vec![7; 32]);
    assert_eq!(world.brief(), ["forged a:11 #99"]);
}

#[test]
fn unsealed_rows() {
    let mut world = World::of(10);
    let mut row = world.get(4);
    row.key = 99;
    for (chain, position) in [(None, None), (None, Some(4)), (Some(b"a".to_vec()), None)] {
        row.chain = chain;
        row.position = position;
        row.mac = None;
        row.prev = None;
        world.rows.push(row.clone());
        let findings = world.findings();
        assert_eq!(findings.list.len(), 1);
        assert_eq!(findings.list[0].kind, Kind::Unsealed);
        assert_eq!(findings.list[0].key, Some(99));
        world.row(99).mac = Some(vec![7; 32]);
        assert_eq!(world.findings().list[0].kind, Kind::Forged);
        world.delete([99]);
    }
}

#[test]
fn a_changed_row_with_a_forged_one_beside() {
    let mut world = World::of(10);
    world.row(4).content = 77;
    let mut row = world.get(4);
    row.mac = Some(vec![7; 32]);
    row.key = 99;
    world.rows.push(row);
    assert_eq!(world.brief(), ["modified a:4 #4", "forged a:4 #99"]);
}

#[test]
fn a_chain_of_forged_rows_only() {
    let mut world = World::of(3);
    for position in [2, 3] {
        let mut row = world.get(position);
        row.chain = Some(b"b".to_vec());
        row.mac = Some(vec![7; 32]);
        row.key = 90 + position;
        world.rows.push(row);
    }
    assert_eq!(world.brief(), ["forged b:2 #92", "forged b:3 #93"]);
}

#[test]
fn extreme_positions_do_no_harm() {
    let mut world = World::of(3);
    for (key, position) in [(91, i64::MAX), (92, i64::MIN), (93, 0)] {
        let mut row = world.get(2);
        row.position = Some(position);
        row.key = key;
        world.rows.push(row);
    }
    world.known.heads.push(Head { chain: b"a".to_vec(), position: u64::MAX, mac: None });
    world.known.heads.push(Head { chain: b"b".to_vec(), position: 0, mac: Some([1; 32]) });
    let findings = world.findings();
    let texts: Vec<String> = findings.list.iter().map(brief).collect();
    assert!(texts.contains(&"modified a:9223372036854775807 #91".to_owned()));
    assert_eq!(findings.list.len(), 5, "{texts:?}");
}
