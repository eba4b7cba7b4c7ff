//! The MySQL protocol: one module for clients, servers and the admin endpoint.
//!
//! Owns the codec ([`packet`], `codec`), what commands and answers look like ([`command`], [`response`],
//! [`result`], [`binary`]), the handshake, and framed IO over TCP, Unix sockets, TLS and compression
//! (`transport`). Knows no SQL and no shards.
//!
//! Invariants: every parse is bounds-checked and never panics; whatever is buffered has a bound; rows are
//! skipped by packet header, never decoded, on the relay path.

pub mod auth;
pub mod binary;
pub mod capability;
pub(crate) mod codec;
pub mod command;
pub mod errors;
pub mod handshake;
pub mod packet;
pub mod password;
pub mod response;
pub mod result;
mod transport;

pub(crate) use transport::tcp;
pub use transport::{compress, framed, stream, tls};
