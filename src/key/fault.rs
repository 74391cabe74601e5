//! Why there is no usable key. No variant can hold a byte of one.

use crate::command::CommandError;
use crate::pg::error::Report;
use crate::pg::key_provider::Unusable;
use pgrx::PgSqlErrorCode;
use pgseal_chain::KeyError;
use thiserror::Error;

#[derive(Debug, Clone, Error)]
pub enum KeyFault {
    #[error("none of pgseal.key_command, pgseal.key_file and pgseal.key is set")]
    NotConfigured,
    #[error("{0} and {1} are both set, but a key has exactly one source")]
    SeveralSources(&'static str, &'static str),
    #[error("the key file \"{path}\" cannot be read: {reason}")]
    Unreadable { path: String, reason: String },
    #[error("the key file \"{path}\" has mode {mode:04o}: others than its owner can use it")]
    Permissive { path: String, mode: u32 },
    #[error("the key file \"{path}\" is not a regular file")]
    NotAFile { path: String },
    #[error("pgseal.key is not hexadecimal text")]
    InlineNotHex,
    #[error("pgseal.key_command gave no key within {seconds} s and was killed")]
    TimedOut { seconds: u64 },
    #[error("pgseal.key_command {0}")]
    Command(CommandError),
    #[error("{origin}: {error}")]
    Malformed { origin: &'static str, error: KeyError },
    #[error("the library that registered itself as key provider {0}")]
    UnusableProvider(Unusable),
    #[error("{setting} is set, and the key provider \"{provider}\" is loaded, but a key has exactly one source")]
    ProviderBeside { setting: &'static str, provider: &'static str },
    #[error("the key provider \"{provider}\" gave no key: it {how}{complaint}")]
    ProviderFailed { provider: &'static str, how: String, complaint: String },
    #[error("the key provider \"{provider}\" gave no key: {error}")]
    ProviderMalformed { provider: &'static str, error: KeyError },
    #[error("the key provider \"{provider}\" gave no key: it wrote nothing but zeros")]
    ProviderBlank { provider: &'static str },
    #[error("the history was sealed with another key than this server has (fingerprint {wanted}, here {have})")]
    OtherKey { wanted: String, have: String },
    #[error("{origin} gives one and the same secret of key {id} to sign and to verify")]
    RootSeals { origin: &'static str, id: String },
    #[error("{setting} has no %p: it gives no secret for verification alone")]
    NoRoot { setting: &'static str },
    #[error("the key with id \"{id}\" is not at hand: {fault}")]
    Missing { id: String, fault: Box<KeyFault> },
    #[error("the file \"{path}\" that pgseal.verification_file names {reason}")]
    VerificationFile { path: String, reason: String },
    #[error("this server holds verification secrets only and cannot seal")]
    VerificationOnly,
    #[error("this server holds verification secrets only, and none for this")]
    NoVerificationSecret,
    #[error("keys are called 1, 2, 3 …")]
    NoSuchId,
    #[error("{0} names one key only: it has no %k, which stands for the id of a key")]
    OneKeyOnly(&'static str),
    #[error("the system gave no memory to keep a key in: {reason}")]
    NoMemory { reason: String },
}

impl From<CommandError> for KeyFault {
    fn from(error: CommandError) -> KeyFault {
        match error {
            CommandError::TimedOut { seconds } => KeyFault::TimedOut { seconds },
            other => KeyFault::Command(other),
        }
    }
}

impl KeyFault {
    /// The fault as a sentence that begins with a capital letter, without a full stop.
    pub fn sentence(&self) -> String {
        let text = self.to_string();
        if text.starts_with("pgseal.") {
            return format!("Setting {text}");
        }
        let mut letters = text.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
    }

    /// Ends the server that is about to start. The log's one line says why: who starts a server often sees no more.
    pub fn refuse_start(&self) -> ! {
        let message = format!("pgseal has no usable key: {self}");
        Report::new(PgSqlErrorCode::ERRCODE_CONFIG_FILE_ERROR, message)
            .hint(format!("{} To start without a key, unable to seal: pgseal.require_key = off.", self.remedy()))
            .end_process()
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        let restart = "then restart the server";
        match self {
            KeyFault::NotConfigured => format!(
                "Create a key with: openssl rand -hex 32 > FILE && chmod 600 FILE, set pgseal.key_file = 'FILE' in postgresql.conf, {restart}."
            ),
            KeyFault::SeveralSources(..) => format!("Keep one of the two in postgresql.conf, {restart}."),
            KeyFault::Unreadable { path, .. } | KeyFault::NotAFile { path } => {
                format!(
                    "Let pgseal.key_file name a regular file that the server's user can read (now \"{path}\"), {restart}."
                )
            }
            KeyFault::Permissive { path, .. } => format!("Run: chmod 600 \"{path}\", {restart}."),
            KeyFault::InlineNotHex => {
                format!("Write at least 64 hexadecimal digits (openssl rand -hex 32), {restart}.")
            }
            KeyFault::TimedOut { .. } | KeyFault::Command(_) => {
                format!(
                    "Run the command by hand as the server's user; it must print the key and end with status 0. {}.",
                    "Then restart the server"
                )
            }
            KeyFault::Malformed { .. } => {
                format!(
                    "The key must be at least 32 bytes as hexadecimal or base64 text (openssl rand -hex 32). Correct it, {restart}."
                )
            }
            KeyFault::UnusableProvider(_) => {
                format!("Build the provider with the pgseal_key_provider.h of this pgseal, {restart}.")
            }
            KeyFault::ProviderBeside { setting, .. } => format!(
                "Take {setting} out of postgresql.conf, or the provider's library out of shared_preload_libraries, {restart}."
            ),
            KeyFault::ProviderFailed { provider, .. } => {
                format!("Remove the cause, as the documentation of \"{provider}\" says, {restart}.")
            }
            KeyFault::ProviderMalformed { provider, .. } | KeyFault::ProviderBlank { provider } => format!(
                "A secret has 32 to 1024 bytes, raw and not as text. Have \"{provider}\" give such a one, {restart}."
            ),
            KeyFault::OtherKey { .. } => format!(
                "Put the key that sealed it back where pgseal fetches it, {restart}. If this server's key is the right one (compare its fingerprint with that of the escrowed key), the records of the history were changed."
            ),
            KeyFault::RootSeals { origin, .. } => format!(
                "Have {origin} give another secret to verify than to sign, see docs/forward-security.md, {restart}."
            ),
            KeyFault::NoRoot { setting } => {
                format!("Write %p into {setting}, see docs/forward-security.md, {restart}.")
            }
            KeyFault::Missing { .. } => {
                "Make that key available again under its id where pgseal fetches keys (%k); it is asked for again after 15 seconds.".to_owned()
            }
            KeyFault::VerificationFile { .. } => format!(
                "Put what seal.history_secret gives on the server that has the key into that file, with mode 0600, {restart}."
            ),
            KeyFault::VerificationOnly => format!(
                "Do it on the server that has the key. To have this one seal, set pgseal.key_file or pgseal.key_command instead of pgseal.verification_file, {restart}."
            ),
            KeyFault::NoVerificationSecret => {
                format!("Add a line of seal.history_secret from the server that has the key to pgseal.verification_file, {restart}.")
            }
            KeyFault::NoSuchId => "Compare the records of the history with its journal: SELECT * FROM seal.findings().".to_owned(),
            KeyFault::OneKeyOnly(_) => format!(
                "Write %k where the id stands in pgseal.key_command or pgseal.key_file, so that each key has a place of its own, {restart}."
            ),
            KeyFault::NoMemory { .. } => "Raise the limit on memory of the server's user, then restart the server.".to_owned(),
        }
    }
}
