//! Passwords as MySQL stores them.
//!
//! Owns the two stored forms (`$A$005$…` of `caching_sha2_password`, `*HEX40` of `mysql_native_password`):
//! read, verify, generate. It does not own the exchange that proves a password; that is [`super::auth`].
//!
//! Invariants: plain text lives only in buffers that are wiped when dropped; comparisons take the same time
//! whatever differs.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

/// Longest password accepted, in bytes; MySQL's own limit (the hash takes quadratic time in the length).
pub const PASSWORD_BYTES_MAX: usize = 256;
/// Bytes of the salt of a `caching_sha2_password` hash.
const SALT_BYTES: usize = 20;
/// Characters of the digest of a `caching_sha2_password` hash.
const DIGEST_CHARS: usize = 43;
/// Rounds of a generated hash, as MySQL's default `caching_sha2_password_digest_rounds`.
const ROUNDS: u32 = 5000;
/// The stored number of rounds is counted in thousands.
const ROUNDS_UNIT: u32 = 1000;
/// Most rounds that a stored hash may ask for; its three hexadecimal digits.
const ROUNDS_MAX: u32 = 0xfff * ROUNDS_UNIT;
/// Digits of base 64 as crypt(3) orders them.
const CRYPT_DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Why a stored password cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// Neither of the two forms.
    #[error(
        "not a password hash: expected `$A$005$` and 63 characters (caching_sha2_password) or `*` and 40 \
         hexadecimal digits (mysql_native_password)"
    )]
    UnknownForm,
    /// Begins like `caching_sha2_password` and goes on differently.
    #[error(
        "not a caching_sha2_password hash: expected `$A$`, three hexadecimal digits, `$`, 20 bytes of salt, \
         43 characters of digest"
    )]
    BadCachingSha2,
    /// Begins like `mysql_native_password` and goes on differently.
    #[error("not a mysql_native_password hash: expected `*` and 40 hexadecimal digits")]
    BadNative,
    /// The plain text is longer than [`PASSWORD_BYTES_MAX`].
    #[error("the password is longer than 256 bytes")]
    TooLong,
    /// The system gave no random bytes.
    #[error("no random bytes from the system")]
    NoRandomness,
}

/// An authentication plugin that Bulkhead speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthPlugin {
    /// `caching_sha2_password`.
    CachingSha2,
    /// `mysql_native_password`.
    Native,
}

impl AuthPlugin {
    /// The plugin's name on the wire; `None` for plugins that Bulkhead does not speak.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "caching_sha2_password" => Some(Self::CachingSha2),
            "mysql_native_password" => Some(Self::Native),
            _ => None,
        }
    }

    /// Name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CachingSha2 => "caching_sha2_password",
            Self::Native => "mysql_native_password",
        }
    }
}

/// A password as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub enum StoredPassword {
    /// The account has no password; a client that sends one is refused, as MySQL does.
    Empty,
    /// `caching_sha2_password`: salted SHA-256, many rounds.
    CachingSha2(Sha2Hash),
    /// `mysql_native_password`: SHA1(SHA1(password)).
    Native([u8; 20]),
}

/// The stored form of `caching_sha2_password`.
#[derive(Clone, PartialEq, Eq)]
pub struct Sha2Hash {
    rounds: u32,
    salt: [u8; SALT_BYTES],
    digest: [u8; DIGEST_CHARS],
}

impl StoredPassword {
    /// Reads what `SELECT authentication_string FROM mysql.user` gives; also its hexadecimal form `0x…`,
    /// which `SHOW CREATE USER` prints when `print_identified_with_as_hex` is on. Empty text is an empty
    /// password.
    ///
    /// # Errors
    /// The text has none of the forms.
    pub fn parse(text: &[u8]) -> Result<Self, PasswordError> {
        match text {
            [] => Ok(Self::Empty),
            [b'0', b'x' | b'X', digits @ ..] => {
                let bytes = unhex(digits).ok_or(PasswordError::UnknownForm)?;
                if bytes.starts_with(b"0x") { Err(PasswordError::UnknownForm) } else { Self::parse(&bytes) }
            }
            [b'*', digits @ ..] => unhex(digits)
                .and_then(|bytes| bytes.try_into().ok())
                .map(Self::Native)
                .ok_or(PasswordError::BadNative),
            [b'$', b'A', b'$', rest @ ..] => {
                Sha2Hash::parse(rest).map(Self::CachingSha2).ok_or(PasswordError::BadCachingSha2)
            }
            _ => Err(PasswordError::UnknownForm),
        }
    }

