//! Bulkhead towards the servers: proves its own password.

use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

use super::rsa::{self, RsaError};
use super::scramble;
use crate::protocol::handshake::{self, ServerRefusal};
use crate::protocol::password::AuthPlugin;
use crate::redact::Secret;

/// `caching_sha2_password`: the server knows the password; OK follows.
const FAST_AUTH_OK: &[u8] = &[3];
/// `caching_sha2_password`: the server wants the password itself.
const FULL_AUTH: &[u8] = &[4];
/// `caching_sha2_password`: asks for the server's public key.
const REQUEST_PUBLIC_KEY: u8 = 2;

/// Why a login failed.
#[derive(Debug, Error)]
pub enum ClientAuthError {
    /// The server said no.
    #[error("the server refused the login: {0}")]
    Refused(ServerRefusal),
    /// The account uses a plugin that Bulkhead does not speak.
    #[error(
        "the server's account uses the authentication plugin {plugin:?}; Bulkhead speaks \
         caching_sha2_password and mysql_native_password (MySQL names some plugin for unknown users too)"
    )]
    UnsupportedPlugin {
        /// The plugin's name.
        plugin: String,
    },
    /// The password could not be encrypted.
    #[error(transparent)]
    Rsa(#[from] RsaError),
    /// A packet that has no place at this point.
    #[error("unexpected packet during login: {what}")]
    Unexpected {
        /// What was wrong with it.
        what: &'static str,
    },
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientStep {
    /// Send this payload, then read a packet.
    Send(Vec<u8>),
    /// Read a packet.
    Read,
    /// The packet was OK: logged in.
    Done,
}

/// One login at one server.
pub struct ClientAuth {
    password: Secret,
    secure: bool,
    plugin: AuthPlugin,
    nonce: Vec<u8>,
    switched: bool,
    key_requested: bool,
}

impl ClientAuth {
    /// Prepares the answer to a greeting with this `nonce`, which named `plugin`. `secure`: TLS or a Unix
    /// socket.
    pub fn new(password: Secret, secure: bool, plugin: &str, nonce: &[u8]) -> Self {
        // A server whose default Bulkhead does not speak may still keep the account under one that it does:
        // the server then asks to switch.
        let plugin = AuthPlugin::from_name(plugin).unwrap_or(AuthPlugin::CachingSha2);
        let nonce = nonce.to_vec();
        Self { password, secure, plugin, nonce, switched: false, key_requested: false }
    }

    /// The plugin to name in the handshake response.
    pub fn plugin(&self) -> AuthPlugin {
        self.plugin
    }

    /// The scramble to send in the handshake response.
    pub fn first_response(&self) -> Vec<u8> {
        let password = self.password.reveal().as_bytes();
        match self.plugin {
            AuthPlugin::Native => scramble::native(password, &self.nonce),
            AuthPlugin::CachingSha2 => scramble::caching_sha2(password, &self.nonce),
        }
    }

    /// Goes on with the server's next packet.
    ///
    /// # Errors
    /// The server refused, wants a plugin that is not spoken here, or broke the protocol.
    pub fn step(&mut self, packet: &[u8]) -> Result<ClientStep, ClientAuthError> {
        match packet {
            [0x00, ..] => Ok(ClientStep::Done),
            [0xff, ..] => Err(ClientAuthError::Refused(ServerRefusal::parse(packet))),
            [0xfe, ..] => self.switch_plugin(packet),
            [0x01, data @ ..] => self.more_data(data),
            _ => Err(ClientAuthError::Unexpected {
                what: "neither OK, ERR, a switch of plugins nor more data",
            }),
        }
    }

    fn switch_plugin(&mut self, packet: &[u8]) -> Result<ClientStep, ClientAuthError> {
        let (name, nonce) = handshake::parse_auth_switch_request(packet)
            .ok_or(ClientAuthError::Unexpected { what: "malformed switch of plugins" })?;
        if self.switched {
            return Err(ClientAuthError::Unexpected { what: "a second switch of plugins" });
        }
        self.plugin = AuthPlugin::from_name(name)
            .ok_or_else(|| ClientAuthError::UnsupportedPlugin { plugin: name.to_owned() })?;
        self.nonce = nonce.to_vec();
        self.switched = true;
        Ok(ClientStep::Send(self.first_response()))
    }

    fn more_data(&mut self, data: &[u8]) -> Result<ClientStep, ClientAuthError> {
        if self.plugin != AuthPlugin::CachingSha2 {
            return Err(ClientAuthError::Unexpected { what: "more data for mysql_native_password" });
        }
        match data {
            FAST_AUTH_OK => Ok(ClientStep::Read),
            FULL_AUTH if self.secure => {
                let mut plain = Zeroizing::new(self.password.reveal().as_bytes().to_vec());
                plain.push(0);
                Ok(ClientStep::Send(std::mem::take(&mut plain)))
            }
            FULL_AUTH => {
                self.key_requested = true;
                Ok(ClientStep::Send(vec![REQUEST_PUBLIC_KEY]))
            }
            pem if self.key_requested => {
                self.key_requested = false;
                let message = rsa::encrypt_password(pem, self.password.reveal().as_bytes(), &self.nonce)?;
                Ok(ClientStep::Send(message))
            }
            _ => Err(ClientAuthError::Unexpected { what: "unknown data of caching_sha2_password" }),
        }
    }
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientAuth({})", self.plugin.name())
    }
}
