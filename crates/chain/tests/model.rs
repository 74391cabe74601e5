//! The unordered check and the locating pass agree with the model on what is right.

mod common;

use common::model::{Case, audit, case, locate};
use common::path::is_right;
use pgseal_chain::RunSecret;
use proptest::prelude::*;

fn head_is_passed(case: &Case) -> bool {
    case.head.is_none_or(|head| head.0 <= case.cut.0 || case.rows.iter().any(|row| (row.position, row.mac) == head))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_sums_are_right_exactly_for_a_path(case in case(), secret in any::<[u8; 16]>()) {
        let audit = audit(&case.rows, &RunSecret(secret));
        let right = !case.rows.is_empty() && is_right(&case.rows, case.cut, None);
        prop_assert_eq!(audit.is_whole(b"a", case.cut), right);
        prop_assert_eq!(
            right && head_is_passed(&case),
            !case.rows.is_empty() && is_right(&case.rows, case.cut, case.head)
        );
    }

    #[test]
    fn something_is_located_exactly_if_something_is_wrong(case in case()) {
        let findings = locate(&case.rows, case.cut, case.head);
        let right = is_right(&case.rows, case.cut, case.head);
        prop_assert_eq!(findings.is_empty(), right, "{:?}", findings.list);
    }

    #[test]
    fn what_is_located_does_not_depend_on_the_order_within_a_position(case in case()) {
        let mut reversed = case.rows.clone();
        reversed.reverse();
        let found = locate(&case.rows, case.cut, case.head);
        let again = locate(&reversed, case.cut, case.head);
        prop_assert_eq!(found.is_empty(), again.is_empty());
    }

    #[test]
    fn how_rows_are_shared_among_workers_does_not_show(
        case in case(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        secret in any::<[u8; 16]>(),
    ) {
        let secret = RunSecret(secret);
        let mut borders: Vec<usize> = cuts.iter().map(|i| i.index(case.rows.len() + 1)).collect();
        borders.extend([0, case.rows.len()]);
        borders.sort_unstable();
        let parts = borders.windows(2).map(|w| audit(&case.rows[w[0]..w[1]], &secret));
        let parts: Vec<_> = parts.collect();
        let mut forward = parts[0].clone();
        parts[1..].iter().for_each(|part| forward.merge(part));
        let mut backward = pgseal_chain::Audit::new(&secret);
        for part in parts.iter().rev() {
            let copy = pgseal_chain::Audit::from_bytes(&part.to_bytes(), &secret);
            backward.merge(&copy.expect("round trip"));
        }
        let single = audit(&case.rows, &secret);
        for merged in [&forward, &backward] {
            prop_assert_eq!(merged.to_bytes(), single.to_bytes());
            prop_assert_eq!(merged.is_whole(b"a", case.cut), single.is_whole(b"a", case.cut));
        }
    }
}
