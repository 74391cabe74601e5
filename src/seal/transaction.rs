//! What this transaction has sealed and not yet committed.
//!
//! | event | what happens to a chain it owns |
//! |---|---|
//! | savepoint rolled back | the head goes back to where it stood before the savepoint; ownership stays |
//! | commit | the head is published to shared memory, before the chain's lock goes |
//! | prepare | shared memory keeps the old head as a floor; the next owner reloads |
//! | rollback | nothing is published; the next owner looks before it uses the next position |

use super::error::SealError;
use super::heads::{self, Head};
use super::newest_anchor::NewestAnchor;
use super::ownership::{self, Granted};
use super::plan::SealPlan;
use super::stored::{self, Fate, Place};
use crate::pg::counters::{self, Counted};
use crate::pg::executor;
use crate::pg::shared_memory;
use crate::pg::transaction::{self, Level, SavepointEvent, TransactionEvent};
use crate::record::journal;
use pgseal_chain::HistoryId;
use std::cell::RefCell;
use std::rc::Rc;

struct OwnedChain {
    granted: Granted,
    head: Head,
    /// Heads as they stood before a savepoint's first entry, innermost last.
    saved: Vec<(Level, Head)>,
    /// The last row, where ON CONFLICT may have skipped it.
    unconfirmed: Option<Unconfirmed>,
    suspect: bool,
    closed: bool,
    /// Whether its last row is stored could not be found out: the next owner reloads.
    doubtful: bool,
}

/// A row that may not be stored, now or at all.
struct Unconfirmed {
    place: Place,
    /// The head before it.
    before: Head,
    /// How deep the statement was nested that inserts it.
    depth: u32,
}

struct OpenHistory {
    history: HistoryId,
    /// What this transaction owns of it.
    chains: Vec<OwnedChain>,
    /// The chain of the present turn.
    current: usize,
    /// The chain that this backend used last; stays when the transaction ends.
    preferred: u32,
}

#[derive(Default)]
struct Transaction {
    /// Also those of earlier transactions, with no chain owned.
    histories: Vec<OpenHistory>,
    may_skip_rows: bool,
    before_commit_passed: bool,
    sealed_late: bool,
    baseline_of: Option<u32>,
    /// The extension is dropped at this level, with these detached histories.
    dropped: Option<(Level, Vec<HistoryId>)>,
}

thread_local! {
    static OPEN: RefCell<Transaction> = RefCell::default();
}

/// Where the next entry goes.
pub struct Turn {
    pub chain: Rc<str>,
    pub head: Head,
    /// The newest anchor that was published when the transaction came to own the chain.
    pub anchor: NewestAnchor,
}

const TOP_LEVEL: Level = 1;

/// Of how many histories a backend keeps in mind which chain it used last.
const HISTORIES_IN_MIND: usize = 64;

/// The chain and head that the next row of this history continues.
pub fn next_turn(plan: &SealPlan) -> Result<Turn, SealError> {
    OPEN.with_borrow_mut(|open| open.next_turn(plan))
}

/// Records that a row was sealed in this turn.
pub fn advance(plan: &SealPlan, head: Head) {
    OPEN.with_borrow_mut(|open| open.advance(plan, head));
}

/// From now on, until the transaction ends, a sealed row may turn out not to be stored.
pub fn expect_skipped_rows() {
    OPEN.with_borrow_mut(|open| open.may_skip_rows = true);
}

/// While `work` runs, updates of this history's rows seal them: attaching a table with rows.
pub fn sealing_baseline<R>(relation: u32, work: impl FnOnce() -> R) -> R {
    OPEN.with_borrow_mut(|open| open.baseline_of = Some(relation));
    let result = work();
    OPEN.with_borrow_mut(|open| open.baseline_of = None);
    result
}

/// The extension is being dropped, with these detached histories: memory forgets them once that is
/// committed.
pub fn forget_when_committed(histories: &[HistoryId]) {
    OPEN.with_borrow_mut(|open| {
        let (_, forgotten) = open.dropped.get_or_insert_with(|| (transaction::level(), Vec::new()));
        forgotten.extend_from_slice(histories);
    });
}

pub fn is_sealing_baseline(relation: u32) -> bool {
    OPEN.with_borrow(|open| open.baseline_of == Some(relation))
}

