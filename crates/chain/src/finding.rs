//! What verification reports: findings, and the verdict that follows from them.

/// How many findings a [`Findings`] lists; the rest are only counted.
pub const MAX_LISTED: usize = 100_000;

macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant),*
        }

        impl $name {
            /// Every value, in the order in which the documentation lists them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name that users see.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

named! {
    /// What is wrong.
    Kind {
        /// A sealed entry was changed.
        Modified = "modified",
        /// A row whose mac is nobody's stands at a taken or not yet reached position.
        Forged = "forged",
        /// Entries between others are gone.
        Missing = "missing",
        /// A position is taken by more than one validly sealed row.
        Duplicated = "duplicated",
        /// A validly sealed row does not follow the entry before it.
        WrongPredecessor = "wrong_predecessor",
        /// A row that belongs to no chain and bears no seal.
        Unsealed = "unsealed",
        /// The newest entries of a chain are gone.
        Truncated = "truncated",
        /// The live configuration is not the journaled one.
        ConfigurationAltered = "configuration_altered",
        /// What stands in the table does not fit the journaled boundary of pruning.
        CutAltered = "cut_altered",
        /// A checkpoint was changed.
        CheckpointAltered = "checkpoint_altered",
        /// An anchor was changed.
        AnchorAltered = "anchor_altered",
        /// An entry's epoch is not the one under which it was sealed.
        WrongEpoch = "wrong_epoch",
        /// The key that is needed is not at hand.
        UnknownKey = "unknown_key",
        /// A needed column is gone or has another type, or one has content that no epoch knows of.
        UnknownColumn = "unknown_column",
    }
}

named! {
    /// The answer to the auditor's question.
    Verdict {
        /// A finding inside the window is tampering.
        Tampered = "tampered",
        /// A key or a column that is needed is missing.
        Unverifiable = "unverifiable",
        /// There is nothing to verify. Not a success.
        NothingSealed = "nothing_sealed",
        /// Every finding lies before the window.
        IntactInWindow = "intact_in_window",
        /// No finding at all.
        Intact = "intact",
    }
}

/// One thing that is wrong. `K` is the caller's key of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding<K> {
    /// The chain, if the finding is about one.
    pub chain: Option<String>,
    /// The (first) position.
    pub position: Option<u64>,
    /// The last position, if the finding is about more than one.
    pub last_position: Option<u64>,
    /// What is wrong.
    pub kind: Kind,
    /// Whether it lies before the window. Only set if a valid entry proves it.
    pub before_window: bool,
    /// Whether the row belongs to the tenant asked for; true for findings without a row.
    pub of_tenant: bool,
    /// Whether it concerns every tenant because nobody can know whose entry it was.
    pub of_everyone: bool,
    /// Whether a column that is needed to judge the entry is gone or has another type.
    pub column_missing: bool,
    /// The row that the finding is about, if there is one.
    pub key: Option<K>,
    /// What should be there, where that is known.
    pub expected: Option<String>,
    /// What is there.
    pub found: Option<String>,
    /// One sentence for people.
    pub detail: String,
}

impl<K> Finding<K> {
    /// A finding without place or row, that concerns every tenant.
    #[must_use]
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            chain: None,
            position: None,
            last_position: None,
            kind,
            before_window: false,
            of_tenant: true,
            of_everyone: true,
            column_missing: false,
            key: None,
            expected: None,
            found: None,
            detail: detail.into(),
        }
    }

    /// At the positions `first` to `last` of a chain.
    #[must_use]
    pub fn at(mut self, chain: impl Into<String>, first: u64, last: u64) -> Self {
        self.chain = Some(chain.into());
        self.position = Some(first);
        self.last_position = (last > first).then_some(last);
        self
    }

    /// About a row, which is the asking tenant's or not. It still concerns everyone: see
    /// [`Finding::of_row_only`].
    #[must_use]
    pub fn about(mut self, key: Option<K>, of_tenant: bool) -> Self {
        self.key = key;
        self.of_tenant = of_tenant;
        self
    }

    /// It concerns nobody but the tenant of its row.
    #[must_use]
    pub fn of_row_only(mut self) -> Self {
        self.of_everyone = false;
        self
    }

    /// What should be there and what is, where that is known.
    #[must_use]
    pub fn values(mut self, expected: Option<String>, found: Option<String>) -> Self {
        self.expected = expected;
        self.found = found;
        self
    }

    /// Whether it says that something cannot be judged, rather than that something was done.
    #[must_use]
    pub fn is_unverifiable(&self) -> bool {
        self.kind == Kind::UnknownKey || self.column_missing
    }

    /// Whether a verification for one tenant has to report it. If [`Finding::of_tenant`] is false
    /// the row's key must not be shown to that tenant.
    #[must_use]
    pub fn concerns_tenant(&self) -> bool {
        self.of_tenant || self.of_everyone
    }
}

/// All findings of a run: listed up to [`MAX_LISTED`], counted beyond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings<K> {
    /// The findings, in the order in which they were made.
    pub list: Vec<Finding<K>>,
    /// How many there are, listed or not.
    pub total: u64,
    /// How many of them lie before the window.
    pub before_window: u64,
    /// How many inside the window are tampering.
    pub tampered: u64,
    /// How many inside the window say that something cannot be judged.
    pub unverifiable: u64,
}

impl<K> Default for Findings<K> {
    fn default() -> Self {
        Self { list: Vec::new(), total: 0, before_window: 0, tampered: 0, unverifiable: 0 }
    }
}

impl<K> Findings<K> {
    /// Counts a finding, and lists it if there is room.
    pub fn push(&mut self, finding: Finding<K>) {
        let count = if finding.before_window {
            &mut self.before_window
        } else if finding.is_unverifiable() {
            &mut self.unverifiable
        } else {
            &mut self.tampered
        };
        *count = count.saturating_add(1);
        self.total = self.total.saturating_add(1);
        if self.list.len() < MAX_LISTED {
            self.list.push(finding);
        }
    }

    /// Adds those of another part of the run.
    pub fn append(&mut self, other: Self) {
        let room = MAX_LISTED.saturating_sub(self.list.len());
        self.list.extend(other.list.into_iter().take(room));
        self.total = self.total.saturating_add(other.total);
        self.before_window = self.before_window.saturating_add(other.before_window);
        self.tampered = self.tampered.saturating_add(other.tampered);
        self.unverifiable = self.unverifiable.saturating_add(other.unverifiable);
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }
}

impl<K> FromIterator<Finding<K>> for Findings<K> {
    fn from_iter<I: IntoIterator<Item = Finding<K>>>(findings: I) -> Self {
        let mut all = Self::default();
        for finding in findings {
            all.push(finding);
        }
        all
    }
}

impl Verdict {
    /// The verdict on `entries` entries with these findings. Tampering outranks what cannot be
    /// judged, and both outrank faults before the window.
    #[must_use]
    pub fn of<K>(findings: &Findings<K>, entries: u64) -> Self {
        if findings.tampered > 0 {
            Self::Tampered
        } else if findings.unverifiable > 0 {
            Self::Unverifiable
        } else if findings.total > 0 {
            Self::IntactInWindow
        } else if entries == 0 {
            Self::NothingSealed
        } else {
            Self::Intact
        }
    }

    /// Whether a health check may pass.
    #[must_use]
    pub const fn is_intact(self) -> bool {
        matches!(self, Self::Intact | Self::IntactInWindow)
    }
}
