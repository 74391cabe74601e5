//! Runs that are recorded, and what may be deleted after an intact one.
//!
//! | | |
//! |---|---|
//! | `run` | verifies, records, decides |
//! | `plan` | how far each chain may be pruned |
//! | `obstacle` | what stands in the way of that |
//! | `rows` | deletes entry by entry, each checked once more as it goes |
//! | `partitions` | drops whole partitions of a history that is partitioned by time |
//! | `alarm` | who is told of it |
//! | `anchors` | deletes anchors that no entry inside a window needs |
//!
//! Each deletion and the cut that describes it are one transaction. What was verified and what is
//! deleted are compared: an entry that changed in between ends the transaction.

mod alarm;
mod anchors;
mod error;
mod functions;
mod obstacle;
mod partitions;
mod plan;
mod rows;
pub mod run;