impl Transaction {
    fn next_turn(&mut self, plan: &SealPlan) -> Result<Turn, SealError> {
        let index = match self.histories.iter().position(|history| history.history == plan.history) {
            Some(index) => index,
            None => {
                let chains = Vec::with_capacity(1);
                self.histories.push(OpenHistory { history: plan.history, chains, current: 0, preferred: 0 });
                self.histories.len() - 1
            }
        };
        let history = &mut self.histories[index];
        for current in 0..history.chains.len() {
            let chain = &mut history.chains[current];
            if chain.is_usable(plan)? {
                history.current = current;
                return Ok(chain.turn());
            }
        }
        loop {
            let owned: Vec<u32> = history.chains.iter().map(|chain| chain.granted.slot.chain()).collect();
            let granted = ownership::own(plan, history.preferred, &owned)?;
            if granted.slot.chain() != history.preferred && !owned.contains(&history.preferred) {
                counters::count(Counted::ChainChanges, 1);
            }
            history.preferred = granted.slot.chain();
            history.chains.push(OwnedChain::new(granted));
            history.current = history.chains.len() - 1;
            let chain = &mut history.chains[history.current];
            if chain.is_usable(plan)? {
                return Ok(chain.turn());
            }
        }
    }

    fn advance(&mut self, plan: &SealPlan, head: Head) {
        let may_skip = self.may_skip_rows;
        self.sealed_late |= self.before_commit_passed;
        let chain = self
            .histories
            .iter_mut()
            .find(|history| history.history == plan.history)
            .and_then(|history| history.chains.get_mut(history.current));
        if let Some(chain) = chain {
            let level = transaction::level();
            let saved_at = chain.saved.last().map_or(TOP_LEVEL, |(level, _)| *level);
            if level != saved_at && level != TOP_LEVEL {
                chain.saved.push((level, chain.head));
            }
            let place = Place { leaf: plan.leaf, position: head.position, mac: head.mac };
            chain.unconfirmed = may_skip.then(|| Unconfirmed { place, before: chain.head, depth: executor::depth() });
            chain.head = head;
        }
    }

    fn chains(&mut self) -> impl Iterator<Item = &mut OwnedChain> {
        self.histories.iter_mut().flat_map(|history| history.chains.iter_mut())
    }

    /// The next transaction begins with nothing but the memory of what was used.
    fn reset(&mut self) {
        let mut histories = std::mem::take(&mut self.histories);
        if histories.len() > HISTORIES_IN_MIND {
            histories.clear();
        }
        histories.iter_mut().for_each(|history| history.chains.clear());
        *self = Transaction { histories, ..Transaction::default() };
    }

    fn settle_all(&mut self) -> Result<(), SealError> {
        if self.may_skip_rows { self.chains().try_for_each(OwnedChain::settle) } else { Ok(()) }
    }
}

impl OwnedChain {
    fn new(granted: Granted) -> OwnedChain {
        OwnedChain {
            head: granted.head,
            suspect: granted.suspect,
            granted,
            saved: Vec::new(),
            unconfirmed: None,
            closed: false,
            doubtful: false,
        }
    }

    fn turn(&self) -> Turn {
        Turn { chain: Rc::clone(&self.granted.name), head: self.head, anchor: self.granted.anchor }
    }

    /// Whether the next row can continue this chain.
    fn is_usable(&mut self, plan: &SealPlan) -> Result<bool, SealError> {
        if self.closed || self.waits_for_outer_row()? {
            return Ok(false);
        }
        self.settle()?;
        // While a baseline is sealed there is no index yet, and nobody else can write.
        let look = self.suspect && plan.seal_index.is_some();
        if look && stored::is_taken(plan.leaf, &self.granted.name, self.head.position + 1) {
            ownership::close(plan, &self.granted.name, self.granted.slot);
            self.closed = true;
        }
        Ok(!self.closed)
    }

    /// Whether the last row belongs to a statement around this one and is not stored: it may still
    /// be on its way into the table, since a CHECK constraint can insert rows of its own.
    fn waits_for_outer_row(&self) -> Result<bool, SealError> {
        match &self.unconfirmed {
            Some(row) if executor::depth() > row.depth => {
                Ok(stored::fate(&self.granted.name, &row.place)? != Fate::Stored)
            }
            _ => Ok(false),
        }
    }

