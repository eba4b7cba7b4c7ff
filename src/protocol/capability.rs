//! Capability flags of the MySQL and MariaDB handshake, and status flags of OK and EOF packets.
//!
//! Owns the bit sets and the two masks that keep the relay honest: what clients are offered, and which bits
//! change bytes on the wire, so that a server connection must have been opened with exactly the client's
//! bits.

use std::fmt;
use std::ops::{BitAnd, BitOr};

/// A set of capability flags.
///
/// **Shape**: the low 32 bits are MySQL's `CLIENT_*`; bits 32 and up are MariaDB's extended capabilities.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Capabilities(pub u64);

macro_rules! flags {
    ($type:ident, $int:ty, $names:ident: $($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        impl $type {
            $($(#[$doc])* pub const $name: $type = $type($value);)*
        }
        const $names: &[($int, &str)] = &[$(($value, stringify!($name)),)*];
    };
}

flags! { Capabilities, u64, CAPABILITY_NAMES:
    /// Historic; every client and server sets it.
    LONG_PASSWORD = 1;
    /// Affected rows count found rows, not changed rows.
    FOUND_ROWS = 1 << 1;
    /// Column flags take two bytes.
    LONG_FLAG = 1 << 2;
    /// The handshake response names a database.
    CONNECT_WITH_DB = 1 << 3;
    /// `database.table.column` is refused.
    NO_SCHEMA = 1 << 4;
    /// zlib compressed protocol.
    COMPRESS = 1 << 5;
    /// Historic ODBC flag; changes nothing.
    ODBC = 1 << 6;
    /// LOAD DATA LOCAL INFILE may be asked of the client.
    LOCAL_FILES = 1 << 7;
    /// Spaces are allowed before `(` of a function call.
    IGNORE_SPACE = 1 << 8;
    /// The 4.1 protocol; without it a client is refused.
    PROTOCOL_41 = 1 << 9;
    /// `interactive_timeout` instead of `wait_timeout`.
    INTERACTIVE = 1 << 10;
    /// The client switches to TLS after the greeting.
    SSL = 1 << 11;
    /// Client side only.
    IGNORE_SIGPIPE = 1 << 12;
    /// Status flags tell about transactions.
    TRANSACTIONS = 1 << 13;
    /// Historic.
    RESERVED = 1 << 14;
    /// 4.1 authentication (20-byte scrambles).
    SECURE_CONNECTION = 1 << 15;
    /// Several statements in one COM_QUERY.
    MULTI_STATEMENTS = 1 << 16;
    /// Several results of one COM_QUERY.
    MULTI_RESULTS = 1 << 17;
    /// Several results of one COM_STMT_EXECUTE.
    PS_MULTI_RESULTS = 1 << 18;
    /// Authentication plugins are named.
    PLUGIN_AUTH = 1 << 19;
    /// Connection attributes in the handshake response.
    CONNECT_ATTRS = 1 << 20;
    /// The authentication answer has a length-encoded length.
    PLUGIN_AUTH_LENENC = 1 << 21;
    /// The client can handle an expired password.
    CAN_HANDLE_EXPIRED_PASSWORDS = 1 << 22;
    /// OK packets may carry session state changes.
    SESSION_TRACK = 1 << 23;
    /// OK packets instead of EOF packets.
    DEPRECATE_EOF = 1 << 24;
    /// Result sets may come without column definitions.
    OPTIONAL_RESULTSET_METADATA = 1 << 25;
    /// zstd compressed protocol.
    ZSTD_COMPRESSION = 1 << 26;
    /// COM_QUERY and COM_STMT_EXECUTE carry query attributes.
    QUERY_ATTRIBUTES = 1 << 27;
    /// More than one authentication factor.
    MULTI_FACTOR_AUTHENTICATION = 1 << 28;
    /// Reserved for more capability bits; MariaDB's obsolete progress flag.
    CAPABILITY_EXTENSION = 1 << 29;
    /// Client side only.
    SSL_VERIFY_SERVER_CERT = 1 << 30;
    /// Client side only.
    REMEMBER_OPTIONS = 1 << 31;
    /// MariaDB: progress reports as ERR packets with errno 65535.
    MARIADB_PROGRESS = 1 << 32;
    /// MariaDB: COM_MULTI.
    MARIADB_COM_MULTI = 1 << 33;
    /// MariaDB: COM_STMT_BULK_EXECUTE.
    MARIADB_STMT_BULK = 1 << 34;
    /// MariaDB: extended type information in column definitions.
    MARIADB_EXTENDED_METADATA = 1 << 35;
    /// MariaDB: column definitions may be left out on re-execution.
    MARIADB_CACHE_METADATA = 1 << 36;
    /// MariaDB: a result set of per-row results for bulk execution.
    MARIADB_BULK_UNIT_RESULTS = 1 << 37;
}

impl Capabilities {
    /// No flag.
    pub const NONE: Capabilities = Capabilities(0);

    /// True if every flag of `other` is set.
    pub const fn contains(self, other: Capabilities) -> bool {
        self.0 & other.0 == other.0
    }

    /// Sets the flags of `other`.
    pub const fn insert(&mut self, other: Capabilities) {
        self.0 |= other.0;
    }

    /// Clears the flags of `other`.
    pub const fn remove(&mut self, other: Capabilities) {
        self.0 &= !other.0;
    }

    /// The flags also in `other`.
    pub const fn masked(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 & other.0)
    }

    /// The flags of both.
    pub const fn with(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 | other.0)
    }

    /// The flags not in `other`.
    pub const fn without(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 & !other.0)
    }
}

