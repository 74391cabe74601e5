//! The secret that a key source hands over, and everything that is derived from it.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::pair::{BLOCK, State, after};
use crate::wiped::on_wiped_stack;

/// The shortest secret that is accepted, in bytes.
pub const MIN_SECRET_BYTES: usize = 32;
/// The longest secret that is accepted, in bytes.
pub const MAX_SECRET_BYTES: usize = 1024;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why something that should be a secret is none. Never holds bytes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Nothing but white space.
    #[error("the key is empty")]
    Empty,
    /// Neither hexadecimal digits nor base64.
    #[error("the key is neither hexadecimal nor base64 text")]
    NotText,
    /// Fewer than [`MIN_SECRET_BYTES`].
    #[error("the key has {bytes} bytes, at least {MIN_SECRET_BYTES} are needed")]
    TooShort {
        /// Length of what was given, in bytes after decoding.
        bytes: usize,
    },
    /// More than [`MAX_SECRET_BYTES`].
    #[error("the key has {bytes} bytes, at most {MAX_SECRET_BYTES} are allowed")]
    TooLong {
        /// Length of what was given, in bytes after decoding.
        bytes: usize,
    },
}

/// What a key source hands over: [`MIN_SECRET_BYTES`] to [`MAX_SECRET_BYTES`] bytes that are only
/// ever used to derive keys, and are wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes raw bytes.
    ///
    /// # Errors
    /// [`KeyError::Empty`], [`KeyError::TooShort`], [`KeyError::TooLong`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(bytes);
        match bytes.len() {
            0 => Err(KeyError::Empty),
            n if n < MIN_SECRET_BYTES => Err(KeyError::TooShort { bytes: n }),
            n if n > MAX_SECRET_BYTES => Err(KeyError::TooLong { bytes: n }),
            _ => Ok(Self(bytes)),
        }
    }

    /// Reads hexadecimal or standard base64 text (padded or not), ignoring white space around it.
    ///
    /// Text of nothing but hexadecimal digits is only ever read as hexadecimal: a key cut short by
    /// half would otherwise become a different, valid key.
    ///
    /// # Errors
    /// Any [`KeyError`].
    pub fn from_text(text: &[u8]) -> Result<Self, KeyError> {
        on_wiped_stack(|| Self::decode(text.trim_ascii()))
    }

    fn decode(text: &[u8]) -> Result<Self, KeyError> {
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        let mut bytes = Zeroizing::new(vec![0; text.len() + 3]);
        let decoded = if text.iter().all(u8::is_ascii_hexdigit) {
            let half = text.len() / 2;
            hex::decode_to_slice(text, &mut bytes[..half]).map(|()| half).ok()
        } else {
            BASE64.decode_slice(text, &mut bytes).ok()
        };
        let length = decoded.ok_or(KeyError::NotText)?;
        Self::from_bytes(bytes[..length].to_vec())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Hands the raw bytes to whoever keeps them for other processes; nobody else has a use for them.
    pub fn expose<R>(&self, keep: impl FnOnce(&[u8]) -> R) -> R {
        keep(&self.0)
    }

    /// Eight bytes by which people can tell two secrets apart without learning anything of them.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 8] {
        on_wiped_stack(|| {
            let mac = keyed(&self.0).chain_update(b"pgseal fingerprint").finalize().into_bytes();
            let mut fingerprint = [0; 8];
            fingerprint.copy_from_slice(&mac[..8]);
            fingerprint
        })
    }
}

/// The random id of a history, which it keeps through rename, dump and restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HistoryId(pub [u8; 16]);

/// The keys of one history: HKDF-SHA-256 of a secret, salted with the history's id.
#[derive(Clone)]
pub struct HistoryKeys(Hkdf<Sha256>);

impl HistoryKeys {
    /// The extracting half of HKDF.
    #[must_use]
    pub fn derive(secret: &Secret, history: HistoryId) -> Self {
        Self::derive_from_bytes(&secret.0, history)
    }

    /// The same of the secret of a period.
    pub(crate) fn derive_from_bytes(secret: &[u8], history: HistoryId) -> Self {
        on_wiped_stack(|| Self(Hkdf::new(Some(&history.0), secret)))
    }