    /// Hashes `plain` for `plugin`, with a random salt of printable characters where the form has one.
    ///
    /// # Errors
    /// The password is too long, or the system gives no random bytes.
    pub fn generate(plugin: AuthPlugin, plain: &[u8]) -> Result<Self, PasswordError> {
        if plain.is_empty() {
            return Ok(Self::Empty);
        }
        if plain.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        Ok(match plugin {
            AuthPlugin::Native => Self::Native(double_sha1(plain)),
            AuthPlugin::CachingSha2 => {
                let salt = printable_salt()?;
                Self::CachingSha2(Sha2Hash {
                    rounds: ROUNDS,
                    salt,
                    digest: sha256_crypt(plain, &salt, ROUNDS),
                })
            }
        })
    }

    /// The plugin that verifies this form; `None` for an empty password, which every plugin can.
    pub fn plugin(&self) -> Option<AuthPlugin> {
        match self {
            Self::Empty => None,
            Self::CachingSha2(_) => Some(AuthPlugin::CachingSha2),
            Self::Native(_) => Some(AuthPlugin::Native),
        }
    }

    /// Says whether `plain` is the password. Takes a few milliseconds for `caching_sha2_password`.
    pub fn verify(&self, plain: &[u8]) -> bool {
        match self {
            Self::Empty => plain.is_empty(),
            Self::CachingSha2(hash) => hash.verify(plain),
            Self::Native(stored) => verify_slices_are_equal(stored, &double_sha1(plain)).is_ok(),
        }
    }
}

impl fmt::Display for StoredPassword {
    /// The form that [`StoredPassword::parse`] reads; hexadecimal when the salt is not printable.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => Ok(()),
            Self::CachingSha2(hash) => hash.fmt(f),
            Self::Native(stored) => {
                f.write_str("*")?;
                stored.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
            }
        }
    }
}

impl fmt::Debug for StoredPassword {
    /// Names the form only: a hash in a log can be attacked offline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "StoredPassword(empty)",
            Self::CachingSha2(_) => "StoredPassword(caching_sha2_password)",
            Self::Native(_) => "StoredPassword(mysql_native_password)",
        })
    }
}

impl Sha2Hash {
    /// Reads what follows `$A$`.
    fn parse(text: &[u8]) -> Option<Self> {
        let (rounds, rest) = text.split_at_checked(3)?;
        let rest = rest.strip_prefix(b"$")?;
        let (salt, digest) = rest.split_at_checked(SALT_BYTES)?;
        let rounds =
            u32::from_str_radix(std::str::from_utf8(rounds).ok()?, 16).ok()?.checked_mul(ROUNDS_UNIT)?;
        let valid = (ROUNDS_UNIT..=ROUNDS_MAX).contains(&rounds)
            && !salt.contains(&0)
            && !salt.contains(&b'$')
            && digest.iter().all(|byte| CRYPT_DIGITS.contains(byte));
        Some(Self { rounds, salt: salt.try_into().ok()?, digest: digest.try_into().ok()? }).filter(|_| valid)
    }

    /// A hash that no password has and that takes as long to verify as a real one; always the same for the
    /// same `seed`.
    pub(super) fn decoy(seed: &[u8; 32]) -> Self {
        let mut salt = [0; SALT_BYTES];
        for (to, from) in salt.iter_mut().zip(seed) {
            *to = CRYPT_DIGITS[usize::from(from & 63)];
        }
        // '!' is no digit of crypt(3), so no digest can equal this one.
        Self { rounds: ROUNDS, salt, digest: [b'!'; DIGEST_CHARS] }
    }

    /// Says whether `plain` is the password.
    pub(super) fn verify(&self, plain: &[u8]) -> bool {
        if plain.len() > PASSWORD_BYTES_MAX {
            return false;
        }
        let digest = sha256_crypt(plain, &self.salt, self.rounds);
        verify_slices_are_equal(&self.digest, &digest).is_ok()
    }
}

