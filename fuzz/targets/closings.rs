//! The order of closings, whatever numbers they bear.
#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use pgseal_chain::{Closed, ClosingKind, ClosingStep, Period, PeriodKind, judge_closings, period_names};

#[derive(Arbitrary, Debug)]
struct Step {
    number: u64,
    kind: u8,
    /// Stream, whether by months, number.
    period: Option<(u8, bool, u32)>,
    place: u8,
    previous: Option<u8>,
    digest: u8,
    chains: Vec<(u8, u64, u8, u64)>,
}

fn kind(by_months: bool) -> PeriodKind {
    if by_months { PeriodKind::Month } else { PeriodKind::Day }
}

fn step(given: Step) -> ClosingStep {
    let kinds = [ClosingKind::Opening, ClosingKind::Closing, ClosingKind::Rotation];
    let closed = |(chain, position, mac, count)| (format!("main.{chain}"), Closed { position, mac: [mac; 32], count });
    ClosingStep {
        number: given.number,
        kind: kinds[usize::from(given.kind) % kinds.len()],
        period: given.period.map(|(stream, by_months, number)| Period {
            stream: [stream; 16],
            kind: kind(by_months),
            number,
        }),
        place: format!("main.{}", given.place),
        previous: given.previous.map(|byte| [byte; 32]),
        digest: [given.digest; 32],
        chains: given.chains.into_iter().map(closed).collect::<BTreeMap<_, _>>(),
    }
}

fuzz_target!(|given: (Vec<Step>, bool, u32, u32)| {
    let (steps, by_months, first, last) = given;
    let mut steps: Vec<ClosingStep> = steps.into_iter().map(step).collect();
    steps.sort_by_key(|step| step.number);
    for flaw in judge_closings(&steps) {
        assert!(flaw.first <= flaw.last && !flaw.what.is_empty(), "{flaw:?}");
    }
    let _ = period_names(kind(by_months), first, last);
});