    /// What the extracting half comes to: all that can be derived for this history, and nothing of the secret or of
    /// another history.
    #[must_use]
    pub fn extract(secret: &Secret, history: HistoryId) -> Zeroizing<[u8; 32]> {
        on_wiped_stack(|| Zeroizing::new(Hkdf::<Sha256>::extract(Some(&history.0), &secret.0).0.into()))
    }

    /// The same keys from what [`HistoryKeys::extract`] gave; `None` if that has another length.
    #[must_use]
    pub fn of_extracted(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 32] = bytes.try_into().ok()?;
        Hkdf::from_prk(bytes).ok().map(Self)
    }

    /// The key that signs the entries of an epoch, bound to the epoch's record by its digest.
    #[must_use]
    pub fn epoch_key(&self, epoch: u32, record_digest: &[u8; 32]) -> EpochKey {
        EpochKey(self.expand_paired(&[b"pgseal epoch", &epoch.to_be_bytes(), record_digest]))
    }

    /// The key from which the salts of documents come.
    #[must_use]
    pub fn salt_key(&self) -> SaltKey {
        SaltKey(self.expand_paired(&[b"pgseal salt"]))
    }

    /// The key that authenticates pgseal's own records.
    #[must_use]
    pub fn record_key(&self) -> RecordKey {
        RecordKey(self.expand(&[b"pgseal record"]))
    }

    /// The key under which the entries of one census are hashed.
    pub(crate) fn census_terms_key(&self, nonce: &[u8; 16]) -> Zeroizing<[u8; 16]> {
        on_wiped_stack(|| self.expand_bytes(&[b"pgseal census terms", nonce]))
    }

    /// The key that authenticates the tallies of one census.
    pub(crate) fn census_tallies_key(&self, nonce: &[u8; 16]) -> RecordKey {
        RecordKey(self.expand(&[b"pgseal census tallies", nonce]))
    }

    fn expand(&self, info: &[&[u8]]) -> Hmac<Sha256> {
        on_wiped_stack(|| keyed(self.expand_bytes::<32>(info).as_ref()))
    }

    fn expand_paired(&self, info: &[&[u8]]) -> Paired {
        on_wiped_stack(|| {
            let key = self.expand_bytes(info);
            Paired { hmac: keyed(key.as_ref()), midstates: midstates(&key) }
        })
    }

    fn expand_bytes<const N: usize>(&self, info: &[&[u8]]) -> Zeroizing<[u8; N]> {
        let mut key = Zeroizing::new([0; N]);
        self.0.expand_multi_info(info, key.as_mut()).expect("at most a single block of HKDF-SHA-256");
        key
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// The states of an HMAC's inner and outer hash after the block of its key (RFC 2104).
fn midstates(key: &[u8; 32]) -> [State; 2] {
    [0x36, 0x5c].map(|pad| {
        let mut block = Zeroizing::new([pad; BLOCK]);
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        after(&block)
    })
}

/// A key both for one message and for two at once.
#[derive(Clone)]
struct Paired {
    hmac: Hmac<Sha256>,
    midstates: [State; 2],
}

/// Signs the entries of one epoch. Holds the keyed state, so that no row pays for a key schedule.
#[derive(Clone)]
pub struct EpochKey(Paired);

/// Gives each document its salt.
#[derive(Clone)]
pub struct SaltKey(Paired);

/// Authenticates pgseal's own records.
#[derive(Clone)]
pub struct RecordKey(Hmac<Sha256>);

macro_rules! opaque {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}
opaque!(Secret, HistoryKeys, EpochKey, SaltKey, RecordKey);

macro_rules! keyed_state {
    ($($name:ident),*) => {$(
        impl $name {
            pub(crate) fn hmac(&self) -> Hmac<Sha256> {
                self.0.hmac.clone()
            }

            pub(crate) fn midstates(&self) -> &[State; 2] {
                &self.0.midstates
            }
        }
    )*};
}
keyed_state!(EpochKey, SaltKey);

impl RecordKey {
    pub(crate) fn hmac(&self) -> Hmac<Sha256> {
        self.0.clone()
    }
}
