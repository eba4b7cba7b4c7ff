//! Bytes to and from peers: sockets, TLS, compression, packets.

mod buffer;
pub mod compress;
pub mod framed;
pub mod stream;
pub(crate) mod tcp;
pub mod tls;

#[cfg(test)]
mod tests;
