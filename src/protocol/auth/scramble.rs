//! Scrambles: what a password becomes on the wire.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Bytes of the random text that a server sends in its greeting.
pub const NONCE_BYTES: usize = 20;

/// The random text of one exchange.
///
/// **Shape**: no zero byte and no `$`, so that clients which treat it as a C string see all of it; seven bits
/// per byte, as MySQL's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nonce(pub [u8; NONCE_BYTES]);

impl Nonce {
    /// Draws a nonce; `None` when the system gives no random bytes.
    pub fn random() -> Option<Self> {
        let mut bytes = [0; NONCE_BYTES];
        aws_lc_rs::rand::fill(&mut bytes).ok()?;
        for byte in &mut bytes {
            *byte &= 0x7f;
            if *byte == 0 || *byte == b'$' {
                *byte += 1;
            }
        }
        Some(Self(bytes))
    }
}

pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

pub(super) fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut hash = Sha1::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

pub(super) fn xor<const N: usize>(left: [u8; N], right: &[u8; N]) -> [u8; N] {
    let mut out = left;
    out.iter_mut().zip(right).for_each(|(to, from)| *to ^= from);
    out
}

/// `mysql_native_password`: SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password))); empty for no password.
pub(super) fn native(password: &[u8], nonce: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = sha1(&[password]);
    let twice = sha1(&[&once]);
    xor(once, &sha1(&[nonce, &twice])).to_vec()
}

/// `caching_sha2_password`: SHA256(password) XOR SHA256(SHA256(SHA256(password)) + nonce); empty for no
/// password.
pub(super) fn caching_sha2(password: &[u8], nonce: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = sha256(&[password]);
    let twice = sha256(&[&once]);
    xor(once, &sha256(&[&twice, nonce])).to_vec()
}
