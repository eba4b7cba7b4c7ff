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

/// Hands the bytes of a token over in words of eight, zero-padded; the caller writes the length before.
pub(super) fn each_word(bytes: &[u8], upper: bool, mut take: impl FnMut(u64)) {
    for chunk in bytes.chunks(8) {
        let word = match <[u8; 8]>::try_from(chunk) {
            Ok(whole) => u64::from_le_bytes(whole),
            Err(_) => chunk.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte)),
        };
        take(if upper { to_upper(word) } else { word });
    }
}

/// Folds the case of letters and `_`-free words: only called for words of letters, digits and `_`.
fn to_upper(word: u64) -> u64 {
    word.to_le_bytes()
        .iter()
        .rev()
        .fold(0, |folded, byte| (folded << 8) | u64::from(byte.to_ascii_uppercase()))
}
