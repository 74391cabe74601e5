//! What goes into the locating pass.

use crate::entry::Mac;

/// A newest entry that something outside the table remembers: shared memory, the last anchor, a
/// checkpoint. There may be several for a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Name of the chain.
    pub chain: Vec<u8>,
    /// Position of the entry.
    pub position: u64,
    /// Its mac, if that is remembered.
    pub mac: Option<Mac>,
}

/// The last pruned entry of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Name of the chain.
    pub chain: Vec<u8>,
    /// Position of the entry.
    pub position: u64,
    /// Its mac.
    pub mac: Mac,
}

/// What is known about the chains before their rows are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Remembered entries.
    pub heads: Vec<Head>,
    /// Boundaries of pruning; a chain that has none was never pruned.
    pub cuts: Vec<Cut>,
    /// Start of the window, in µs since 2000-01-01 UTC; none: everything is inside.
    pub window_start: Option<i64>,
    /// Leave out what does not concern the tenant asked for
    /// (see [`Finding::concerns_tenant`](crate::Finding::concerns_tenant)).
    pub tenant_only: bool,
}

/// What checking a row's mac came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authenticity {
    /// Right under the row's own epoch.
    Valid,
    /// Wrong under every epoch.
    Invalid,
    /// Wrong under the row's own epoch, right under this one.
    ValidUnderEpoch(u32),
    /// The key of the row's epoch is not at hand.
    UnknownKey,
    /// The row's epoch needs this column, which is gone or has another type.
    MissingColumn(String),
    /// The records of the row's epoch have not been brought here yet.
    NotArrived,
    /// There is no epoch of the row's number, and the mac is wrong under every other.
    UnknownEpoch,
}

/// A row as it stands in the table. Any column may be NULL or malformed: constraints can be dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed<K> {
    /// `seal_chain`
    pub chain: Option<Vec<u8>>,
    /// `seal_seq`
    pub position: Option<i64>,
    /// `seal_epoch`
    pub epoch: Option<i32>,
    /// `seal_at`, in µs since 2000-01-01 UTC
    pub sealed_at: Option<i64>,
    /// `seal_prev`
    pub prev: Option<Vec<u8>>,
    /// `seal_mac`
    pub mac: Option<Vec<u8>>,
    /// What checking the mac came to.
    pub authenticity: Authenticity,
    /// Whether the row belongs to the tenant asked for; true if none was.
    pub of_tenant: bool,
    /// The caller's key of the row.
    pub key: Option<K>,
    /// A column that the row's epoch does not know but which has content.
    pub foreign_content: Option<String>,
}
