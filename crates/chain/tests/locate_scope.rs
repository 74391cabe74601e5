//! What cannot be judged, what lies before the window, and what concerns a tenant.

mod common;

use common::World;
use pgseal_chain::{Authenticity, Kind, Known, Locator, MAX_LISTED, Observed, Verdict};

fn three_epochs() -> World {
    let mut world = World::empty();
    world.extend("a", (1..=9).map(|p| (p, (p - 1) / 3 + 1)));
    world
}

#[test]
fn unknown_keys_are_one_finding_for_each_interval() {
    let mut world = three_epochs();
    world.lost_keys = vec![2];
    assert_eq!(world.brief(), ["unknown_key a:4-6"]);
    assert_eq!(world.detail(), "entries 4 to 6 cannot be judged because the key of epoch 2 is not available");
    let findings = world.findings();
    assert!(findings.list[0].is_unverifiable());
    assert_eq!(Verdict::of(&findings, 9), Verdict::Unverifiable);
    world.lost_keys = vec![2, 3];
    assert_eq!(world.brief(), ["unknown_key a:4-6", "unknown_key a:7-9"]);
    world.lost_keys = vec![1, 2, 3];
    world.delete([9]);
    assert_eq!(world.brief(), ["unknown_key a:1-3", "unknown_key a:4-6", "unknown_key a:7-8", "truncated a:9"]);
    assert_eq!(Verdict::of(&world.findings(), 8), Verdict::Tampered);
}

#[test]
fn a_lost_key_hides_no_broken_link() {
    let mut world = three_epochs();
    world.lost_keys = vec![2];
    world.delete([5]);
    assert_eq!(world.brief(), ["unknown_key a:4-6", "missing a:5"]);
    let mut world = three_epochs();
    world.lost_keys = vec![2];
    world.row(5).prev = Some(vec![7; 32]);
    assert_eq!(world.brief(), ["unknown_key a:4-6", "wrong_predecessor a:5 #5"]);
}

#[test]
fn an_epoch_without_key_cannot_be_claimed_out_of_its_place() {
    // A changed row that names the epoch whose key is lost: earlier, and later than it can be.
    for (position, lost) in [(5, 1), (9, 1), (2, 3), (5, 3)] {
        let mut world = three_epochs();
        world.lost_keys = vec![lost];
        world.row(position).epoch = Some(lost);
        world.row(position).content = 77;
        let findings = world.findings();
        let tampering: Vec<_> = findings.list.iter().filter(|f| !f.is_unverifiable()).collect();
        assert_eq!(tampering.len(), 1, "{position} {lost}: {:?}", world.brief());
        assert_eq!(tampering[0].position, Some(u64::from(position)));
        assert_eq!(Verdict::of(&findings, 9), Verdict::Tampered);
    }
}

#[test]
fn missing_columns() {
    let mut world = three_epochs();
    world.lost_column = Some((1, "payload".to_owned()));
    let findings = world.findings();
    assert_eq!(world.brief(), ["unknown_column a:1-3"]);
    let detail = "entries 1 to 3 cannot be judged because column payload is gone or has another type";
    assert_eq!(world.detail(), detail);
    assert!(findings.list[0].is_unverifiable());
    assert_eq!(Verdict::of(&findings, 9), Verdict::Unverifiable);
}

#[test]
fn before_the_window() {
    let mut world = World::of(10);
    world.known.window_start = Some(5_500); // entries 1 to 5 are older
    world.row(3).content = 77;
    world.delete([2]);
    let findings = world.findings();
    assert!(findings.list.iter().all(|f| f.before_window));
    assert_eq!(Verdict::of(&findings, 8), Verdict::IntactInWindow);
    assert_eq!(findings.before_window, 2);

    world.row(7).content = 77;
    let findings = world.findings();
    assert_eq!(findings.tampered, 1);
    assert_eq!(Verdict::of(&findings, 8), Verdict::Tampered);
}

#[test]
fn only_a_valid_entry_proves_that_a_fault_is_before_the_window() {
    // The last entry that would be before it is the changed one itself.
    let mut world = World::of(10);
    world.known.window_start = Some(5_500);
    world.row(5).content = 77;
    assert_eq!(world.findings().tampered, 1);
    // A claimed time proves nothing.
    let mut world = World::of(10);
    world.known.window_start = Some(5_500);
    world.row(7).content = 77;
    world.row(8).sealed_at = Some(1);
    assert_eq!(world.findings().tampered, 2);
    // A range counts by its end, and another chain proves nothing.
    let mut world = World::of(10).with("b", 3);
    world.known.window_start = Some(5_500);
    world.delete(4..=6);
    let findings = world.findings();
    assert_eq!(findings.tampered, 1);
    assert!(!findings.list[0].before_window);
}

