//! The exchange that proves a password, both sides, free of IO.
//!
//! [`ServerAuth`] is Bulkhead towards its clients, [`ClientAuth`] is Bulkhead towards the servers. Both take
//! packet payloads and say what to send next; framing, TLS and time limits are the caller's.
//!
//! Plugins: `caching_sha2_password` (fast, full by TLS, by Unix socket, by RSA) and `mysql_native_password`.
//! Absent on purpose: `sha256_password`, `client_ed25519`, `parsec`, `mysql_clear_password` and the like; a
//! server that asks for one of them is refused with the plugin's name.

mod client;
mod rsa;
mod scramble;
mod server;

#[cfg(test)]
mod tests;

pub use client::{ClientAuth, ClientAuthError, ClientStep};
pub use rsa::{RsaError, RsaKey};
pub use scramble::{NONCE_BYTES, Nonce};
pub use server::{AuthContext, AuthRequest, AuthStep, Credentials, ServerAuth};