impl fmt::Display for Sha2Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = format!("$A${:03X}$", self.rounds / ROUNDS_UNIT);
        let digest = std::str::from_utf8(&self.digest).map_err(|_| fmt::Error)?;
        match std::str::from_utf8(&self.salt) {
            Ok(salt) if salt.bytes().all(|byte| byte.is_ascii_graphic()) => write!(f, "{head}{salt}{digest}"),
            _ => {
                f.write_str("0x")?;
                let bytes = head.bytes().chain(self.salt).chain(self.digest);
                bytes.into_iter().try_for_each(|byte| write!(f, "{byte:02X}"))
            }
        }
    }
}

/// SHA1(SHA1(`plain`)).
fn double_sha1(plain: &[u8]) -> [u8; 20] {
    Sha1::digest(Sha1::digest(plain)).into()
}

fn printable_salt() -> Result<[u8; SALT_BYTES], PasswordError> {
    let mut salt = [0; SALT_BYTES];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| PasswordError::NoRandomness)?;
    // Six of eight random bits each: 120 bits in all.
    salt.iter_mut().for_each(|byte| *byte = CRYPT_DIGITS[usize::from(*byte & 63)]);
    Ok(salt)
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// SHA-256 crypt with a salt of 20 bytes, as `caching_sha2_password` stores it.
///
/// **Source**: "Unix crypt using SHA-256 and SHA-512", steps 1 to 22; MySQL differs in the longer salt only.
fn sha256_crypt(key: &[u8], salt: &[u8; SALT_BYTES], rounds: u32) -> [u8; DIGEST_CHARS] {
    let first = Zeroizing::new(first_digest(key, salt));
    let key_block = Zeroizing::new(repeated_digest(key, key.len(), key.len()));
    let salt_block = repeated_digest(salt, 16 + usize::from(first[0]), SALT_BYTES);
    let mut current = first;
    for round in 0..rounds {
        let odd = round % 2 == 1;
        let mut hash = Sha256::new();
        hash.update(if odd { key_block.as_slice() } else { current.as_slice() });
        if round % 3 != 0 {
            hash.update(&salt_block);
        }
        if round % 7 != 0 {
            hash.update(key_block.as_slice());
        }
        hash.update(if odd { current.as_slice() } else { key_block.as_slice() });
        *current = hash.finalize().into();
    }
    crypt_base64(&current)
}

/// Steps 1 to 12: the digest that the rounds begin with.
fn first_digest(key: &[u8], salt: &[u8]) -> [u8; 32] {
    let mixed: [u8; 32] =
        Sha256::new().chain_update(key).chain_update(salt).chain_update(key).finalize().into();
    let mixed = Zeroizing::new(mixed);
    let mut hash = Sha256::new();
    hash.update(key);
    hash.update(salt);
    for start in (0..key.len()).step_by(32) {
        hash.update(&mixed[..(key.len() - start).min(32)]);
    }
    let mut bits = key.len();
    while bits > 0 {
        if bits & 1 == 1 {
            hash.update(mixed.as_slice());
        } else {
            hash.update(key);
        }
        bits >>= 1;
    }
    hash.finalize().into()
}

/// The digest of `bytes` taken `times`, repeated until it is `length` bytes long.
fn repeated_digest(bytes: &[u8], times: usize, length: usize) -> Vec<u8> {
    let mut hash = Sha256::new();
    (0..times).for_each(|_| hash.update(bytes));
    let digest: [u8; 32] = hash.finalize().into();
    digest.iter().copied().cycle().take(length).collect()
}

