//! A small history that is sealed with real keys and then tampered with.
#![allow(dead_code)]

pub mod acts;
pub mod model;
pub mod path;

use pgseal_chain::{
    Authenticity, Cut, Entry, EpochKey, Finding, Findings, GENESIS, Head, HistoryId, HistoryKeys, Known, Locator, Mac,
    Observed, Secret, document_digest,
};

pub const EPOCHS: std::ops::RangeInclusive<u32> = 1..=3;
const HISTORY: HistoryId = HistoryId([9; 16]);

pub fn keys() -> Vec<EpochKey> {
    let secret = Secret::from_bytes(vec![1; 32]).expect("secret");
    let keys = HistoryKeys::derive(&secret, HISTORY);
    EPOCHS.map(|epoch| keys.epoch_key(epoch, &[0; 32])).collect()
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub chain: Option<Vec<u8>>,
    pub position: Option<i64>,
    pub epoch: Option<i32>,
    pub sealed_at: Option<i64>,
    pub prev: Option<Vec<u8>>,
    pub mac: Option<Vec<u8>>,
    pub content: u32,
    pub of_tenant: bool,
    pub foreign_content: Option<String>,
    pub key: u32,
}

fn mac(row: &Row, epoch: u32, keys: &[EpochKey]) -> Option<Mac> {
    let prev: Mac = row.prev.clone()?.try_into().ok()?;
    let entry = Entry {
        history: HISTORY,
        chain: row.chain.as_deref()?,
        position: u64::try_from(row.position?).ok()?,
        epoch,
        anchor: 0,
        sealed_at: row.sealed_at?,
        tenant: None,
        prev: &prev,
        document_digest: document_digest([0; 16], &row.content.to_be_bytes()),
    };
    Some(entry.mac(keys.get(epoch.checked_sub(1)? as usize)?))
}

impl Row {
    pub fn mac(&self) -> Mac {
        self.mac.clone().expect("mac").try_into().expect("32 bytes")
    }

    pub fn prev(&self) -> Mac {
        self.prev.clone().expect("prev").try_into().expect("32 bytes")
    }

    pub fn at(&self) -> u64 {
        u64::try_from(self.position.expect("position")).expect("position")
    }
}

/// Seals an entry, position × 1 ms after the start of its epoch (100 ms each), after `before`; none: the first of the chain.
pub fn seal(chain: &str, before: Option<&Row>, content: u32, epoch: u32, keys: &[EpochKey]) -> Row {
    let position = before.map_or(0, |row| row.position.expect("position")) + 1;
    let mut row = Row {
        chain: Some(chain.as_bytes().to_vec()),
        position: Some(position),
        epoch: i32::try_from(epoch).ok(),
        sealed_at: Some(position * 1_000 + i64::from(epoch - 1) * 100_000),
        prev: Some(before.map_or(GENESIS, Row::mac).to_vec()),
        mac: None,
        content,
        of_tenant: true,
        foreign_content: None,
        key: content,
    };
    row.mac = mac(&row, epoch, keys).map(|mac| mac.to_vec());
    row
}

/// Rows, and what the server remembers of them.
#[derive(Clone)]
pub struct World {
    pub keys: Vec<EpochKey>,
    pub rows: Vec<Row>,
    pub known: Known,
    pub lost_keys: Vec<i32>,
    pub lost_column: Option<(i32, String)>,
}

impl World {
    pub fn empty() -> Self {
        Self { keys: keys(), rows: Vec::new(), known: Known::default(), lost_keys: Vec::new(), lost_column: None }
    }

    /// One chain «a» of `n` entries in epoch 1, with its head.
    pub fn of(n: u32) -> Self {
        Self::empty().with("a", n)
    }

    /// Another chain; the key of entry p is p + 1000 × number of the chain.
    pub fn with(mut self, chain: &str, n: u32) -> Self {
        let offset = 1000 * u32::try_from(self.known.heads.len()).expect("few");
        self.extend(chain, (1..=n).map(|p| (p + offset, 1)));
        self
    }

