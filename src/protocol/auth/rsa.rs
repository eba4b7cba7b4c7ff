//! RSA for the full exchange of `caching_sha2_password` without TLS.
//!
//! **Source**: MySQL manual, "Caching SHA-2 Pluggable Authentication": the password and its final zero byte,
//! XOR the nonce, encrypted with OAEP (SHA-1).

use std::fmt;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use thiserror::Error;
use zeroize::Zeroizing;

/// Why an RSA key or message cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RsaError {
    /// The key could not be made.
    #[error("the RSA key could not be made")]
    Generate,
    /// The private key is not a PKCS#8 PEM file of an RSA key of 2048 to 8192 bits.
    #[error("not a PKCS#8 PEM file of an RSA private key of 2048 to 8192 bits")]
    PrivateKey,
    /// The server's public key cannot be read.
    #[error("the server's RSA public key cannot be read")]
    PublicKey,
    /// The password is too long for the key.
    #[error("the password is too long for the server's RSA key")]
    Encrypt,
}

/// Bulkhead's key pair; clients encrypt their password with its public half.
pub struct RsaKey {
    private: OaepPrivateDecryptingKey,
    public_pem: Vec<u8>,
}

impl RsaKey {
    /// Makes a key of 2048 bits, as mysqld does at its first start. Takes a fraction of a second.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate() -> Result<Self, RsaError> {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(|_| RsaError::Generate)?;
        Self::from_private(key).ok_or(RsaError::Generate)
    }

    /// Reads a private key in PEM (PKCS#8, `BEGIN PRIVATE KEY`).
    ///
    /// # Errors
    /// Not such a file.
    pub fn from_pem(pem: &[u8]) -> Result<Self, RsaError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| RsaError::PrivateKey)?;
        let key =
            PrivateDecryptingKey::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| RsaError::PrivateKey)?;
        Self::from_private(key).ok_or(RsaError::PrivateKey)
    }

    fn from_private(key: PrivateDecryptingKey) -> Option<Self> {
        let der: PublicKeyX509Der<'_> = key.public_key().as_der().ok()?;
        let public_pem = public_key_pem(der.as_ref());
        Some(Self { private: OaepPrivateDecryptingKey::new(key).ok()?, public_pem })
    }

    /// The public half, in PEM, as sent to clients that ask for it.
    pub fn public_pem(&self) -> &[u8] {
        &self.public_pem
    }

    /// Bytes of an encrypted password.
    pub(super) fn message_bytes(&self) -> usize {
        self.private.key_size_bytes()
    }

    /// Undoes [`encrypt_password`]; `None` when the message is not of this key and nonce.
    pub(super) fn decrypt_password(&self, message: &[u8], nonce: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if message.len() != self.message_bytes() {
            return None;
        }
        let mut buffer = Zeroizing::new(vec![0; self.private.min_output_size()]);
        let length = self.private.decrypt(&OAEP_SHA1_MGF1SHA1, message, &mut buffer, None).ok()?.len();
        buffer.truncate(length);
        mask(&mut buffer, nonce);
        (buffer.pop() == Some(0)).then_some(buffer)
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RsaKey")
    }
}

/// Encrypts `password` for a server whose public key is `pem`.
///
/// # Errors
/// The key cannot be read, or is too short for the password.
pub(super) fn encrypt_password(pem: &[u8], password: &[u8], nonce: &[u8]) -> Result<Vec<u8>, RsaError> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| RsaError::PublicKey)?;
    let key = PublicEncryptingKey::from_der(der.as_ref()).map_err(|_| RsaError::PublicKey)?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| RsaError::PublicKey)?;
    let mut plain = Zeroizing::new(Vec::with_capacity(password.len() + 1));
    plain.extend_from_slice(password);
    plain.push(0);
    mask(&mut plain, nonce);
    let mut message = vec![0; key.ciphertext_size()];
    let length =
        key.encrypt(&OAEP_SHA1_MGF1SHA1, &plain, &mut message, None).map_err(|_| RsaError::Encrypt)?.len();
    message.truncate(length);
    Ok(message)
}

/// XOR with the nonce, repeated.
fn mask(bytes: &mut [u8], nonce: &[u8]) {
    bytes.iter_mut().zip(nonce.iter().cycle()).for_each(|(byte, with)| *byte ^= with);
}

fn public_key_pem(der: &[u8]) -> Vec<u8> {
    let mut pem = b"-----BEGIN PUBLIC KEY-----\n".to_vec();
    for line in base64(der).chunks(64) {
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    pem.extend_from_slice(b"-----END PUBLIC KEY-----\n");
    pem
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let value = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let known = digit <= chunk.len();
            out.push(if known { DIGITS[(value >> (18 - 6 * digit) & 63) as usize] } else { b'=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads() {
        assert_eq!(base64(b"any carnal pleas"), b"YW55IGNhcm5hbCBwbGVhcw==");
        assert_eq!(base64(b"any carnal pleasu"), b"YW55IGNhcm5hbCBwbGVhc3U=");
        assert_eq!(base64(b"any carnal pleasur"), b"YW55IGNhcm5hbCBwbGVhc3Vy");
        assert_eq!(base64(b""), b"");
    }

    #[test]
    fn passwords_survive_the_way() {
        let key = RsaKey::generate().unwrap();
        let nonce = [9; 20];
        let message = encrypt_password(key.public_pem(), b"s3cret", &nonce).unwrap();
        assert_eq!(message.len(), key.message_bytes());
        assert_eq!(key.decrypt_password(&message, &nonce).unwrap().as_slice(), b"s3cret");
        assert!(key.decrypt_password(&message, &[8; 20]).is_none());
        assert!(key.decrypt_password(&message[1..], &nonce).is_none());
        assert_eq!(encrypt_password(b"no key", b"x", &nonce), Err(RsaError::PublicKey));
    }
}
