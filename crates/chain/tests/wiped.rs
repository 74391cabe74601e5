//! What deriving keys leaves on the stack: nothing of the secret, as far as the system shows a process its own memory.

use std::fs::File;
use std::os::unix::fs::FileExt;

use pgseal_chain::{HistoryId, HistoryKeys, Secret, on_wiped_stack};

/// How far below the caller's frame is looked.
const BELOW: usize = 64 * 1024;
/// What an HMAC's key is masked with in the blocks that are hashed (RFC 2104); 0: as it is.
const MASKS: [u8; 3] = [0, 0x36, 0x5c];

/// Sees what is left below the frame of whoever makes it and looks.
struct Below {
    memory: File,
    seen: Vec<u8>,
}

impl Below {
    fn new() -> Self {
        Self { memory: File::open("/proc/self/mem").expect("own memory"), seen: vec![0; BELOW] }
    }

    /// Offsets at which a piece of 8 bytes of this lies, masked or not.
    fn find(&mut self, secret: &[u8]) -> Vec<usize> {
        let here = [0_u8; 1];
        let top = std::hint::black_box(&here).as_ptr() as usize;
        self.memory.read_exact_at(&mut self.seen, (top - BELOW) as u64).expect("the stack");
        let pieces: Vec<Vec<u8>> = secret
            .chunks_exact(8)
            .flat_map(|piece| MASKS.map(|mask| piece.iter().map(|byte| byte ^ mask).collect()))
            .collect();
        let is_one = |window: &[u8]| pieces.iter().any(|piece| piece == window);
        self.seen.windows(8).enumerate().filter(|(_, window)| is_one(window)).map(|(at, _)| at).collect()
    }
}

fn secret(length: u8) -> Vec<u8> {
    (0..length).map(|number| number.wrapping_mul(167) ^ 0x9d).collect()
}

#[test]
fn deriving_leaves_nothing() {
    // Shorter and longer than a block: a longer key of an HMAC is hashed first.
    for length in [32, 64, 200] {
        let bytes = secret(length);
        let text = hex::encode(&bytes);
        let mut below = Below::new();
        let kept = Secret::from_text(text.as_bytes()).expect("long enough");
        assert_eq!(below.find(&bytes), [], "reading text, {length} bytes");
        let _ = std::hint::black_box(kept.fingerprint());
        assert_eq!(below.find(&bytes), [], "fingerprint, {length} bytes");
        let keys = std::hint::black_box(HistoryKeys::derive(&kept, HistoryId([7; 16])));
        assert_eq!(below.find(&bytes), [], "extraction, {length} bytes");
        std::hint::black_box((keys.record_key(), keys.salt_key(), keys.epoch_key(1, &[3; 32])));
        assert_eq!(below.find(&bytes), [], "expansion, {length} bytes");
    }
}

/// Leaves it where looking at it does not reach: the beginning of what is large lies deepest.
#[inline(never)]
fn careless(bytes: &[u8]) -> u8 {
    let mut copy = [0_u8; 8192];
    copy[..bytes.len()].copy_from_slice(bytes);
    std::hint::black_box(&copy)[0]
}

#[test]
fn what_is_left_is_seen_and_wiped() {
    let bytes = secret(64);
    let mut below = Below::new();
    assert_eq!(below.find(&bytes), []);
    careless(&bytes);
    assert_ne!(below.find(&bytes), []);
    on_wiped_stack(|| careless(&bytes));
    assert_eq!(below.find(&bytes), []);
}
