//! Two entries verified at once.
//!
//! The processor's instructions for SHA-256 wait for each other as long as they work on one message. Two messages
//! that have nothing to do with each other take little longer than one if their blocks alternate, so everything that
//! is hashed for two entries is hashed side by side.

mod message;

use crate::entry::{Entry, Mac, document_digest, is_equal};
use crate::keys::{EpochKey, SaltKey};
pub(crate) use message::{BLOCK, State, after};
use message::{Message, Short, alternate};

/// An entry of which nobody knows yet whether it is authentic.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The entry; its digest is not looked at, the document's is taken.
    pub entry: Entry<'a>,
    /// The canonical text of the row.
    pub document: &'a [u8],
    /// The signature that the row has.
    pub mac: Mac,
    /// The key of the entry's epoch.
    pub key: &'a EpochKey,
    /// The key from which the document's salt comes.
    pub salt_key: &'a SaltKey,
}

impl Claim<'_> {
    /// Whether the mac is the signature of the entry with this document, as [`Entry::verify`] judges it.
    #[must_use]
    pub fn verify(&self) -> bool {
        let salt = self.salt_key.salt(self.entry.history, self.entry.chain, self.entry.position);
        Entry { document_digest: document_digest(salt, self.document), ..self.entry }.verify(self.key, &self.mac)
    }
}

/// [`Claim::verify`] for two, in less time than one after the other.
#[must_use]
pub fn verify_pair(claims: [Claim<'_>; 2]) -> [bool; 2] {
    pair(&claims).unwrap_or_else(|| claims.map(|claim| claim.verify()))
}

/// `None` where a name is too long to be worth it, or cannot have been signed.
fn pair(claims: &[Claim<'_>; 2]) -> Option<[bool; 2]> {
    let [a, b] = claims;
    if !a.entry.is_signable() || !b.entry.is_signable() {
        return None;
    }
    let mut messages = [Short::default(), Short::default()];
    for (message, claim) in messages.iter_mut().zip(claims) {
        message.put(&claim.entry.history.0);
        message.put(claim.entry.chain);
        message.put(&claim.entry.position.to_be_bytes());
        message.end()?;
    }
    let salts = hmac_pair([a.salt_key.midstates(), b.salt_key.midstates()], &messages);
    let mut digests = [message::INITIAL; 2];
    let [x, y] = [Message::of(&salts[0], a.document)?, Message::of(&salts[1], b.document)?];
    alternate(&mut digests, [&x, &y]);
    for ((message, claim), digest) in messages.iter_mut().zip(claims).zip(digests) {
        message.begin();
        let entry = Entry { document_digest: message::bytes(digest), ..claim.entry };
        entry.write(|part| message.put(part));
        message.end()?;
    }
    let [x, y] = hmac_pair([a.key.midstates(), b.key.midstates()], &messages);
    Some([is_equal(&x, &a.mac), is_equal(&y, &b.mac)])
}

/// HMAC-SHA-256 of two messages, each under its own key.
fn hmac_pair(keys: [&[State; 2]; 2], messages: &[Short; 2]) -> [Mac; 2] {
    let mut inner = keys.map(|[inner, _]| *inner);
    alternate(&mut inner, [&messages[0], &messages[1]]);
    let mut outer = keys.map(|[_, outer]| *outer);
    alternate(&mut outer, [&message::of_digest(inner[0]), &message::of_digest(inner[1])]);
    outer.map(message::bytes)
}
