//! The packets of the connection phase, both sides: greeting, answer, TLS request, plugin switch, change of
//! user.
//!
//! Payloads only: no IO, no decision who may log in (that is [`super::auth`]). Flags that a client sets
//! although they were not offered are masked before anything is read by them: libmariadb sets such flags and
//! leaves the fields out.

mod auth_packets;
mod client_hello;
mod greeting;

#[cfg(test)]
mod tests;

pub use auth_packets::{auth_more_data, auth_switch_request, parse_auth_switch_request};
pub use client_hello::{
    ATTRIBUTE_BYTES_MAX, Attributes, ChangeUser, ClientHello, HandshakeResponse, SslRequest,
};
pub use greeting::{Flavour, Greeting, ServerRefusal, ServerVersion};
