//! pgseal: history tables whose rows are sealed, inside PostgreSQL.
//!
//! `crates/chain` holds what is signed and how a chain is judged, `crates/document` the canonical
//! text of a row; neither knows PostgreSQL. Here: `pg` is the only module that talks to C,
//! `seal` the INSERT path, `record` what pgseal keeps about a history, `verify` the auditor's
//! side, `key` where the secret comes from, `command` commands that settings name, `private_file` files
//! that hold a secret, `admin` attach, detach and the guard of definitions, `prune` recorded runs and what
//! they allow to delete, `schedule` what runs by itself, `alert` who is told when something is wrong,
//! `heartbeat` the numbers by which a monitoring system sees that all this goes on, `report` what a verification found,
//! on a page for people.

mod admin;
mod alert;
mod command;
mod heartbeat;
mod key;
mod pg;
mod private_file;
mod prune;
mod record;
mod report;
mod schedule;
mod seal;
mod settings;
mod verify;

use pgrx::prelude::*;

::pgrx::pg_module_magic!(name, version);

pgrx::extension_sql_file!("../sql/schema.sql", name = "schema", bootstrap);
pgrx::extension_sql_file!("../sql/sealing.sql", name = "sealing", requires = ["schema"]);
pgrx::extension_sql_file!("../sql/verification.sql", name = "verification", requires = ["sealing"]);
pgrx::extension_sql_file!("../sql/administration.sql", name = "administration", requires = ["verification"]);
pgrx::extension_sql_file!("../sql/keys.sql", name = "keys", requires = ["administration"]);
pgrx::extension_sql_file!("../sql/prune.sql", name = "prune", requires = ["keys"]);
pgrx::extension_sql_file!("../sql/alert.sql", name = "alert", requires = ["prune"]);
pgrx::extension_sql_file!("../sql/heartbeat.sql", name = "heartbeat", requires = ["alert"]);
pgrx::extension_sql_file!("../sql/progress.sql", name = "progress", requires = ["heartbeat"]);
pgrx::extension_sql_file!("../sql/report.sql", name = "report", requires = ["progress"]);
pgrx::extension_sql_file!("../sql/closing.sql", name = "closing", requires = ["report"]);
pgrx::extension_sql_file!("../sql/replication.sql", name = "replication", requires = ["closing"]);
pgrx::extension_sql_file!("../sql/rights.sql", name = "rights", requires = ["replication"], finalize);

/// Runs once, in the postmaster. Loaded any other way, pgseal has no shared memory for its heads.
/// What `postgres -C` must not do waits for `pg::startup`.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    pg::preload::require();
    settings::init();
    pg::shared_memory::init();
    admin::init();
    seal::init();
    alert::init();
    schedule::init();
    pg::startup::at_start(key::init);
}
