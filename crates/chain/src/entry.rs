//! One sealed row: its pre-image and its mac.

use hmac::{Hmac, Mac as _};
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
        let mut hmac = Gathered::new(self.hmac());
        hmac.put(&history.0);
        hmac.put(chain);
        hmac.put(&position.to_be_bytes());
        let mac = hmac.finish();
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
        let mut hmac = Gathered::new(key.hmac());
        self.write(|part| hmac.put(part));
        hmac.finish()
    }

    /// Whether `mac` is the entry's signature; constant time in the mac.
    ///
    /// False as well for what cannot have been signed: position 0, or a chain name or tenant longer
    /// than its length field can tell.
    #[must_use]
    pub fn verify(&self, key: &EpochKey, mac: &[u8]) -> bool {
        let Ok(mac) = mac.try_into() else { return false };
        self.is_signable() && is_equal(&self.mac(key), mac)
    }

    pub(crate) fn is_signable(&self) -> bool {
        self.position > 0
            && self.chain.len() <= MAX_CHAIN_BYTES
            && self.tenant.is_none_or(|tenant| u32::try_from(tenant.len()).is_ok())
    }

    #[inline]
    pub(crate) fn write(&self, mut put: impl FnMut(&[u8])) {
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

/// An HMAC whose short parts are gathered first: handing each of them to the hash costs as much as hashing them.
struct Gathered {
    hmac: Hmac<Sha256>,
    bytes: [u8; 256],
    used: usize,
}

impl Gathered {
    #[inline]
    fn new(hmac: Hmac<Sha256>) -> Self {
        Self { hmac, bytes: [0; 256], used: 0 }
    }

    #[inline]
    fn put(&mut self, part: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.used..self.used + part.len()) {
            room.copy_from_slice(part);
            self.used += part.len();
        } else {
            self.hmac.update(&self.bytes[..self.used]);
            self.hmac.update(part);
            self.used = 0;
        }
    }

    fn finish(mut self) -> Mac {
        self.hmac.update(&self.bytes[..self.used]);
        self.hmac.finalize().into_bytes().into()
    }
}

/// Whether what is stored or given is the mac that was computed, in constant time.
#[must_use]
pub fn is_same_mac(computed: &Mac, given: &[u8]) -> bool {
    computed.ct_eq(given).into()
}

/// Whether two macs are equal, in constant time: by words, of which there are fewer than bytes.
pub(crate) fn is_equal(a: &Mac, b: &Mac) -> bool {
    let (a, b) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    let differing = a.iter().zip(b).fold(0, |all, (a, b)| all | (u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b)));
    differing.ct_eq(&0).into()
}
