//! Why there is no usable state of the evolving secret. No variant can hold a byte of it.

use crate::key::KeyFault;
use crate::pg::error::Report;
use pgrx::PgSqlErrorCode;
use thiserror::Error;

#[derive(Debug, Clone, Error)]
pub enum EvolutionFault {
    #[error("pgseal.key_evolution is off")]
    Off,
    #[error("pgseal.key_state_file is not set")]
    NoPath,
    #[error("pgseal.key_state_file \"{path}\" is no absolute path")]
    Relative { path: String },
    #[error("the state file \"{path}\" would stand in the data directory")]
    InDataDirectory { path: String },
    #[error("there is no state file \"{path}\"")]
    Missing { path: String },
    #[error("the state file \"{path}\" cannot be read: {reason}")]
    Unreadable { path: String, reason: String },
    #[error("the state file \"{path}\" is not a regular file")]
    NotAFile { path: String },
    #[error("the state file \"{path}\" has mode {mode:04o}: others than its owner can use it")]
    Permissive { path: String, mode: u32 },
    #[error("the state file \"{path}\" is damaged")]
    Damaged { path: String },
    #[error("the state file \"{path}\" is of a stream with periods of a {found}, pgseal.key_evolution is {wanted}")]
    OtherKind { path: String, found: &'static str, wanted: &'static str },
    #[error("the state file \"{path}\" cannot be written: {reason}")]
    NotWritten { path: String, reason: String },
    #[error("{setting} gives the same secret for both purposes, as it has no %p")]
    OnePurpose { setting: &'static str },
    #[error("the root secret cannot be had: {0}")]
    NoRoot(KeyFault),
}

impl EvolutionFault {
    /// Ends the server that is about to start. The log's one line says why: who starts a server often sees no more.
    pub fn refuse_start(&self) -> ! {
        Report::new(PgSqlErrorCode::ERRCODE_CONFIG_FILE_ERROR, format!("pgseal's key cannot evolve: {self}"))
            .hint(self.remedy())
            .end_process()
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        const ELSEWHERE: &str =
            "or bring the text that SELECT seal.new_stream() prints on a server that has the root into that file";
        match self {
            EvolutionFault::Off => "Set pgseal.key_evolution to day or month, and restart the server.".to_owned(),
            EvolutionFault::NoPath | EvolutionFault::Relative { .. } | EvolutionFault::InDataDirectory { .. } => {
                "Set pgseal.key_state_file to a path outside the data directory, in a folder of the server's user, and restart the server.".to_owned()
            }
            EvolutionFault::Missing { path } => {
                format!("Restart the server, which begins a new stream if it can fetch the root, {ELSEWHERE} (\"{path}\").")
            }
            EvolutionFault::Unreadable { .. } | EvolutionFault::NotAFile { .. } => {
                "Let pgseal.key_state_file name a regular file that the server's user can read and write, in a folder that he can write.".to_owned()
            }
            EvolutionFault::Permissive { path, .. } => format!("Run: chmod 600 \"{path}\""),
            EvolutionFault::Damaged { path } => format!(
                "It is not overwritten. Put a copy of it back; if it is lost, remove \"{path}\" and restart the server, which begins a new stream if it can fetch the root, {ELSEWHERE}."
            ),
            EvolutionFault::OtherKind { found, path, .. } => format!(
                "Set pgseal.key_evolution = '{found}', or remove \"{path}\" to begin a new stream, and restart the server."
            ),
            EvolutionFault::NotWritten { .. } => {
                "Make room there, and let the server's user write the folder of pgseal.key_state_file.".to_owned()
            }
            EvolutionFault::OnePurpose { setting } => format!(
                "Write %p into {setting} where it is to be sign or verify, see docs/forward-security.md, or set pgseal.key_evolution = off."
            ),
            EvolutionFault::NoRoot(_) => format!(
                "Let the key's source give another secret for %p = verify than for sign, {ELSEWHERE} (pgseal.key_state_file)."
            ),
        }
    }
}

impl From<EvolutionFault> for Report {
    fn from(fault: EvolutionFault) -> Report {
        Report::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "pgseal's key cannot evolve")
            .detail(format!("Reason: {fault}."))
            .hint(fault.remedy())
    }
}