    /// If the last row was skipped, its position is free again. Asked only when the next row is
    /// about to be sealed and before the transaction ends: in between, the row may still be on its
    /// way into the table, since a CHECK constraint can open a savepoint.
    fn settle(&mut self) -> Result<(), SealError> {
        if let Some(row) = self.unconfirmed.take() {
            match stored::fate(&self.granted.name, &row.place)? {
                Fate::Stored => {}
                Fate::Skipped => self.head = row.before,
                Fate::Unknown => self.doubtful = true,
            }
        }
        Ok(())
    }

    fn roll_back(&mut self, level: Level) {
        while self.saved.last().is_some_and(|(saved, _)| *saved >= level) {
            if let Some((_, head)) = self.saved.pop() {
                self.head = head;
                self.unconfirmed = None;
                self.suspect = true;
            }
        }
    }

    fn release(&mut self, level: Level, parent: Level) {
        let Some((saved, head)) = self.saved.pop_if(|(saved, _)| *saved == level) else { return };
        debug_assert_eq!(saved, level);
        let kept_by_parent = self.saved.last().is_some_and(|(saved, _)| *saved == parent);
        if !kept_by_parent && parent != TOP_LEVEL {
            self.saved.push((parent, head));
        }
    }

    fn has_sealed(&self) -> bool {
        self.head != self.granted.head
    }
}

/// Handler for the ends of transactions.
pub fn on_transaction(event: TransactionEvent) {
    if event == TransactionEvent::BeforePrepare {
        journal::refuse_prepare();
    }
    let mut wake = false;
    match event {
        TransactionEvent::BeforeCommit | TransactionEvent::BeforePrepare => {
            OPEN.with_borrow_mut(|open| {
                open.settle_all().unwrap_or_else(|error| error.refuse());
                open.before_commit_passed = true;
            });
            journal::write_queued();
        }
        TransactionEvent::Committed => end(|open| {
            let late = open.sealed_late;
            let mut sealed = 0;
            if let Some((_, histories)) = &open.dropped {
                heads::forget(histories);
            }
            for chain in open.chains() {
                if late || chain.doubtful {
                    wake |= heads::invalidate(chain.granted.slot);
                } else {
                    wake |= heads::publish(chain.granted.slot, &chain.head);
                    sealed += chain.head.position.saturating_sub(chain.granted.head.position);
                }
                // Rolled back to before its only entries: nobody has looked at the next position.
                if chain.suspect && !chain.has_sealed() {
                    wake |= heads::suspect(chain.granted.slot);
                }
            }
            counters::count(Counted::EntriesSealed, sealed);
        }),
        TransactionEvent::Prepared => end(|open| {
            for chain in open.chains().filter(|chain| chain.has_sealed()) {
                wake |= heads::invalidate(chain.granted.slot);
            }
        }),
        TransactionEvent::Aborted => end(|open| {
            for chain in open.chains() {
                wake |= heads::suspect(chain.granted.slot);
            }
        }),
    }
    match event {
        TransactionEvent::BeforeCommit | TransactionEvent::BeforePrepare => {}
        ended => wake |= journal::transaction_ended(ended == TransactionEvent::Committed),
    }
    if wake {
        shared_memory::wake_launcher();
    }
}

/// Nothing in here may fail: the transaction has ended already.
fn end(finish: impl FnOnce(&mut Transaction)) {
    let _ = OPEN.try_with(|open| {
        if let Ok(mut open) = open.try_borrow_mut() {
            if open.dropped.is_some() || open.chains().next().is_some() {
                finish(&mut open);
            }
            open.reset();
        }
    });
}

/// Handler for savepoints.
pub fn on_savepoint(event: SavepointEvent) {
    match event {
        SavepointEvent::Released { level, parent } => journal::savepoint_released(level, parent),
        SavepointEvent::RolledBack { level } => journal::savepoint_rolled_back(level),
    }
    // A process that is ended while it waits for a chain rolls its savepoints back with `next_turn` still
    // on its stack. An error here would keep the server from giving back the locks of the dead.
    let _ = OPEN.try_with(|open| {
        let Ok(mut open) = open.try_borrow_mut() else { return };
        match event {
            SavepointEvent::Released { level, parent } => open.chains().for_each(|chain| chain.release(level, parent)),
            SavepointEvent::RolledBack { level } => {
                open.dropped.take_if(|(dropped, _)| *dropped >= level);
                open.chains().for_each(|chain| chain.roll_back(level));
            }
        }
    });
}