/// What Bulkhead offers to clients when TLS and compression are configured; `SSL`, `COMPRESS` and
/// `ZSTD_COMPRESSION` are taken out where they are not.
///
/// Not offered: `OPTIONAL_RESULTSET_METADATA` (MariaDB servers lack it, and an answer is relayed as bytes),
/// MariaDB's extended capabilities, more than one authentication factor.
pub const OFFERED: Capabilities = Capabilities(
    Capabilities::LONG_PASSWORD.0
        | Capabilities::FOUND_ROWS.0
        | Capabilities::LONG_FLAG.0
        | Capabilities::CONNECT_WITH_DB.0
        | Capabilities::COMPRESS.0
        | Capabilities::ODBC.0
        | Capabilities::LOCAL_FILES.0
        | Capabilities::IGNORE_SPACE.0
        | Capabilities::PROTOCOL_41.0
        | Capabilities::INTERACTIVE.0
        | Capabilities::SSL.0
        | Capabilities::IGNORE_SIGPIPE.0
        | Capabilities::TRANSACTIONS.0
        | Capabilities::RESERVED.0
        | Capabilities::SECURE_CONNECTION.0
        | Capabilities::MULTI_STATEMENTS.0
        | Capabilities::MULTI_RESULTS.0
        | Capabilities::PS_MULTI_RESULTS.0
        | Capabilities::PLUGIN_AUTH.0
        | Capabilities::CONNECT_ATTRS.0
        | Capabilities::PLUGIN_AUTH_LENENC.0
        | Capabilities::SESSION_TRACK.0
        | Capabilities::DEPRECATE_EOF.0
        | Capabilities::ZSTD_COMPRESSION.0
        | Capabilities::QUERY_ATTRIBUTES.0,
);

