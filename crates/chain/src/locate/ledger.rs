//! What the pass has found so far: findings, and suspects and holes that wait for each other.

use std::collections::HashMap;

use super::describe;
use super::hole::Hole;
use super::layer::{Place, Suspect};
use super::reconcile;
use crate::finding::{Finding, Findings, MAX_LISTED};

pub(super) struct Ledger<K> {
    tenant_only: bool,
    findings: Findings<K>,
    drafts: Vec<Finding<K>>,
    overflow: Overflow,
    /// For each chain the highest position that a valid entry proves to be before the window.
    old_until: HashMap<Vec<u8>, u64>,
    pub suspects: Vec<Suspect<K>>,
    pub holes: Vec<Hole>,
}

/// Drafts of the chain being read for which there was no room.
#[derive(Default)]
struct Overflow {
    last_position: u64,
    tampered: u64,
    unverifiable: u64,
}

impl<K> Ledger<K> {
    pub fn new(tenant_only: bool) -> Self {
        Self {
            tenant_only,
            findings: Findings::default(),
            drafts: Vec::new(),
            overflow: Overflow::default(),
            old_until: HashMap::new(),
            suspects: Vec::new(),
            holes: Vec::new(),
        }
    }

    /// Whether no more suspects and holes are kept: what comes now is reported where it stands.
    pub fn is_full(&self) -> bool {
        self.suspects.len() + self.holes.len() >= MAX_LISTED
    }

    /// Reports something about the chain being read.
    pub fn report(&mut self, finding: Finding<K>) {
        if self.tenant_only && !finding.concerns_tenant() {
            return;
        }
        if self.drafts.len() < MAX_LISTED {
            self.drafts.push(finding);
            return;
        }
        let last = finding.last_position.or(finding.position);
        let overflow = &mut self.overflow;
        overflow.last_position = overflow.last_position.max(last.unwrap_or(u64::MAX));
        let count = if finding.is_unverifiable() { &mut overflow.unverifiable } else { &mut overflow.tampered };
        *count = count.saturating_add(1);
    }

    /// Keeps a row that may turn out to be an entry of another place.
    pub fn suspect(&mut self, mut suspect: Suspect<K>, place: Place) {
        suspect.place = place;
        if self.is_full() {
            self.report(describe::stray(suspect));
        } else {
            self.suspects.push(suspect);
        }
    }

    /// Keeps a row of a position that has no sound one; its number.
    pub fn keep(&mut self, suspect: Suspect<K>) -> usize {
        self.suspects.push(suspect);
        self.suspects.len() - 1
    }

    /// Says where a kept row stands.
    pub fn place(&mut self, id: usize, place: Place) {
        if let Some(suspect) = self.suspects.get_mut(id) {
            suspect.place = place;
        }
    }

    /// Ends a chain whose entries up to `old_until` are proven to be before the window.
    pub fn close_chain(&mut self, chain: Vec<u8>, old_until: u64) {
        for mut finding in std::mem::take(&mut self.drafts) {
            finding.before_window = is_before(&finding, old_until);
            self.findings.push(finding);
        }
        let Overflow { last_position, tampered, unverifiable } = std::mem::take(&mut self.overflow);
        self.findings.total = self.findings.total.saturating_add(tampered + unverifiable);
        if last_position <= old_until {
            self.findings.before_window += tampered + unverifiable;
        } else {
            self.findings.tampered += tampered;
            self.findings.unverifiable += unverifiable;
        }
        if old_until > 0 {
            self.old_until.insert(chain, old_until);
        }
    }

    /// Calls `pause` for each suspect and each finding, several times.
    pub fn finish(mut self, pause: fn()) -> Findings<K> {
        let found = reconcile::reconcile(std::mem::take(&mut self.suspects), std::mem::take(&mut self.holes), pause);
        for (chain, mut finding) in found {
            pause();
            if self.tenant_only && !finding.concerns_tenant() {
                continue;
            }
            let old_until = chain.and_then(|chain| self.old_until.get(&chain));
            finding.before_window = is_before(&finding, old_until.copied().unwrap_or(0));
            self.findings.push(finding);
        }
        for finding in self.drafts.drain(..) {
            self.findings.push(finding);
        }
        self.findings.list.sort_by(|a, b| {
            let place = |f: &Finding<K>| (f.chain.is_none(), f.position.is_none());
            place(a)
                .cmp(&place(b))
                .then_with(|| a.chain.cmp(&b.chain))
                .then_with(|| a.position.cmp(&b.position))
                .then_with(|| a.last_position.cmp(&b.last_position))
                .then_with(|| a.kind.cmp(&b.kind))
        });
        self.findings
    }
}

fn is_before<K>(finding: &Finding<K>, old_until: u64) -> bool {
    finding.last_position.or(finding.position).is_some_and(|last| (1..=old_until).contains(&last))
}
