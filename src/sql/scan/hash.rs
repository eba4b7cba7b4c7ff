//! Hashing tokens while they are read.
//!
//! The shape is a key of the plan cache: two statements with one shape share one plan, so a client who could
//! make two texts collide could borrow another's route. Hence 128 bits under a key that is random per
//! process. The digest names statements in statistics: 64 bits, the same in every process.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

/// Random per process; read once per scan.
static SEED: LazyLock<[u64; 4]> = LazyLock::new(|| {
    let state = RandomState::new();
    std::array::from_fn(|lane| {
        let mut hasher = state.build_hasher();
        hasher.write_usize(lane);
        hasher.finish()
    })
});

fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left).wrapping_mul(u128::from(right));
    (product as u64) ^ ((product >> 64) as u64)
}

/// The 128-bit hash of a statement's shape.
pub(super) struct ShapeHash {
    a: u64,
    b: u64,
    keys: [u64; 2],
}

impl ShapeHash {
    pub(super) fn new() -> Self {
        let seed = *SEED;
        Self { a: seed[0], b: seed[1], keys: [seed[2] | 1, seed[3] | 1] }
    }

    #[inline]
    pub(super) fn word(&mut self, word: u64) {
        self.a = fold(self.a ^ word, self.keys[0]).wrapping_add(word.rotate_left(23));
        self.b = fold(self.b.wrapping_add(word), self.keys[1]) ^ word.rotate_left(41);
    }

    pub(super) fn finish(&self) -> u128 {
        let a = fold(self.a ^ self.keys[1], self.keys[0]);
        let b = fold(self.b ^ self.keys[0], self.keys[1]);
        (u128::from(a) << 64) | u128::from(b)
    }
}

/// The 64-bit hash of a digest.
#[derive(Clone, Copy)]
pub(super) struct DigestHash(u64);

impl DigestHash {
    pub(super) fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    pub(super) fn word(&mut self, word: u64) {
        self.0 = fold(self.0 ^ word ^ 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db) ^ word.rotate_left(29);
    }

    pub(super) fn finish(self) -> u64 {
        fold(self.0 ^ 0x8ebc_6af0_9c88_c6e3, 0x5899_65cc_7537_4cc3)
    }
}

/// Hands the bytes of a token over in words of eight; the last word of a long token repeats some bytes of the
/// one before. The caller writes the length before, which makes the words unambiguous.
#[inline]
pub(super) fn each_word(bytes: &[u8], upper: bool, mut take: impl FnMut(u64)) {
    let mask = if upper { UPPER } else { u64::MAX };
    let Some(last) = bytes.last_chunk::<8>() else { return take(short_word(bytes) & mask) };
    let whole = (bytes.len() - 1) / 8;
    for chunk in bytes.as_chunks::<8>().0.iter().take(whole) {
        take(u64::from_le_bytes(*chunk) & mask);
    }
    take(u64::from_le_bytes(*last) & mask);
}

/// Clears the bit that tells lower from upper case: only used on known words, of letters, digits and `_`.
const UPPER: u64 = 0xdfdf_dfdf_dfdf_dfdf;

/// All of at most seven bytes in one word.
fn short_word(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
    }
    let byte = |at: usize| bytes.get(at).copied().map_or(0, u64::from);
    byte(0) | byte(bytes.len() / 2) << 8 | byte(bytes.len().saturating_sub(1)) << 16
}
