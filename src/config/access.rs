//! Users that clients log in as.

use crate::ids::{Keyspace, UserName};
use crate::redact::Secret;

use super::decode::Object;
use super::keys::{Key, Section, Shape};
use super::secrets::{self, Given};
use super::suggest::nearest;

/// Most of a user's own limits.
const LIMIT_MAX: u64 = 1_000_000;
/// Largest bound on one answer that can be set: 1 TiB.
const RESULT_BYTES_MAX: u64 = 1 << 40;
/// Characters of crypt's base64.
const CRYPT_ALPHABET: &[u8] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

pub(super) const USER: Section = Section {
    doc: "A user that clients log in as. One of password_hash, password_env, password_file, password.",
    keys: &[
        Key::new("password_hash", Shape::Secret, "Stored form, made by `bulkhead password`."),
        Key::new("password_env", Shape::Text, "Environment variable with the password."),
        Key::new("password_file", Shape::Path, "File with the password; must not be readable by everybody."),
        Key::new("password", Shape::Secret, "The password; only if this file is not readable by everybody."),
        Key::new(
            "plugin",
            Shape::Choice(&["caching_sha2_password", "mysql_native_password"]),
            "Login method.",
        )
        .or("caching_sha2_password"),
        Key::new("keyspaces", Shape::List(&Shape::Name), "Keyspaces the user may use; `[\"*\"]`: all.")
            .or("[\"*\"]"),
        Key::new("reads", Shape::Choice(&["primary", "replica"]), "Where reads go by default.").or("primary"),
        Key::new("may_cross_workspaces", Shape::Flag, "May touch other workspaces than the pinned one.")
            .or("false"),
        Key::new("admin", Shape::Flag, "May log in on the admin port.").or("false"),
        Key::new(
            "max_connections",
            Shape::Number(0, LIMIT_MAX),
            "Connections; 0: listen.max_connections_per_user.",
        )
        .or("0"),
        Key::new(
            "max_in_flight",
            Shape::Number(0, LIMIT_MAX),
            "Statements in flight; 0: no bound of its own.",
        )
        .or("0"),
        Key::new(
            "max_result_bytes",
            Shape::Size(0, RESULT_BYTES_MAX),
            "Largest answer to one statement, about; 0: no bound.",
        )
        .or("0"),
    ],
};

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
    /// Largest answer to one statement, in wire bytes; 0: no bound.
    pub max_result_bytes: u64,
}

impl User {
    pub(super) fn decode(name: &str, object: &Object<'_>) -> Option<Self> {
        if name.is_empty() || name.chars().count() > 32 {
            object.fault(object.place().error("a user name has 1 to 32 characters"));
        }
        let password = decode_password(object);
        let user = Self {
            name: UserName::new(name),
            password: password.unwrap_or_else(|| Password::Plain(Secret::new(""))),
            plugin: if object.choice("plugin") == Some(1) {
                AuthPlugin::Native
            } else {
                AuthPlugin::CachingSha2
            },
            keyspaces: decode_keyspaces(object),
            reads: if object.choice("reads") == Some(1) { Reads::Replica } else { Reads::Primary },
            may_cross_workspaces: object.flag("may_cross_workspaces"),
            admin: object.flag("admin"),
            max_connections: object.number_u32("max_connections"),
            max_in_flight: object.number_u32("max_in_flight"),
            max_result_bytes: object.size("max_result_bytes"),
        };
        user.check_plugin(object);
        Some(user)
    }

    fn check_plugin(&self, object: &Object<'_>) {
        let fits = match (&self.password, self.plugin) {
            (Password::Plain(_), _) => true,
            (Password::CachingSha2(_), plugin) => plugin == AuthPlugin::CachingSha2,
            (Password::Native(_), plugin) => plugin == AuthPlugin::Native,
        };
        if !fits {
            let place = object.place_of("password_hash");
            let help = "set `plugin` to the hash's own, or make a new hash with `bulkhead password`";
            object.fault(place.error("the hash is of the other plugin").with_help(help));
        }
    }
}

fn decode_keyspaces(object: &Object<'_>) -> Access {
    let names = object.texts("keyspaces");
    match names.iter().find(|(name, _)| *name == "*") {
        Some((_, place)) if names.len() > 1 => {
            object.fault(place.error("`*` already means every keyspace"));
            Access::All
        }
        Some(_) => Access::All,
        None if !object.has("keyspaces") => Access::All,
        None => Access::Only(names.iter().map(|(name, _)| Keyspace::new(*name)).collect()),
    }
}

fn decode_password(object: &Object<'_>) -> Option<Password> {
    let given = secrets::decode(object, &["password_hash", "password_env", "password_file", "password"])?;
    match given {
        Given::Plain(secret) if secret.reveal().is_empty() => {
            object.fault(object.place().error("the password is empty: everybody could log in"));
            None
        }
        Given::Plain(secret) => Some(Password::Plain(secret)),
        Given::Hash(text) => {
            let parsed = parse_password_hash(&text);
            if parsed.is_none() {
                let fault =
                    object.place_of("password_hash").error("found text that is not a stored password");
                object.fault(fault.with_help("make one with `bulkhead password`"));
            }
            parsed
        }
    }
}

/// Reads a stored password: `$A$…`, `*94BD…`, or the former as `0x` and hexadecimal digits.
///
/// **Shape**: what `SHOW CREATE USER` prints, as text or by `print_identified_with_as_hex`.
pub fn parse_password_hash(text: &str) -> Option<Password> {
    if let Some(digits) = text.strip_prefix('*') {
        return Some(Password::Native(parse_hex(digits)?.try_into().ok()?));
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return parse_caching_sha2(&parse_hex(digits)?);
    }
    parse_caching_sha2(text.as_bytes())
}

fn parse_caching_sha2(bytes: &[u8]) -> Option<Password> {
    let rest = bytes.strip_prefix(b"$A$")?;
    let (rounds, rest) = rest.split_at_checked(3)?;
    let thousands =
        u32::from_str_radix(std::str::from_utf8(rounds).ok()?, 16).ok().filter(|rounds| *rounds > 0)?;
    let (salt, digest) = rest.strip_prefix(b"$")?.split_at_checked(20)?;
    let digest: [u8; 43] = digest.try_into().ok()?;
    let is_crypt = digest.iter().all(|byte| CRYPT_ALPHABET.contains(byte));
    let rounds = thousands.checked_mul(1000)?;
    is_crypt.then_some(Password::CachingSha2(CachingSha2Hash { rounds, salt: salt.try_into().ok()?, digest }))
}

fn parse_hex(digits: &str) -> Option<Vec<u8>> {
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

/// Keyspaces of a user that do not exist.
pub(super) fn check_keyspaces(user: &Object<'_>, known: &[&str]) {
    for (name, place) in user.texts("keyspaces") {
        if name != "*" && !known.contains(&name) {
            let fault = place.error(format!("keyspace `{name}` is not configured"));
            user.fault(fault.meant(nearest(name, known.iter().copied())));
        }
    }
}
