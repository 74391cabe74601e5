//! One row alone: is it what somebody with the key has sealed?

use pgseal_chain::{Authenticity, Entry, document_digest};

use crate::input::{Case, Epoch, Row};

/// What its mac says, and a column with content that its epoch does not know.
pub fn judge(case: &Case, row: &Row) -> (Authenticity, Option<String>) {
    let named =
        case.epochs.iter().find(|epoch| Some(epoch.number) == row.epoch.and_then(|epoch| epoch.try_into().ok()));
    if let Some(epoch) = named.filter(|epoch| is_sealed_under(case, row, epoch)) {
        return (Authenticity::Valid, foreign_content(case, row, epoch));
    }
    let other = |epoch: &&Epoch| is_sealed_under(case, row, epoch) && foreign_content(case, row, epoch).is_none();
    let authenticity = match case.epochs.iter().find(other) {
        Some(epoch) => Authenticity::ValidUnderEpoch(epoch.number),
        None if named.is_none() && is_well_formed(row) => Authenticity::UnknownEpoch,
        None => Authenticity::Invalid,
    };
    (authenticity, None)
}

fn is_well_formed(row: &Row) -> bool {
    let numbers = row.at().is_some() && row.anchor.is_some_and(|anchor| anchor >= 0) && row.epoch.is_some();
    numbers && row.chain.is_some() && row.sealed_at.is_some() && row.prev().is_some() && row.mac().is_some()
}

fn is_sealed_under(case: &Case, row: &Row, epoch: &Epoch) -> bool {
    let seal = || Some((row.chain.as_deref()?.as_bytes(), row.at()?, u64::try_from(row.anchor?).ok()?, row.prev()?));
    let (Some((chain, position, anchor, prev)), Some(sealed_at), Some(mac)) = (seal(), row.sealed_at, row.mac()) else {
        return false;
    };
    let Some(document) = row.documents.get(&epoch.number) else { return false };
    let salt = case.salt_key.salt(case.history, chain, position);
    let entry = Entry {
        history: case.history,
        chain,
        position,
        epoch: epoch.number,
        anchor,
        sealed_at,
        tenant: row.tenant.as_deref().filter(|_| epoch.has_tenant).map(str::as_bytes),
        prev: &prev,
        document_digest: document_digest(salt, document.as_bytes()),
    };
    entry.mac(&epoch.key) == mac
}

fn foreign_content(case: &Case, row: &Row, epoch: &Epoch) -> Option<String> {
    let unknown = row.columns.iter().filter(|(name, _)| !epoch.columns.contains(name));
    let mut filled = unknown.filter(|(name, text)| text.as_ref() != case.defaults.get(name));
    filled.next().map(|(name, _)| name.clone())
}
