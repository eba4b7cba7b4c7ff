//! Bulkhead towards its clients: who are you, prove it.
//!
//! States: *scramble* (the client's answer to the nonce is awaited), *full* (its password, or a request for
//! the public key, is awaited), *encrypted* (the key was sent, the password is awaited); every other path
//! ends at once. Unknown users go through the same exchange against a decoy, so that neither the packets nor
//! the time say which users exist.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use super::rsa::RsaKey;
use super::scramble::{Nonce, sha1, sha256, xor};
use crate::error::{ClientError, Code};
use crate::protocol::handshake;
use crate::protocol::password::{AuthPlugin, PasswordError, Sha2Hash, StoredPassword};

/// `caching_sha2_password`: the cached digest matched; OK follows.
const FAST_AUTH_OK: u8 = 3;
/// `caching_sha2_password`: send the password itself.
const FULL_AUTH: u8 = 4;
/// `caching_sha2_password`: the client asks for the public key.
const REQUEST_PUBLIC_KEY: u8 = 2;

/// Gives the stored password of a user.
pub trait Credentials: Send + Sync {
    /// The user's stored password; `None` when there is no such user.
    fn lookup(&self, user: &str) -> Option<StoredPassword>;
}

/// What all exchanges of one process share: the RSA key, the cache of proved passwords, the decoys' secret.
///
/// **Invariant**: the cache holds known users only, so it is as large as the list of users at most.
pub struct AuthContext {
    rsa: RsaKey,
    decoy_secret: [u8; 32],
    /// Written after a full exchange; an entry counts only while the stored hash is the one it was proved
    /// against.
    cache: Mutex<HashMap<Box<str>, ProvedPassword>>,
}

struct ProvedPassword {
    stored: Sha2Hash,
    /// SHA256(SHA256(password)).
    digest: [u8; 32],
}

impl AuthContext {
    /// Starts with an empty cache.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new(rsa: RsaKey) -> Result<Self, PasswordError> {
        let mut decoy_secret = [0; 32];
        aws_lc_rs::rand::fill(&mut decoy_secret).map_err(|_| PasswordError::NoRandomness)?;
        Ok(Self { rsa, decoy_secret, cache: Mutex::default() })
    }

    /// A hash that nobody's password has, always the same for one name.
    fn decoy(&self, user: &str) -> StoredPassword {
        StoredPassword::CachingSha2(Sha2Hash::decoy(&sha256(&[&self.decoy_secret, user.as_bytes()])))
    }

    fn proved_digest(&self, user: &str, stored: &Sha2Hash) -> Option<[u8; 32]> {
        let cache = self.cache.lock().expect("no code panics while it holds this lock");
        cache.get(user).filter(|proved| proved.stored == *stored).map(|proved| proved.digest)
    }

    fn remember(&self, user: &str, stored: &Sha2Hash, plain: &[u8]) {
        let digest = sha256(&[&sha256(&[plain])]);
        let proved = ProvedPassword { stored: stored.clone(), digest };
        self.cache.lock().expect("no code panics while it holds this lock").insert(user.into(), proved);
    }

    /// Forgets every proved password.
    pub fn forget_all(&self) {
        self.cache.lock().expect("no code panics while it holds this lock").clear();
    }
}

impl fmt::Debug for AuthContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthContext")
    }
}

/// What the client's handshake response (or COM_CHANGE_USER) says about who it is.
#[derive(Debug)]
pub struct AuthRequest {
    /// User name.
    pub user: String,
    /// Where the client comes from, as error messages name it: an address, or `localhost` for the Unix
    /// socket.
    pub host: String,
    /// The plugin that `response` was made by; `None` when the client cannot switch plugins (no PLUGIN_AUTH),
    /// which means `mysql_native_password`.
    pub plugin: Option<String>,
    /// The scramble, or empty.
    pub response: Vec<u8>,
    /// The nonce that the client was sent.
    pub nonce: Nonce,
    /// The way is private: TLS or a Unix socket, so that a clear-text password may be sent.
    pub secure: bool,
}

/// What to do next.
#[derive(Debug)]
pub enum AuthStep {
    /// Send this payload, read one packet, give it to [`ServerAuth::step`].
    Send(Vec<u8>),
    /// The client is who it says. Send this payload first if there is one, then OK.
    Accepted(Option<Vec<u8>>),
    /// Send this error and close.
    Refused(ClientError),
}

/// One exchange with one client.
pub struct ServerAuth {
    user: String,
    host: String,
    stored: StoredPassword,
    plugin: AuthPlugin,
    nonce: Nonce,
    secure: bool,
    state: State,
    context: Arc<AuthContext>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// → Password, or the end.
    Scramble,
    /// → Encrypted, or the end.
    Password,
    /// → the end.
    Encrypted,
}

