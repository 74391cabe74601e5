//! One sealed row: its pre-image and its mac.

use hmac::Mac as _;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::keys::{EpochKey, HistoryId, SaltKey};

/// HMAC-SHA-256 over an entry's pre-image.
pub type Mac = [u8; 32];

/// What stands for the previous mac at position 1.
pub const GENESIS: Mac = [0; 32];

/// The longest chain name that can be signed, in bytes.
pub const MAX_CHAIN_BYTES: usize = u16::MAX as usize;

const FORMAT: &[u8] = b"pgseal\0\x01";

impl SaltKey {
    /// The salt of the document at one place. It hides the document from whoever sees only its
    /// digest, and can be disclosed for one row without the key.
    #[must_use]
    pub fn salt(&self, history: HistoryId, chain: &[u8], position: u64) -> [u8; 16] {
        let mac = self
            .hmac()
            .chain_update(history.0)
            .chain_update(chain)
            .chain_update(position.to_be_bytes())
            .finalize()
            .into_bytes();
        let mut salt = [0; 16];
        salt.copy_from_slice(&mac[..16]);
        salt
    }
}

/// SHA-256(salt · document).
#[must_use]
pub fn document_digest(salt: [u8; 16], document: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(document).finalize().into()
}

/// Everything that the mac of one entry covers.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The history to which the entry belongs.
    pub history: HistoryId,
    /// Name of the chain, at most [`MAX_CHAIN_BYTES`] long.
    pub chain: &'a [u8],
    /// Position in the chain, from 1.
    pub position: u64,
    /// Number of the epoch whose key signs.
    pub epoch: u32,
    /// Number of the newest anchor published when the entry was sealed; 0: none yet.
    pub anchor: u64,
    /// When the entry was sealed, in µs since 2000-01-01 UTC.
    pub sealed_at: i64,
    /// The tenant's pinned output text.
    pub tenant: Option<&'a [u8]>,
    /// Mac of the entry before; [`GENESIS`] at position 1.
    pub prev: &'a Mac,
    /// Salted digest of the canonical document, see [`document_digest`].
    pub document_digest: [u8; 32],
}

impl Entry<'_> {
    /// The exact bytes that are signed.
    #[must_use]
    pub fn preimage(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128 + self.chain.len() + self.tenant.map_or(0, <[u8]>::len));
        self.write(|part| bytes.extend_from_slice(part));
        bytes
    }

    /// The entry's signature.
    #[must_use]
    pub fn mac(&self, key: &EpochKey) -> Mac {
        self.keyed(key).finalize().into_bytes().into()
    }

    /// Whether `mac` is the entry's signature; constant time in the mac.
    ///
    /// False as well for what cannot have been signed: position 0, or a chain name or tenant longer
    /// than its length field can tell.
    #[must_use]
    pub fn verify(&self, key: &EpochKey, mac: &[u8]) -> bool {
        self.is_signable() && bool::from(self.mac(key).as_slice().ct_eq(mac))
    }

    fn is_signable(&self) -> bool {
        self.position > 0
            && self.chain.len() <= MAX_CHAIN_BYTES
            && self.tenant.is_none_or(|tenant| u32::try_from(tenant.len()).is_ok())
    }

    fn keyed(&self, key: &EpochKey) -> hmac::Hmac<Sha256> {
        let mut hmac = key.hmac();
        self.write(|part| hmac.update(part));
        hmac
    }

    fn write(&self, mut put: impl FnMut(&[u8])) {
        put(FORMAT);
        put(&self.history.0);
        put(&u16::try_from(self.chain.len()).unwrap_or(u16::MAX).to_be_bytes());
        put(self.chain);
        let mut numbers = [0; 28];
        numbers[..8].copy_from_slice(&self.position.to_be_bytes());
        numbers[8..12].copy_from_slice(&self.epoch.to_be_bytes());
        numbers[12..20].copy_from_slice(&self.anchor.to_be_bytes());
        numbers[20..].copy_from_slice(&self.sealed_at.to_be_bytes());
        put(&numbers);
        match self.tenant {
            None => put(&[0]),
            Some(tenant) => {
                put(&[1]);
                put(&u32::try_from(tenant.len()).unwrap_or(u32::MAX).to_be_bytes());
                put(tenant);
            }
        }
        put(self.prev);
        put(&self.document_digest);
    }
}
