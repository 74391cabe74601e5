//! Seals exchanged between rows that stay where they are: each row is changed where it stands, and
//! nothing is said that is not known.

mod common;

use common::{World, brief};
use pgseal_chain::Kind;
use proptest::prelude::*;
use proptest::sample::subsequence;

fn swap_macs(world: &mut World, a: u32, b: u32) {
    let (first, second) = (world.get(a).mac, world.get(b).mac);
    world.row(a).mac = second;
    world.row(b).mac = first;
}

fn swap_prevs(world: &mut World, a: u32, b: u32) {
    let (first, second) = (world.get(a).prev, world.get(b).prev);
    world.row(a).prev = second;
    world.row(b).prev = first;
}

fn modified(keys: &[u32]) -> Vec<String> {
    keys.iter().map(|key| format!("modified a:{key} #{key}")).collect()
}

/// The expected and found of the finding at this position.
fn values(world: &World, position: u64) -> (Option<String>, Option<String>) {
    let findings = world.findings().list;
    let finding = findings.into_iter().find(|f| f.position == Some(position)).expect("finding");
    (finding.expected, finding.found)
}

#[test]
fn swapped_macs() {
    for (a, b) in [(3, 4), (3, 7), (1, 2), (8, 9), (1, 9)] {
        let sealed = World::of(9);
        let mut world = sealed.clone();
        swap_macs(&mut world, a, b);
        assert_eq!(world.brief(), modified(&[a, b]), "{a} {b}");
        let details = format!("entry {a} was changed after it was sealed; entry {b} was changed after it was sealed");
        assert_eq!(world.detail(), details);
        let hex = |key| Some(hex::encode(sealed.get(key).mac()));
        assert_eq!(values(&world, b.into()), (hex(b), hex(a)));
        let known = if b == a + 1 { (None, None) } else { (hex(a), hex(b)) };
        assert_eq!(values(&world, a.into()), known);
    }
}

#[test]
fn swapped_macs_among_changed_rows() {
    let mut world = World::of(9);
    swap_macs(&mut world, 4, 5);
    for key in [2, 3, 6, 7] {
        world.row(key).content = 77;
    }
    assert_eq!(world.brief(), modified(&[2, 3, 4, 5, 6, 7]));
    // The seal_prev of one of them changed as well.
    let mut world = World::of(9);
    swap_macs(&mut world, 3, 4);
    world.row(3).prev = Some(vec![7; 32]);
    assert_eq!(world.brief(), modified(&[3, 4]));
}

#[test]
fn macs_passed_on_in_a_circle() {
    let mut world = World::of(9);
    let macs: Vec<_> = [4, 5, 6, 3].map(|key| world.get(key).mac).into();
    for (key, mac) in (3..).zip(macs) {
        world.row(key).mac = mac;
    }
    assert_eq!(world.brief(), modified(&[3, 4, 5, 6]));
}

#[test]
fn a_copied_mac() {
    // That of a row that is right; of one that is gone; of one that was changed too.
    let copied = || {
        let mut world = World::of(9);
        world.row(3).mac = world.get(7).mac;
        world
    };
    assert_eq!(copied().brief(), modified(&[3]));
    let mut world = copied();
    world.delete([7]);
    assert_eq!(world.brief(), ["modified a:3 #3", "missing a:7"]);
    let mut world = copied();
    world.row(7).mac = Some(vec![7; 32]);
    assert_eq!(world.brief(), modified(&[3, 7]));
    let mut world = copied();
    world.row(7).chain = Some(b"zzz".to_vec());
    assert_eq!(world.brief(), modified(&[3, 7]));
}

#[test]
fn a_copied_prev_leads_nowhere() {
    // Row 4 follows the mac of row 8, of which only the content was changed.
    let mut world = World::of(9);
    let mac = world.get(8).mac;
    world.row(4).prev = mac;
    for key in [3, 8] {
        world.row(key).content = 77;
    }
    assert_eq!(world.brief(), modified(&[3, 4, 8]));
    // An entry is removed, and another row made to follow the one before.
    let mut world = World::of(9);
    let prev = world.get(4).prev;
    world.delete([4]);
    world.row(7).prev = prev;
    world.row(7).mac = Some(vec![7; 32]);
    assert_eq!(world.brief(), ["missing a:4", "modified a:7 #7"]);
}

#[test]
fn what_a_changed_row_says_is_not_expected() {
    let mut world = World::of(9);
    swap_prevs(&mut world, 3, 4);
    assert_eq!(world.brief(), modified(&[3, 4]));
    assert_eq!(values(&world, 3), (None, None));
    assert_eq!(values(&world, 4), (None, None));

    let mut world = World::of(9);
    world.row(3).content = 77;
    world.row(4).prev = Some(vec![7; 32]);
    assert_eq!(world.brief(), modified(&[3, 4]));
    assert_eq!(values(&world, 3), (None, None));

    // Not even if it bears the right mac and its prev is as it was: nobody can know.
    let mut world = World::of(9);
    world.row(3).mac = Some(vec![7; 32]);
    world.row(4).content = 77;
    assert_eq!(world.brief(), modified(&[3, 4]));
    assert_eq!(values(&world, 3), (None, None));
    // But what is remembered is known.
    let third = World::of(9).get(3);
    world.remember(&third);
    assert_eq!(values(&world, 3), (Some(hex::encode(third.mac())), Some("07".repeat(32))));
}

