//! Closings: what a period left behind, signed under the secret of that period and linked to the closing before. Here
//! is how one is signed, and what a sequence of them must be like.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::entry::Mac;
use crate::evolution::PeriodKind;
use crate::keys::{HistoryId, RecordKey};

/// What a record of a closing is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosingKind {
    /// The first of a stream.
    Opening,
    /// The end of a period.
    Closing,
    /// The end of a key, amid a period; signed under that key.
    Rotation,
}

impl ClosingKind {
    const ALL: [ClosingKind; 3] = [ClosingKind::Opening, ClosingKind::Closing, ClosingKind::Rotation];

    /// As records have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ClosingKind::Opening => "opening",
            ClosingKind::Closing => "closing",
            ClosingKind::Rotation => "rotation",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<ClosingKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// The signature of a record: its text as the server prints jsonb, under its number.
#[must_use]
pub fn closing_mac(key: &RecordKey, subject: HistoryId, number: u64, record: &str) -> Mac {
    key.mac("closing", subject, &number.to_be_bytes(), &[Some(record.as_bytes())])
}

/// By which the next record names this one: SHA-256 of its number (u64 big-endian), its mac and its text.
#[must_use]
pub fn closing_digest(number: u64, record: &str, mac: &[u8]) -> [u8; 32] {
    let digest = Sha256::new().chain_update(number.to_be_bytes()).chain_update(mac);
    digest.chain_update(record.as_bytes()).finalize().into()
}

/// Where a chain stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Of its newest entry; 0: it had none that was committed.
    pub position: u64,
    /// Of that entry.
    pub mac: Mac,
    /// How many entries it had got since the record before.
    pub count: u64,
}

/// The period that a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Id of the stream.
    pub stream: [u8; 16],
    /// How long its periods are.
    pub kind: PeriodKind,
    /// Its number.
    pub number: u32,
}

/// What the order of a subject's records depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosingStep {
    /// 1, 2, 3 …
    pub number: u64,
    /// What it is for.
    pub kind: ClosingKind,
    /// Always there but for rotations.
    pub period: Option<Period>,
    /// Name of the node's first chain in the place where it was written.
    pub place: String,
    /// What it says that the record before is.
    pub previous: Option<[u8; 32]>,
    /// By which the next one names it.
    pub digest: [u8; 32],
    /// By name of the chain.
    pub chains: BTreeMap<String, Closed>,
}

/// What is wrong with a sequence, from one number to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosingFlaw {
    /// The first record concerned.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// A sentence.
    pub what: String,
}

/// What is wrong with the order of a subject's records, which come by number.
#[must_use]
pub fn judge_closings(steps: &[ClosingStep]) -> Vec<ClosingFlaw> {
    let mut order = Order::default();
    for step in steps {
        order.step(step);
    }
    order.flaws
}

/// The newest opening or closing of a stream, and how far its periods went.
#[derive(Clone, Copy)]
struct Reached<'a> {
    period: Period,
    kind: ClosingKind,
    place: &'a str,
}

impl Reached<'_> {
    /// The period that the next closing must be of.
    fn next(&self) -> u32 {
        match self.kind {
            ClosingKind::Opening => self.period.number,
            _ => self.period.number.saturating_add(1),
        }
    }
}

#[derive(Default)]
struct Order<'a> {
    before: Option<(u64, [u8; 32])>,
    reached: Option<Reached<'a>>,
    seen: Vec<[u8; 16]>,
    chains: BTreeMap<&'a str, Closed>,
    flaws: Vec<ClosingFlaw>,
}

impl<'a> Order<'a> {
    fn step(&mut self, step: &'a ClosingStep) {
        let number = step.number;
        let expected = self.before.map_or(1, |(number, _)| number.saturating_add(1));
        if number > expected {
            self.flaw(expected, number - 1, "was removed");
        } else {
            let previous = self.before.map(|(_, digest)| digest);
            self.flaw_if(step.previous != previous, number, "does not follow the one before it");
        }
        self.period(step, number == expected);
        self.chains(step, number == expected);
        self.before = Some((number, step.digest));
    }

