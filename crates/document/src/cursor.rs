//! A place in the output at which pieces of fixed sizes are written, with one check of the room for several of them.

use crate::buffer::check;
use crate::error::Malformed;

/// The room that is there before each write: a string of [`Cursor::SHORT`] bytes with its quotes and what follows.
pub(crate) const ROOM: usize = Cursor::SHORT + 8;

/// Writes into a vector that is longer than what was written, so that a piece is one store and not a push.
pub(crate) struct Cursor<'a> {
    out: &'a mut Vec<u8>,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The longest string that fits into the room without asking for more.
    pub(crate) const SHORT: usize = 64;

    /// At the end of `out`, with room for `expected` bytes.
    #[inline]
    pub(crate) fn begin(out: &'a mut Vec<u8>, expected: usize) -> Result<Self, Malformed> {
        let at = out.len();
        let mut cursor = Self { out, at };
        cursor.grow(expected.saturating_add(ROOM))?;
        Ok(cursor)
    }

    /// Ends the output where the cursor is.
    #[inline]
    pub(crate) fn finish(self) -> Result<(), Malformed> {
        self.out.truncate(self.at);
        check(self.out)
    }

    /// Room for a few pieces; only [`Cursor::advance`] makes them count.
    #[inline]
    pub(crate) fn room(&mut self) -> Result<&mut [u8; ROOM], Malformed> {
        if self.out.len() - self.at < ROOM {
            // As much again as there is, so that the work stays linear.
            self.grow(ROOM + self.at)?;
        }
        self.out[self.at..].first_chunk_mut().ok_or(Malformed::TooLong)
    }

    /// Counts so many bytes of the room as written.
    #[inline]
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Takes back so many bytes that were written.
    #[inline]
    pub(crate) fn retreat(&mut self, bytes: usize) {
        self.at -= bytes;
    }

    /// Writes a piece of at most [`ROOM`] bytes.
    #[inline]
    pub(crate) fn put<const N: usize>(&mut self, piece: &[u8; N]) -> Result<(), Malformed> {
        self.room()?[..N].copy_from_slice(piece);
        self.advance(N);
        Ok(())
    }

    /// Lets something else append to the output itself.
    #[cold]
    pub(crate) fn append(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.out.truncate(self.at);
        write(self.out)?;
        self.at = self.out.len();
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, bytes: usize) -> Result<(), Malformed> {
        check(&self.out[..self.at])?;
        let size = self.at.saturating_add(bytes);
        if size > self.out.capacity() {
            self.out.try_reserve(size - self.out.len()).map_err(|_| Malformed::TooLong)?;
        }
        self.out.resize(size, 0);
        Ok(())
    }
}