impl ServerAuth {
    /// Starts the exchange from the client's first answer.
    pub fn begin(
        request: AuthRequest,
        credentials: &dyn Credentials,
        context: Arc<AuthContext>,
    ) -> (Self, AuthStep) {
        let stored = credentials.lookup(&request.user).unwrap_or_else(|| context.decoy(&request.user));
        let offered = match &request.plugin {
            Some(name) => AuthPlugin::from_name(name),
            None => Some(AuthPlugin::Native),
        };
        let plugin = stored.plugin().or(offered).unwrap_or(AuthPlugin::CachingSha2);
        let AuthRequest { user, host, nonce, secure, .. } = request;
        let state = State::Scramble;
        let mut auth = Self { user, host, stored, plugin, nonce, secure, state, context };
        let step = if offered == Some(plugin) {
            auth.step(&request.response)
        } else if request.plugin.is_some() {
            auth.switch_plugin()
        } else {
            AuthStep::Refused(ClientError::of(Code::UnsupportedAuthMode))
        };
        (auth, step)
    }

    /// The user name that is being proved.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Says whether the next [`ServerAuth::step`] hashes many rounds (milliseconds of CPU time).
    pub fn is_next_step_slow(&self) -> bool {
        self.state != State::Scramble
    }

    /// Goes on with the client's next packet.
    pub fn step(&mut self, packet: &[u8]) -> AuthStep {
        match (self.state, self.plugin) {
            (State::Scramble, AuthPlugin::Native) => self.verify_native(packet),
            (State::Scramble, AuthPlugin::CachingSha2) => self.verify_fast(packet),
            (State::Password, _) => self.read_password(packet),
            (State::Encrypted, _) => self.read_encrypted(packet),
        }
    }

    /// → Scramble, made by the account's own plugin, against a new nonce.
    fn switch_plugin(&mut self) -> AuthStep {
        let Some(nonce) = Nonce::random() else {
            return AuthStep::Refused(ClientError::new(
                Code::Internal,
                PasswordError::NoRandomness.to_string(),
            ));
        };
        self.nonce = nonce;
        AuthStep::Send(handshake::auth_switch_request(self.plugin.name(), &nonce))
    }

    fn verify_native(&mut self, scramble: &[u8]) -> AuthStep {
        let valid = match &self.stored {
            StoredPassword::Empty => scramble.is_empty(),
            StoredPassword::Native(stored) => <[u8; 20]>::try_from(scramble).is_ok_and(|scramble| {
                let once = xor(scramble, &sha1(&[&self.nonce.0, stored]));
                verify_slices_are_equal(&sha1(&[&once]), stored).is_ok()
            }),
            StoredPassword::CachingSha2(_) => false,
        };
        if valid { AuthStep::Accepted(None) } else { self.refuse(!scramble.is_empty()) }
    }

    /// The end when the password was proved before, else → Password.
    fn verify_fast(&mut self, scramble: &[u8]) -> AuthStep {
        if matches!(scramble, [] | [0]) {
            return if self.stored == StoredPassword::Empty {
                AuthStep::Accepted(None)
            } else {
                self.refuse(false)
            };
        }
        let StoredPassword::CachingSha2(stored) = &self.stored else {
            return self.refuse(true);
        };
        let Ok(scramble) = <[u8; 32]>::try_from(scramble) else {
            return self.refuse(true);
        };
        let proved = self.context.proved_digest(&self.user, stored).is_some_and(|digest| {
            let once = xor(scramble, &sha256(&[&digest, &self.nonce.0]));
            verify_slices_are_equal(&sha256(&[&once]), &digest).is_ok()
        });
        if proved {
            return AuthStep::Accepted(Some(handshake::auth_more_data(&[FAST_AUTH_OK])));
        }
        self.state = State::Password;
        AuthStep::Send(handshake::auth_more_data(&[FULL_AUTH]))
    }

    /// The password in clear text on a private way; else encrypted, or a request for the key → Encrypted.
    fn read_password(&mut self, packet: &[u8]) -> AuthStep {
        if self.secure {
            return self.verify_full(packet.strip_suffix(&[0]).unwrap_or(packet));
        }
        if packet == [REQUEST_PUBLIC_KEY] {
            self.state = State::Encrypted;
            return AuthStep::Send(handshake::auth_more_data(self.context.rsa.public_pem()));
        }
        self.read_encrypted(packet)
    }

    fn read_encrypted(&mut self, packet: &[u8]) -> AuthStep {
        let plain: Option<Zeroizing<Vec<u8>>> = self.context.rsa.decrypt_password(packet, &self.nonce.0);
        match plain {
            Some(plain) => self.verify_full(&plain),
            None => self.refuse(true),
        }
    }

    fn verify_full(&self, plain: &[u8]) -> AuthStep {
        let StoredPassword::CachingSha2(stored) = &self.stored else {
            return self.refuse(true);
        };
        if !stored.verify(plain) {
            return self.refuse(true);
        }
        self.context.remember(&self.user, stored, plain);
        AuthStep::Accepted(None)
    }

    fn refuse(&self, using_password: bool) -> AuthStep {
        AuthStep::Refused(access_denied(&self.user, &self.host, using_password))
    }
}

impl fmt::Debug for ServerAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerAuth({}@{}, {:?})", self.user, self.host, self.state)
    }
}

/// MySQL's error 1045 in MySQL's words.
fn access_denied(user: &str, host: &str, using_password: bool) -> ClientError {
    let using = if using_password { "YES" } else { "NO" };
    let message = format!("Access denied for user '{user}'@'{host}' (using password: {using})");
    ClientError::new(Code::AccessDenied, message)
}
