//! Users that clients log in as.

use crate::ids::{Keyspace, UserName};
use crate::redact::Secret;

/// Authentication plugin of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthPlugin {
    /// `caching_sha2_password`.
    CachingSha2,
    /// `mysql_native_password`.
    Native,
}

/// What a user's password is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// The password itself, from the environment or a file.
    Plain(Secret),
    /// `$A$005$` + salt + digest, as MySQL stores it.
    CachingSha2(CachingSha2Hash),
    /// SHA1(SHA1(password)), written `*` and 40 hexadecimal digits.
    Native([u8; 20]),
}

/// The parts of a stored `caching_sha2_password`.
///
/// **Shape**: `$A$` rounds/1000 as three hexadecimal digits `$`, 20 bytes of salt, 43 characters of digest.
#[derive(Clone, PartialEq, Eq)]
pub struct CachingSha2Hash {
    /// Rounds of SHA-256 crypt; at least 1000.
    pub rounds: u32,
    /// Salt, bytes as they are.
    pub salt: [u8; 20],
    /// Digest in crypt's base64 alphabet, 43 characters.
    pub digest: [u8; 43],
}

impl std::fmt::Debug for CachingSha2Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CachingSha2Hash(***, {} rounds)", self.rounds)
    }
}

/// Which servers a user reads from unless the session says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// The primary.
    Primary,
    /// A replica.
    Replica,
}

/// Keyspaces a user may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// `["*"]`.
    All,
    /// These.
    Only(Vec<Keyspace>),
}

impl Access {
    /// Says whether the keyspace may be used.
    pub fn allows(&self, keyspace: &Keyspace) -> bool {
        match self {
            Self::All => true,
            Self::Only(keyspaces) => keyspaces.contains(keyspace),
        }
    }
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: UserName,
    /// What the password is checked against.
    pub password: Password,
    /// Plugin offered to the client.
    pub plugin: AuthPlugin,
    /// Keyspaces the user may use.
    pub keyspaces: Access,
    /// Where reads go by default.
    pub reads: Reads,
    /// May touch rows of other workspaces than the pinned one.
    pub may_cross_workspaces: bool,
    /// May log in on the admin port.
    pub admin: bool,
    /// Connections; 0: `listen.max_connections_per_user`.
    pub max_connections: u32,
    /// Statements in flight; 0: no bound of its own.
    pub max_in_flight: u32,
}
