//! By which secrets records of closings are judged: those of their periods, which come from the root, and keys that a
//! rotation ended.

use crate::key::{self, KeyFault, evolution};
use crate::pg::clock;
use crate::record::closing::{Content, JournaledStream, Stored};
use crate::record::ring::{self, Ring};
use pgseal_chain::{ClosingKind, EvolvingSecret, HistoryId, Period, RecordKey, Secret};
use std::collections::BTreeMap;

/// What is known of a record's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Right,
    False,
    /// Its key is not at hand.
    Unjudged,
}

pub(super) enum Root {
    Right(Secret),
    Unavailable(KeyFault),
    Wrong { wanted: String, have: String },
}

/// The roots of this run, fetched when they are needed first and wiped at its end, and what comes from them.
pub(super) struct Secrets<'a> {
    streams: &'a [JournaledStream],
    ring: &'a Ring,
    pub(super) roots: BTreeMap<String, Root>,
    /// By stream: the period that was needed last.
    periods: BTreeMap<[u8; 16], (u32, EvolvingSecret)>,
}

impl<'a> Secrets<'a> {
    pub(super) fn of(streams: &'a [JournaledStream], ring: &'a Ring) -> Secrets<'a> {
        Secrets { streams, ring, roots: BTreeMap::new(), periods: BTreeMap::new() }
    }

    pub(super) fn judge(&mut self, record: &Stored, read: &Content) -> Standing {
        let key = match (read.what, read.period) {
            (ClosingKind::Rotation, _) if !self.ring.contains_key(&read.key_id) => Err(Standing::False),
            (ClosingKind::Rotation, _) if ring::is_out_of_reach(self.ring, &read.key_id) => Err(Standing::Unjudged),
            (ClosingKind::Rotation, _) => key::to_verify(&read.key_id)
                .and_then(|key| key.keys(record.subject))
                .map(|keys| keys.record_key())
                .map_err(|_| Standing::Unjudged),
            (_, Some(period)) => self.of_period(record.subject, period),
            (_, None) => Err(Standing::False),
        };
        match key {
            Ok(key) if record.is_authentic(&key) => Standing::Right,
            Ok(_) => Standing::False,
            Err(standing) => standing,
        }
    }

    fn of_period(&mut self, subject: HistoryId, period: Period) -> Result<RecordKey, Standing> {
        let known = self.streams.iter().find(|known| known.stream.id == period.stream).ok_or(Standing::False)?;
        let stream = &known.stream;
        // No period of the future was ever in force; and nobody is to be kept busy.
        let latest = stream.kind.period(clock::now()).saturating_add(1);
        if period.kind != stream.kind || period.number < stream.first || period.number > latest {
            return Err(Standing::False);
        }
        let root = self.roots.entry(stream.key_id.clone()).or_insert_with(|| match evolution::root(&stream.key_id) {
            Err(fault) => Root::Unavailable(fault),
            Ok(root) => {
                let have = hex::encode(root.fingerprint());
                if have == known.root { Root::Right(root) } else { Root::Wrong { wanted: known.root.clone(), have } }
            }
        });
        let Root::Right(root) = root else { return Err(Standing::Unjudged) };
        let secret = match self.periods.remove(&stream.id) {
            Some((number, secret)) if number <= period.number => {
                (number + 1..=period.number).fold(secret, |secret, number| secret.next(stream, number))
            }
            _ => EvolvingSecret::at(root, stream, period.number).ok_or(Standing::False)?,
        };
        let key = secret.closing_key(subject);
        self.periods.insert(stream.id, (period.number, secret));
        Ok(key)
    }
}
