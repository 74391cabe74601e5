//! The mac that an entry should have.

use crate::entry::Mac;

#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub mac: Mac,
    pub trust: Trust,
}

/// Who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trust {
    /// A changed row that stands above.
    Stranger,
    /// A row above that was changed, or cannot be judged, but bears the mac that it should.
    Bearer,
    /// An authentic row above, or something outside the table.
    Known,
}

impl Wanted {
    pub fn known(mac: Mac) -> Self {
        Self { mac, trust: Trust::Known }
    }
}
