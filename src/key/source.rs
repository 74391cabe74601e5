//! The places a secret can come from: three settings and a library; exactly one is there.

use super::fault::KeyFault;
use super::template;
use crate::command::{self, ShellCommand};
use crate::pg::key_provider::{KeyProvider, NotGiven};
use crate::pg::server;
use crate::private_file::{self, PrivateFileError};
use crate::settings;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use pgseal_chain::{KeyError, Secret};
use zeroize::Zeroizing;

/// No source may give more bytes than this: far above the largest key in its longest encoding.
const MAX_BYTES: usize = 16 * 1024;

/// What a secret is fetched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To seal, and to verify what was sealed.
    Sign,
    /// To verify closings: the root of the secrets that evolve.
    Verify,
}

impl Purpose {
    /// What `%p` stands for, and what a provider is told.
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Sign => "sign",
            Purpose::Verify => "verify",
        }
    }
}

pub enum Source {
    Command(String),
    File(String),
    Inline(Zeroizing<String>),
    Provider(&'static KeyProvider),
}

impl Source {
    /// The one that is there; an error names two that are.
    pub fn configured() -> Result<Source, KeyFault> {
        let provider = KeyProvider::registered().map_err(KeyFault::UnusableProvider)?;
        let set: Vec<Source> = [
            settings::key_command().map(Source::Command),
            settings::key_file().map(Source::File),
            settings::key().map(Source::Inline),
            provider.map(Source::Provider),
        ]
        .into_iter()
        .flatten()
        .collect();
        match <[Source; 1]>::try_from(set) {
            Ok([source]) => Ok(source),
            Err(several) => match several.as_slice() {
                [setting, Source::Provider(provider)] => {
                    Err(KeyFault::ProviderBeside { setting: setting.name(), provider: provider.name() })
                }
                [first, second, ..] => Err(KeyFault::SeveralSources(first.name(), second.name())),
                _ => Err(KeyFault::NotConfigured),
            },
        }
    }

    /// Name of the setting, or what the provider calls itself.
    pub fn name(&self) -> &'static str {
        match self {
            Source::Command(_) => "pgseal.key_command",
            Source::File(_) => "pgseal.key_file",
            Source::Inline(_) => "pgseal.key",
            Source::Provider(provider) => provider.name(),
        }
    }

    /// Whether it can tell one key from another.
    pub fn knows_ids(&self) -> bool {
        match self {
            Source::Command(template) | Source::File(template) => template::names(template, 'k'),
            Source::Provider(_) => true,
            Source::Inline(_) => false,
        }
    }

    /// Whether it can tell one purpose from the other.
    pub fn tells_purposes(&self) -> bool {
        match self {
            Source::Command(template) | Source::File(template) => template::names(template, 'p'),
            Source::Provider(_) => true,
            Source::Inline(_) => false,
        }
    }

    /// The secret under an id, which must be a number: it goes into a shell command, and comes from tables.
    pub fn fetch(&self, key_id: &str, purpose: Purpose) -> Result<Secret, KeyFault> {
        if super::number(key_id).is_none() {
            return Err(KeyFault::NoSuchId);
        }
        let text = match self {
            Source::Command(command) => print_secret(&template::fill(command, key_id, purpose))?,
            Source::File(path) => read_private_file(&template::fill(path, key_id, purpose))?,
            Source::Inline(text) => {
                if !text.trim().bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(KeyFault::InlineNotHex);
                }
                Zeroizing::new(text.as_bytes().to_vec())
            }
            Source::Provider(provider) => return ask(provider, key_id, purpose),
        };
        Secret::from_text(&text).map_err(|error| KeyFault::Malformed { origin: self.name(), error })
    }
}

fn print_secret(command: &str) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
    let time_limit = settings::key_command_timeout();
    let command = ShellCommand { line: command, input: None, time_limit, max_output: MAX_BYTES };
    Ok(command.run(&server::is_interrupted)?)
}

fn read_private_file(path: &str) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
    private_file::read(path, MAX_BYTES).map_err(|error| {
        let path = path.to_owned();
        match error {
            PrivateFileError::Unreadable(reason) => KeyFault::Unreadable { path, reason },
            PrivateFileError::NotAFile => KeyFault::NotAFile { path },
            PrivateFileError::Permissive(mode) => KeyFault::Permissive { path, mode },
        }
    })
}

fn ask(provider: &'static KeyProvider, key_id: &str, purpose: Purpose) -> Result<Secret, KeyFault> {
    let name = provider.name();
    let malformed = |error: KeyError| KeyFault::ProviderMalformed { provider: name, error };
    match provider.fetch(key_id, purpose.as_str()) {
        Ok(mut bytes) => Secret::from_bytes(std::mem::take(&mut *bytes)).map_err(malformed),
        Err(NotGiven::TooLong(bytes)) => Err(malformed(KeyError::TooLong { bytes })),
        Err(NotGiven::Blank) => Err(KeyFault::ProviderBlank { provider: name }),
        Err(NotGiven::Failed { how, complaint, written }) => {
            let complaint = command::without_secrets(complaint.as_bytes(), texts_of(&written).as_bytes());
            Err(KeyFault::ProviderFailed { provider: name, how, complaint })
        }
    }
}

/// How bytes look in a message: as they are, in hex, in base64.
fn texts_of(bytes: &[u8]) -> Zeroizing<String> {
    let hex = Zeroizing::new(hex::encode(bytes));
    let upper_hex = Zeroizing::new(hex::encode_upper(bytes));
    let base64 = Zeroizing::new(BASE64.encode(bytes));
    let plain = std::str::from_utf8(bytes).unwrap_or_default();
    Zeroizing::new([plain, hex.as_str(), upper_hex.as_str(), base64.as_str()].join(" "))
}