    fn period(&mut self, step: &'a ClosingStep, follows: bool) {
        let number = step.number;
        let Some(period) = step.period else {
            self.flaw_if(step.kind != ClosingKind::Rotation, number, "names no period");
            return;
        };
        let reached = self.reached.filter(|reached| reached.period.stream == period.stream);
        match (step.kind, reached) {
            (ClosingKind::Opening, Some(_)) => self.flaw(number, number, "opens a stream that had begun"),
            (ClosingKind::Opening, None) => {
                let again = self.seen.contains(&period.stream);
                self.flaw_if(again, number, "goes back to a stream that had ended");
                self.between(step, period);
                self.seen.push(period.stream);
            }
            (_, None) => self.flaw_if(follows, number, "is of a stream that it does not open"),
            (kind, Some(reached)) => {
                self.flaw_if(reached.period.kind != period.kind, number, "has periods of another length");
                self.flaw_if(reached.place != step.place, number, "was written in another place than its stream");
                self.contiguous(number, kind, reached, period, follows);
            }
        }
        if step.kind != ClosingKind::Rotation {
            self.reached = Some(Reached { period, kind: step.kind, place: &step.place });
        }
    }

    /// Where a record is missing, which periods it was of is not known.
    fn contiguous(&mut self, number: u64, kind: ClosingKind, reached: Reached<'_>, period: Period, follows: bool) {
        let next = reached.next();
        if period.number > next && follows {
            let gap = period_names(period.kind, next, period.number - 1);
            self.flaw(number, number, &format!("comes after a gap: {gap} was not closed, or its closing was removed"));
        } else if period.number < next && kind == ClosingKind::Closing {
            self.flaw(number, number, "closes a period that was closed before");
        }
    }

    /// Where a new stream begins in the place of the one before, no period lies between them. After a promotion or a
    /// restore, what the other place closed since is not here.
    fn between(&mut self, step: &ClosingStep, period: Period) {
        let Some(before) = self.reached.filter(|before| before.place == step.place) else { return };
        let (ended, begins) = (before.period.kind.start(before.next()), period.kind.start(period.number));
        if ended < begins {
            let gap = period_names(before.period.kind, before.next(), before.period.kind.period(begins - 1));
            let what = format!("begins a stream after a gap: {gap} was not closed, or its closing was removed");
            self.flaw(step.number, step.number, &what);
        }
    }

    fn chains(&mut self, step: &'a ClosingStep, follows: bool) {
        for (chain, now) in &step.chains {
            let before = self.chains.insert(chain, *now);
            let position = before.map_or(0, |before| before.position);
            let wrong = match before {
                _ if now.position < position => Some("was at a higher position in an earlier one"),
                Some(before) if before.position == now.position && before.mac != now.mac => {
                    Some("has another entry at the same position in an earlier one")
                }
                _ if follows && now.count != now.position - position => Some("has another number of entries in it"),
                _ => None,
            };
            if let Some(wrong) = wrong {
                self.flaw(step.number, step.number, &format!("is not right: chain {chain} {wrong}"));
            }
        }
    }

    fn flaw(&mut self, first: u64, last: u64, what: &str) {
        let what = match last > first {
            true => format!("closing records {first} to {last} {}", what.replacen("was", "were", 1)),
            false => format!("closing record {first} {what}"),
        };
        self.flaws.push(ClosingFlaw { first, last, what });
    }

    fn flaw_if(&mut self, wrong: bool, number: u64, what: &str) {
        if wrong {
            self.flaw(number, number, what);
        }
    }
}

