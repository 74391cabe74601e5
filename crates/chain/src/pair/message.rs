//! Messages as SHA-256 takes them: in blocks, with padding and length at the end (FIPS 180-4, 5.1.1).

use crate::entry::Mac;
use sha2::compress256;
use sha2::digest::generic_array::GenericArray;

/// SHA-256 between two blocks.
pub(crate) type State = [u32; 8];

pub(crate) const BLOCK: usize = 64;

/// Before the first block (FIPS 180-4, 5.3.3).
pub(super) const INITIAL: State =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// Blocks of a message.
pub(super) trait Blocks {
    fn blocks(&self) -> impl Iterator<Item = &[u8; BLOCK]>;
}

/// Hashes two messages on, their blocks in turn.
pub(super) fn alternate<M: Blocks>(states: &mut [State; 2], messages: [&M; 2]) {
    let [x, y] = states;
    let (mut a, mut b) = (messages[0].blocks(), messages[1].blocks());
    loop {
        let (a, b) = (a.next(), b.next());
        if a.is_none() && b.is_none() {
            return;
        }
        if let Some(block) = a {
            compress(x, block);
        }
        if let Some(block) = b {
            compress(y, block);
        }
    }
}

#[inline]
fn compress(state: &mut State, block: &[u8; BLOCK]) {
    compress256(state, std::slice::from_ref(GenericArray::from_slice(block)));
}

/// The state after one block.
pub(crate) fn after(block: &[u8; BLOCK]) -> State {
    let mut state = INITIAL;
    compress(&mut state, block);
    state
}

/// The digest that a state stands for.
#[inline]
pub(super) fn bytes(state: State) -> Mac {
    let mut bytes = [0; 32];
    for (room, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *room = word.to_be_bytes();
    }
    bytes
}

/// What an HMAC signs, after the block of its key.
pub(super) struct Short {
    bytes: [u8; Short::SIZE],
    used: usize,
}

impl Default for Short {
    #[inline]
    fn default() -> Self {
        Self { bytes: [0; Self::SIZE], used: 0 }
    }
}

impl Short {
    const SIZE: usize = 4 * BLOCK;

    /// Forgets what was added.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.used = 0;
    }

    /// Adds a part, if there is room; [`Short::end`] tells otherwise.
    #[inline]
    pub(super) fn put(&mut self, part: &[u8]) {
        let end = self.used.saturating_add(part.len());
        if let Some(room) = self.bytes.get_mut(self.used..end) {
            room.copy_from_slice(part);
        }
        self.used = end;
    }

    /// Ends the message; `None` if it did not fit.
    #[inline]
    pub(super) fn end(&mut self) -> Option<()> {
        let size = self.used;
        self.used = size.checked_add(PADDING)?.next_multiple_of(BLOCK);
        pad(self.bytes.get_mut(size..self.used)?, BLOCK + size);
        Some(())
    }
}

/// What an HMAC's outer hash signs: the inner digest.
#[inline]
pub(super) fn of_digest(inner: State) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..32].copy_from_slice(&bytes(inner));
    pad(&mut block[32..], BLOCK + 32);
    block
}

impl Blocks for [u8; BLOCK] {
    #[inline]
    fn blocks(&self) -> impl Iterator<Item = &[u8; BLOCK]> {
        std::iter::once(self)
    }
}

impl Blocks for Short {
    #[inline]
    fn blocks(&self) -> impl Iterator<Item = &[u8; BLOCK]> {
        self.bytes.as_chunks().0.iter().take(self.used / BLOCK)
    }
}

/// A salt, which is half of a mac, and a document, whose blocks are read where they stand.
pub(super) struct Message<'a> {
    first: [u8; BLOCK],
    middle: &'a [[u8; BLOCK]],
    last: [[u8; BLOCK]; 2],
    in_last: usize,
}

impl<'a> Message<'a> {
    /// `None` for a document that fits into the first block: it is shorter than any that pays.
    #[inline]
    pub(super) fn of(salt: &Mac, document: &'a [u8]) -> Option<Self> {
        let (start, rest) = document.split_first_chunk::<48>()?;
        let mut first = [0; BLOCK];
        first[..16].copy_from_slice(&salt[..16]);
        first[16..].copy_from_slice(start);
        let (middle, rest) = rest.as_chunks::<BLOCK>();
        let mut last = [[0; BLOCK]; 2];
        let in_last = (rest.len() + PADDING).div_ceil(BLOCK);
        let room = &mut last.as_flattened_mut()[..in_last * BLOCK];
        room[..rest.len()].copy_from_slice(rest);
        pad(&mut room[rest.len()..], 16 + document.len());
        Some(Self { first, middle, last, in_last })
    }
}

impl Blocks for Message<'_> {
    #[inline]
    fn blocks(&self) -> impl Iterator<Item = &[u8; BLOCK]> {
        std::iter::once(&self.first).chain(self.middle).chain(&self.last[..self.in_last])
    }
}

/// A bit that ends the message, and its length.
const PADDING: usize = 9;

/// Fills what is left of the last block after a message of `size` bytes.
#[inline]
fn pad(room: &mut [u8], size: usize) {
    room.fill(0);
    if let Some(first) = room.first_mut() {
        *first = 0x80;
    }
    if let Some(last) = room.last_chunk_mut::<8>() {
        *last = (8 * size as u64).to_be_bytes();
    }
}
