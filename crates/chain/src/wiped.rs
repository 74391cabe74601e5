//! Computing with a secret so that nothing of it stays on the stack.
//!
//! The hashes keep what they are fed in buffers of their own, and neither sha2 0.10, hmac 0.12 nor hkdf 0.12 wipes them:
//! a secret of 32 bytes stands whole in the block of HKDF's extraction, or masked by a constant in that of an HMAC's key,
//! until something else needs the place. A process that is idle then shows it to whoever reads its core file.

use std::hint::black_box;
use zeroize::Zeroize;

/// More stack than a derivation needs, in words of 8 bytes: 16 KiB.
const DEPTH: usize = 2048;

/// The result of a computation, whose stack is overwritten afterwards.
pub fn on_wiped_stack<R>(compute: impl FnOnce() -> R) -> R {
    let result = apart(compute);
    wipe();
    result
}

/// Has a frame of its own, below that of the caller: all that the computation leaves is below it.
#[inline(never)]
fn apart<R>(compute: impl FnOnce() -> R) -> R {
    compute()
}

#[inline(never)]
fn wipe() {
    let mut same_place = [0_u64; DEPTH];
    same_place.zeroize();
    black_box(&same_place);
}