/// Periods from one to another as people call them.
#[must_use]
pub fn period_names(kind: PeriodKind, first: u32, last: u32) -> String {
    let name = |period| kind.name(period);
    if last > first { format!("{} to {}", name(first), name(last)) } else { name(first) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{HistoryKeys, Secret};
    use proptest::prelude::*;

    const SUBJECT: HistoryId = HistoryId([3; 16]);

    fn step(number: u64, kind: ClosingKind, stream: u8, period: u32) -> ClosingStep {
        ClosingStep {
            number,
            kind,
            period: Some(Period { stream: [stream; 16], kind: PeriodKind::Day, number: period }),
            place: "main.0a1b2c3d".into(),
            previous: None,
            digest: [0; 32],
            chains: BTreeMap::from([(
                "main.0a1b2c3d".to_owned(),
                Closed { position: number * 2, mac: [u8::try_from(number % 256).expect("a byte"); 32], count: 2 },
            )]),
        }
    }

    /// Links what stands in this order.
    fn linked(mut steps: Vec<ClosingStep>) -> Vec<ClosingStep> {
        let mut previous = None;
        for step in &mut steps {
            step.previous = previous;
            step.digest = closing_digest(step.number, &format!("{step:?}"), &[1; 32]);
            previous = Some(step.digest);
        }
        steps
    }

    fn sequence(closings: u32) -> Vec<ClosingStep> {
        let mut steps = vec![step(1, ClosingKind::Opening, 1, 50)];
        steps.extend((0..closings).map(|n| step(u64::from(n) + 2, ClosingKind::Closing, 1, 50 + n)));
        linked(steps)
    }

    fn whats(steps: &[ClosingStep]) -> Vec<String> {
        judge_closings(steps).into_iter().map(|flaw| flaw.what).collect()
    }

    #[test]
    fn rotations_and_new_streams_are_part_of_the_order() {
        let mut steps = sequence(3);
        steps.push(step(5, ClosingKind::Rotation, 1, 53));
        steps.push(ClosingStep { period: None, ..step(6, ClosingKind::Rotation, 1, 53) });
        steps.push(step(7, ClosingKind::Closing, 1, 53));
        steps.push(step(8, ClosingKind::Opening, 2, 54));
        steps.push(step(9, ClosingKind::Closing, 2, 54));
        assert_eq!(whats(&linked(steps)), Vec::<String>::new());
    }

    #[test]
    fn a_period_that_was_left_out_is_named() {
        let mut steps = sequence(2);
        steps.push(step(4, ClosingKind::Closing, 1, 54));
        let gap =
            "closing record 4 comes after a gap: 2000-02-22 to 2000-02-23 was not closed, or its closing was removed";
        assert_eq!(whats(&linked(steps)), [gap]);
        let mut steps = sequence(2);
        steps.push(step(4, ClosingKind::Closing, 1, 51));
        assert_eq!(whats(&linked(steps)), ["closing record 4 closes a period that was closed before"]);
    }

    #[test]
    fn a_new_stream_hides_no_gap_of_its_place() {
        let mut steps = sequence(2);
        steps.push(step(4, ClosingKind::Opening, 2, 53));
        let gap = "closing record 4 begins a stream after a gap: 2000-02-22 was not closed, or its closing was removed";
        assert_eq!(whats(&linked(steps.clone())), [gap]);
        // What another place closed since is not here.
        steps[3].place = "main.ffffffff".into();
        assert_eq!(whats(&linked(steps)), Vec::<String>::new());
    }

    #[test]
    fn a_stream_stays_where_it_is_and_never_comes_back() {
        let mut steps = sequence(1);
        steps.push(ClosingStep { place: "main.ffffffff".into(), ..step(3, ClosingKind::Closing, 1, 51) });
        assert_eq!(whats(&linked(steps)), ["closing record 3 was written in another place than its stream"]);
        let mut steps = sequence(1);
        steps.push(step(3, ClosingKind::Opening, 2, 51));
        steps.push(step(4, ClosingKind::Opening, 1, 51));
        assert_eq!(whats(&linked(steps)), ["closing record 4 goes back to a stream that had ended"]);
        let mut steps = sequence(1);
        steps.push(step(3, ClosingKind::Closing, 2, 51));
        assert_eq!(whats(&linked(steps)), ["closing record 3 is of a stream that it does not open"]);
        let mut steps = sequence(1);
        steps.push(step(3, ClosingKind::Opening, 1, 51));
        assert_eq!(whats(&linked(steps)), ["closing record 3 opens a stream that had begun"]);
    }

    #[test]
    fn chains_never_fall() {
        let fall = |closed: Closed| {
            let mut steps = sequence(2);
            steps[2].chains.insert("main.0a1b2c3d".into(), closed);
            whats(&linked(steps))
        };
        let wrong = |what: &str| vec![format!("closing record 3 is not right: chain main.0a1b2c3d {what}")];
        let mac = [2; 32];
        assert_eq!(fall(Closed { position: 3, mac, count: 0 }), wrong("was at a higher position in an earlier one"));
        assert_eq!(fall(Closed { position: 4, mac, count: 0 }), Vec::<String>::new());
        let other = Closed { position: 4, mac: [9; 32], count: 0 };
        assert_eq!(fall(other), wrong("has another entry at the same position in an earlier one"));
        assert_eq!(fall(Closed { position: 7, mac, count: 2 }), wrong("has another number of entries in it"));
    }

    proptest! {
        #[test]
        fn an_order_that_was_kept_is_right(closings in 0_u32..40) {
            prop_assert_eq!(whats(&sequence(closings)), Vec::<String>::new());
        }

        /// Whatever is taken out is missed, but for the newest.
        #[test]
        fn what_is_taken_out_is_missed(closings in 2_u32..20, place in 0_usize..20) {
            let mut steps = sequence(closings);
            let place = place % (steps.len() - 1);
            steps.remove(place);
            let flaws = judge_closings(&steps);
            let number = u64::try_from(place).expect("small") + 1;
            prop_assert_eq!((flaws[0].first, flaws[0].last), (number, number));
        }

        /// Who removes one and numbers the others anew breaks the links.
        #[test]
        fn numbering_anew_helps_nobody(closings in 2_u32..20, place in 0_usize..20) {
            let mut steps = sequence(closings);
            let place = place % (steps.len() - 1);
            steps.remove(place);
            for (step, number) in steps.iter_mut().zip(1..) {
                step.number = number;
            }
            prop_assert!(!judge_closings(&steps).is_empty());
        }

        #[test]
        fn two_exchanged_are_noticed(closings in 2_u32..20, a in 0_usize..20, b in 0_usize..20) {
            let mut steps = sequence(closings);
            let (a, b) = (a % steps.len(), b % steps.len());
            prop_assume!(a != b);
            steps.swap(a, b);
            let numbers: Vec<u64> = (1..).take(steps.len()).collect();
            steps.iter_mut().zip(numbers).for_each(|(step, number)| step.number = number);
            prop_assert!(!judge_closings(&steps).is_empty());
        }
    }

    #[test]
    fn a_mac_is_of_one_record_of_one_subject_under_one_number() {
        let key =
            |byte| HistoryKeys::derive(&Secret::from_bytes(vec![byte; 32]).expect("32 bytes"), SUBJECT).record_key();
        let macs = [
            closing_mac(&key(7), SUBJECT, 1, "{}"),
            closing_mac(&key(8), SUBJECT, 1, "{}"),
            closing_mac(&key(7), HistoryId([4; 16]), 1, "{}"),
            closing_mac(&key(7), SUBJECT, 2, "{}"),
            closing_mac(&key(7), SUBJECT, 1, "[]"),
        ];
        for (place, mac) in macs.iter().enumerate() {
            assert!(!macs[..place].contains(mac), "{place}");
        }
        let digests =
            [closing_digest(1, "{}", &[1; 32]), closing_digest(2, "{}", &[1; 32]), closing_digest(1, "{}", &[2; 32])];
        assert!(digests[0] != digests[1] && digests[0] != digests[2]);
    }
}