/// Step 22: the digest in crypt's base 64, its bytes in crypt's order.
fn crypt_base64(digest: &[u8; 32]) -> [u8; DIGEST_CHARS] {
    const ORDER: [[usize; 3]; 10] = [
        [0, 10, 20],
        [21, 1, 11],
        [12, 22, 2],
        [3, 13, 23],
        [24, 4, 14],
        [15, 25, 5],
        [6, 16, 26],
        [27, 7, 17],
        [18, 28, 8],
        [9, 19, 29],
    ];
    let mut out = [0; DIGEST_CHARS];
    let mut write = |at: usize, chars: usize, mut value: u32| {
        for slot in &mut out[at..at + chars] {
            *slot = CRYPT_DIGITS[(value & 63) as usize];
            value >>= 6;
        }
    };
    let join = |a: u8, b: u8, c: u8| u32::from(a) << 16 | u32::from(b) << 8 | u32::from(c);
    for (group, [a, b, c]) in ORDER.into_iter().enumerate() {
        write(group * 4, 4, join(digest[a], digest[b], digest[c]));
    }
    write(40, 3, join(0, digest[31], digest[30]));
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn native_is_what_mysql_stores() {
        let stored = StoredPassword::generate(AuthPlugin::Native, b"mariadb").unwrap();
        assert_eq!(stored.to_string(), "*54958E764CE10E50764C2EECBB71D01F08549980");
        assert_eq!(StoredPassword::parse(stored.to_string().as_bytes()).unwrap(), stored);
        assert!(stored.verify(b"mariadb"));
        assert!(!stored.verify(b"mariadb "));
    }

    #[test]
    fn caching_sha2_round_trips() {
        let stored = StoredPassword::generate(AuthPlugin::CachingSha2, b"s3cret").unwrap();
        let text = stored.to_string();
        assert!(text.starts_with("$A$005$"), "{text}");
        assert_eq!(text.len(), 70);
        let read = StoredPassword::parse(text.as_bytes()).unwrap();
        assert!(read.verify(b"s3cret"));
        assert!(!read.verify(b"S3cret"));
        assert!(!read.verify(b""));
    }

    /// Made by MySQL 9.7: `CREATE USER … IDENTIFIED BY …`, then SHOW CREATE USER with hexadecimal hashes.
    #[test]
    fn hashes_of_a_real_server_verify() {
        let short = StoredPassword::parse(
            b"0x244124303041243C0634267863382F684F3A2030613A076919703570784664434E445774306976\
              45395358574D2E4A7166624577416D335555426E544B6B30486F31304D5037"
                .as_slice(),
        );
        assert!(short.unwrap().verify(b"s3cret"));
        let long = StoredPassword::parse(
            b"0x24412430304124776222136858394C64796F0B3B3F36726C5409664C707A554C59716B742E4466\
              4D533164534E727959726643743268384662584673486F7158586565484838"
                .as_slice(),
        );
        let plain = b"a much longer password than thirty-two bytes, for the second block of the digest";
        assert!(long.unwrap().verify(plain));
    }

    #[test]
    fn empty_and_bad_forms() {
        assert_eq!(StoredPassword::parse(b"").unwrap(), StoredPassword::Empty);
        assert_eq!(StoredPassword::generate(AuthPlugin::Native, b"").unwrap(), StoredPassword::Empty);
        assert!(StoredPassword::Empty.verify(b"") && !StoredPassword::Empty.verify(b"x"));
        assert_eq!(StoredPassword::parse(b"secret"), Err(PasswordError::UnknownForm));
        assert_eq!(StoredPassword::parse(b"*12"), Err(PasswordError::BadNative));
        assert_eq!(StoredPassword::parse(b"$A$005$short"), Err(PasswordError::BadCachingSha2));
        let long = vec![b'x'; PASSWORD_BYTES_MAX + 1];
        assert_eq!(StoredPassword::generate(AuthPlugin::CachingSha2, &long), Err(PasswordError::TooLong));
    }

    #[test]
    fn debug_hides_the_hash() {
        let stored = StoredPassword::generate(AuthPlugin::Native, b"x").unwrap();
        assert!(!format!("{stored:?}").contains('*'));
    }

    #[test]
    fn a_decoy_verifies_nothing() {
        let decoy = Sha2Hash::decoy(&[7; 32]);
        assert!(!decoy.verify(b"") && !decoy.verify(b"x"));
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = StoredPassword::parse(&text);
        }

        #[test]
        fn unprintable_salts_round_trip(
            salt in proptest::array::uniform20(1u8..128), seed in any::<[u8; 32]>(),
        ) {
            let mut hash = Sha2Hash { salt, digest: [b'a'; DIGEST_CHARS], ..Sha2Hash::decoy(&seed) };
            hash.salt.iter_mut().filter(|b| **b == b'$').for_each(|b| *b = b'%');
            let stored = StoredPassword::CachingSha2(hash);
            prop_assert_eq!(StoredPassword::parse(stored.to_string().as_bytes()), Ok(stored));
        }
    }
}