#[test]
fn an_old_branch_does_not_move_the_window() {
    let mut world = World::empty();
    world.extend("a", (1..=2).map(|p| (p, 1)));
    world.extend("a", (3..=10).map(|p| (p, 2)));
    world.known.window_start = Some(50_000); // entries 1 and 2 are older
    let branch = world.branch(1, 50, 5); // and so is the branch
    world.delete([3, 5]);
    world.rows.push(branch[3].clone());
    assert_eq!(world.brief(), ["missing a:3", "wrong_predecessor a:5 #53"]);
    assert_eq!(world.findings().before_window, 0);
}

#[test]
fn what_concerns_a_tenant() {
    let mut world = World::of(10);
    let mut copy = world.get(2);
    copy.key = 92;
    let mut forged = world.get(3);
    (forged.content, forged.key) = (0, 93);
    let mut unsealed = world.get(4);
    (unsealed.chain, unsealed.mac, unsealed.prev, unsealed.key) = (None, None, None, 94);
    world.rows.extend([copy, forged, unsealed]);
    world.row(6).foreign_content = Some("note".to_owned());
    world.row(7).epoch = Some(2);
    world.delete([5]);
    world.row(9).content = 77;
    assert_eq!(world.brief().len(), 7);

    for row in &mut world.rows {
        row.of_tenant = false;
    }
    world.known.tenant_only = true;
    assert_eq!(world.brief(), ["missing a:5", "modified a:9 #9"]);
    let findings = world.findings();
    assert!(findings.list[0].of_tenant && !findings.list[1].of_tenant);
    assert_eq!(findings.total, 2);
    for row in &mut world.rows {
        row.of_tenant = true;
    }
    assert_eq!(world.brief().len(), 7);
}

#[test]
fn findings_beyond_the_list_are_counted() {
    let count = MAX_LISTED as u64 + 5_000;
    for window_start in [None, Some(0)] {
        let mut locator = Locator::new(Known { window_start, ..Known::default() });
        for position in 1..=count + 1 {
            let last = position > count;
            locator.observe(Observed {
                chain: Some(b"a".to_vec()),
                position: i64::try_from(position).ok(),
                epoch: Some(1),
                sealed_at: Some(-1),
                prev: Some(vec![7; 32]),
                mac: Some(vec![7; 32]),
                authenticity: if last { Authenticity::Valid } else { Authenticity::Invalid },
                of_tenant: true,
                key: Some(position),
                foreign_content: None,
            });
        }
        let findings = locator.finish();
        assert_eq!(findings.list.len(), MAX_LISTED);
        assert_eq!(findings.total, count);
        assert!(findings.list.iter().all(|f| f.kind == Kind::Modified));
        let before = if window_start.is_some() { count } else { 0 };
        assert_eq!((findings.before_window, findings.tampered), (before, count - before));
    }
}

#[test]
fn verdicts() {
    let world = World::of(3);
    assert_eq!(Verdict::of(&world.findings(), 3), Verdict::Intact);
    assert_eq!(Verdict::of(&world.findings(), 0), Verdict::NothingSealed);
    let passing: Vec<&str> = Verdict::ALL.iter().filter(|v| v.is_intact()).map(|v| v.as_str()).collect();
    assert_eq!(passing, ["intact_in_window", "intact"]);
}

#[test]
fn a_branch_beside_the_chain_concerns_whoever_has_a_row_in_it() {
    // At 4 to 6 both the chain and a branch of it; the first row of a position is the one that is tried.
    let mut world = World::of(9);
    let branch = world.branch(3, 50, 3);
    for (tenant, rows) in [("first", 50), ("middle", 51), ("last", 52)] {
        for branch_first in [true, false] {
            let mut world = world.clone();
            let at = if branch_first { 0 } else { world.rows.len() };
            world.rows.splice(at..at, branch.clone());
            world.rows.iter_mut().for_each(|row| row.of_tenant = row.key == rows);
            world.known.tenant_only = true;
            assert_eq!(world.brief(), [format!("duplicated a:4-6 #{rows}")], "{tenant} {branch_first}");
        }
    }
    world.rows.extend(branch);
    world.rows.iter_mut().for_each(|row| row.of_tenant = row.key == 5);
    world.known.tenant_only = true;
    assert_eq!(world.brief(), [""; 0]);
}

#[test]
fn older_epochs_name_the_askers_own_row() {
    let mut world = World::empty();
    world.extend("a", [(1, 2), (2, 2), (3, 1), (4, 1), (5, 1)].into_iter());
    assert_eq!(world.brief(), ["wrong_epoch a:3-5 #3"]);
    world.rows.iter_mut().for_each(|row| row.of_tenant = row.key == 4);
    world.known.tenant_only = true;
    assert_eq!(world.brief(), ["wrong_epoch a:3-5 #4"]);
}