#[test]
fn what_a_row_that_cannot_be_judged_says_is_not_expected() {
    let mut world = World::empty();
    world.extend("a", (1..=9).map(|p| (p, if p <= 3 { 1 } else { 2 })));
    world.lost_keys = vec![2];
    world.row(3).content = 77;
    world.row(4).prev = Some(vec![7; 32]);
    assert_eq!(world.brief(), ["modified a:3 #3", "unknown_key a:4-9"]);
    assert_eq!(values(&world, 3), (None, None));
}

#[test]
fn moved_rows_are_still_recognised() {
    // Entry 5 removed, those after it moved down and linked again.
    let mut world = World::of(9);
    let prev = world.get(5).prev;
    world.delete([5]);
    for position in 6..=9 {
        world.row(position).position = Some(i64::from(position) - 1);
    }
    world.row(6).prev = prev;
    let mut expected = vec!["missing a:5".to_owned()];
    expected.extend(modified(&[6, 7, 8, 9]));
    assert_eq!(world.brief(), expected);
    // Positions passed on in a circle.
    let mut world = World::of(9);
    for (key, position) in [(4, 5), (5, 6), (6, 4)] {
        world.row(key).position = Some(position);
    }
    assert_eq!(world.brief(), modified(&[4, 5, 6]));
    assert!(world.detail().contains("entry 6 was changed after it was sealed: its position was changed to 4"));
}

/// Some of the nine positions, and an order for them.
fn shuffled() -> impl Strategy<Value = (Vec<u32>, Vec<u32>)> {
    subsequence((1..=9).collect::<Vec<u32>>(), 0..=9)
        .prop_flat_map(|keys| (Just(keys.clone()), Just(keys).prop_shuffle()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn where_every_row_stays_each_changed_one_is_one_finding(
        macs in shuffled(),
        prevs in prop_oneof![Just((vec![], vec![])), shuffled()],
        contents in subsequence((1..=9).collect::<Vec<u32>>(), 0..=9),
        garbage in subsequence((1..=9).collect::<Vec<u32>>(), 0..=2),
        head in any::<bool>(),
    ) {
        let sealed = World::of(9);
        let mut world = sealed.clone();
        for (to, from) in macs.0.iter().zip(&macs.1) {
            world.row(*to).mac = sealed.get(*from).mac;
        }
        for (to, from) in prevs.0.iter().zip(&prevs.1) {
            world.row(*to).prev = sealed.get(*from).prev;
        }
        for key in contents {
            world.row(key).content = 77;
        }
        for key in garbage {
            world.row(key).mac = Some(vec![7; 32]);
        }
        if !head {
            let last = sealed.get(9);
            world.known.heads.clear();
            world.remember(&last);
            world.known.heads[0].mac = None;
        }
        let changed: Vec<u64> = (1..=9).filter(|key| world.get(*key) != sealed.get(*key)).map(u64::from).collect();
        let findings = world.findings().list;
        let briefs: Vec<String> = findings.iter().map(brief).collect();
        prop_assert!(findings.iter().all(|f| f.kind == Kind::Modified), "{briefs:?}");
        let found: Vec<u64> = findings.iter().filter_map(|f| f.position).collect();
        prop_assert_eq!(found, changed, "{:?}", briefs);
    }

    #[test]
    fn an_expected_mac_is_the_sealed_one(
        macs in shuffled(),
        prevs in shuffled(),
        contents in subsequence((1..=9).collect::<Vec<u32>>(), 0..=9),
        gone in subsequence((1..=9).collect::<Vec<u32>>(), 0..=2),
    ) {
        let sealed = World::of(9);
        let mut world = sealed.clone();
        for (to, from) in macs.0.iter().zip(&macs.1) {
            world.row(*to).mac = sealed.get(*from).mac;
        }
        for (to, from) in prevs.0.iter().zip(&prevs.1) {
            world.row(*to).prev = sealed.get(*from).prev;
        }
        for key in contents {
            world.row(key).content = 77;
        }
        world.delete(gone);
        for finding in world.findings().list.iter().filter(|f| f.kind == Kind::Modified) {
            let position = finding.position.expect("position");
            if let Some(expected) = finding.expected.as_ref().filter(|text| !text.contains("position")) {
                let key = u32::try_from(position).expect("small");
                prop_assert_eq!(expected, &hex::encode(sealed.get(key).mac()), "{}", brief(finding));
            }
        }
    }
}