    /// Seals on from the chain's highest entry: (content, epoch).
    pub fn extend(&mut self, chain: &str, entries: impl Iterator<Item = (u32, u32)>) {
        let newest = self.rows.iter().filter(|r| r.chain.as_deref() == Some(chain.as_bytes()));
        let mut last = newest.max_by_key(|r| r.position).cloned();
        for (content, epoch) in entries {
            let row = seal(chain, last.as_ref(), content, epoch, &self.keys);
            self.rows.push(row.clone());
            last = Some(row);
        }
        self.known.heads.retain(|head| head.chain != chain.as_bytes());
        if let Some(row) = last {
            self.remember(&row);
        }
    }

    pub fn remember(&mut self, row: &Row) {
        self.known.heads.push(Head {
            chain: row.chain.clone().expect("chain"),
            position: row.at(),
            mac: Some(row.mac()),
        });
    }

    /// The row with this key, as first found.
    pub fn row(&mut self, key: u32) -> &mut Row {
        self.rows.iter_mut().find(|row| row.key == key).expect("key")
    }

    pub fn get(&self, key: u32) -> Row {
        self.rows.iter().find(|row| row.key == key).expect("key").clone()
    }

    pub fn delete(&mut self, keys: impl IntoIterator<Item = u32>) {
        let gone: Vec<u32> = keys.into_iter().collect();
        self.rows.retain(|row| !gone.contains(&row.key));
    }

    /// A branch that leaves chain «a» after position `after`: contents and keys from `content`.
    pub fn branch(&self, after: u32, content: u32, n: u32) -> Vec<Row> {
        let mut last = (after > 0).then(|| self.get(after));
        let mut rows = Vec::new();
        for i in 0..n {
            let row = seal("a", last.as_ref(), content + i, 1, &self.keys);
            rows.push(row.clone());
            last = Some(row);
        }
        rows
    }

    pub fn prune(&mut self, position: u32) {
        let row = self.get(position);
        self.delete(1..=position);
        self.known.cuts.push(Cut { chain: b"a".to_vec(), position: row.at(), mac: row.mac() });
    }

    pub fn authenticity(&self, row: &Row) -> Authenticity {
        if row.epoch.is_some_and(|epoch| self.lost_keys.contains(&epoch)) {
            return Authenticity::UnknownKey;
        }
        if let Some((epoch, column)) = &self.lost_column
            && row.epoch == Some(*epoch)
        {
            return Authenticity::MissingColumn(column.clone());
        }
        let right = |epoch: u32| mac(row, epoch, &self.keys).map(|m| m.to_vec()) == row.mac;
        let named = row.epoch.and_then(|epoch| u32::try_from(epoch).ok());
        let exists = named.is_some_and(|epoch| EPOCHS.contains(&epoch));
        match { EPOCHS }.find(|epoch| row.mac.is_some() && right(*epoch)) {
            Some(epoch) if Some(epoch) == named => Authenticity::Valid,
            Some(epoch) => Authenticity::ValidUnderEpoch(epoch),
            None if exists => Authenticity::Invalid,
            None => Authenticity::UnknownEpoch,
        }
    }

    pub fn findings(&self) -> Findings<u32> {
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by_key(|row| (row.chain.is_none(), row.chain.clone(), row.position.is_none(), row.position));
        let mut locator = Locator::new(self.known.clone());
        for row in rows {
            locator.observe(Observed {
                chain: row.chain.clone(),
                position: row.position,
                epoch: row.epoch,
                sealed_at: row.sealed_at,
                prev: row.prev.clone(),
                mac: row.mac.clone(),
                authenticity: self.authenticity(row),
                of_tenant: row.of_tenant,
                key: Some(row.key),
                foreign_content: row.foreign_content.clone(),
            });
        }
        locator.finish()
    }

    /// The findings as «kind chain:first-last #key».
    pub fn brief(&self) -> Vec<String> {
        self.findings().list.iter().map(brief).collect()
    }

    pub fn detail(&self) -> String {
        let details: Vec<String> = self.findings().list.into_iter().map(|f| f.detail).collect();
        details.join("; ")
    }
}

pub fn brief(finding: &Finding<u32>) -> String {
    let mut text = finding.kind.to_string();
    if let Some(chain) = &finding.chain {
        text += &format!(" {chain}");
    }
    if let Some(position) = finding.position {
        text += &format!(":{position}");
    }
    if let Some(last) = finding.last_position {
        text += &format!("-{last}");
    }
    if let Some(key) = finding.key {
        text += &format!(" #{key}");
    }
    text
}