/// The bits that change what a server does or writes: a server connection is opened with exactly the client's
/// bits under this mask, so answers can be relayed as bytes. Not MULTI_STATEMENTS: texts are split here, and
/// a server that took a second statement would take one that nobody planned. Not SESSION_TRACK: every server
/// connection has it, and clients without it get their packets rewritten (`protocol::response`).
pub const CLASS_MASK: Capabilities = Capabilities(
    Capabilities::LONG_PASSWORD.0
        | Capabilities::FOUND_ROWS.0
        | Capabilities::LONG_FLAG.0
        | Capabilities::LOCAL_FILES.0
        | Capabilities::IGNORE_SPACE.0
        | Capabilities::TRANSACTIONS.0
        | Capabilities::MULTI_RESULTS.0
        | Capabilities::PS_MULTI_RESULTS.0
        | Capabilities::DEPRECATE_EOF.0
        | Capabilities::OPTIONAL_RESULTSET_METADATA.0
        | Capabilities::QUERY_ATTRIBUTES.0,
);

/// Status flags of OK and EOF packets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct StatusFlags(pub u16);

flags! { StatusFlags, u16, STATUS_NAMES:
    /// A transaction is open.
    IN_TRANSACTION = 1;
    /// Autocommit is on.
    AUTOCOMMIT = 1 << 1;
    /// Another result follows.
    MORE_RESULTS = 1 << 3;
    /// The statement used no good index.
    NO_GOOD_INDEX = 1 << 4;
    /// The statement used no index.
    NO_INDEX = 1 << 5;
    /// A read-only cursor was opened; rows come by COM_STMT_FETCH.
    CURSOR_EXISTS = 1 << 6;
    /// The cursor's last row was sent.
    LAST_ROW_SENT = 1 << 7;
    /// A database was dropped.
    DATABASE_DROPPED = 1 << 8;
    /// `NO_BACKSLASH_ESCAPES` is in the session's sql_mode.
    NO_BACKSLASH_ESCAPES = 1 << 9;
    /// A re-prepared statement gives other columns.
    METADATA_CHANGED = 1 << 10;
    /// The statement was slow.
    QUERY_WAS_SLOW = 1 << 11;
    /// The result set holds OUT parameters.
    PS_OUT_PARAMETERS = 1 << 12;
    /// A read-only transaction is open.
    IN_READ_ONLY_TRANSACTION = 1 << 13;
    /// Session state changes follow in this OK packet.
    SESSION_STATE_CHANGED = 1 << 14;
}

impl StatusFlags {
    /// True if every flag of `other` is set.
    pub const fn contains(self, other: StatusFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags of both.
    pub const fn with(self, other: StatusFlags) -> StatusFlags {
        StatusFlags(self.0 | other.0)
    }

    /// The flags not in `other`.
    pub const fn without(self, other: StatusFlags) -> StatusFlags {
        StatusFlags(self.0 & !other.0)
    }
}

macro_rules! set_traits {
    ($type:ident, $names:ident) => {
        impl BitOr for $type {
            type Output = $type;
            fn bitor(self, other: $type) -> $type {
                $type(self.0 | other.0)
            }
        }

        impl BitAnd for $type {
            type Output = $type;
            fn bitand(self, other: $type) -> $type {
                $type(self.0 & other.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut list = f.debug_set();
                for (bit, name) in $names {
                    if self.0 & bit != 0 {
                        list.entry(&format_args!("{name}"));
                    }
                }
                list.finish()
            }
        }
    };
}

set_traits!(Capabilities, CAPABILITY_NAMES);
set_traits!(StatusFlags, STATUS_NAMES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_mask_is_offered_but_for_metadata() {
        let open = CLASS_MASK.without(Capabilities::OPTIONAL_RESULTSET_METADATA);
        assert!(OFFERED.contains(open));
        assert!(!CLASS_MASK.contains(Capabilities::INTERACTIVE));
    }

    #[test]
    fn debug_names_flags() {
        let set = Capabilities::SSL | Capabilities::FOUND_ROWS;
        assert_eq!(format!("{set:?}"), "{FOUND_ROWS, SSL}");
        assert_eq!(format!("{:?}", StatusFlags::AUTOCOMMIT), "{AUTOCOMMIT}");
    }
}
