//! What a statement uses that matters to routing and to the session.

/// A set of facts about a statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScanFlags(u32);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal;)*) => {
        impl ScanFlags {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*
        }

        impl ScanFlags {
            const NAMES: &[(ScanFlags, &str)] = &[$((ScanFlags::$name, stringify!($name))),*];
        }
    };
}

flags! {
    /// Reads or writes a user variable (`@x`).
    USER_VARIABLE = 0;
    /// Holds `:=`.
    ASSIGNMENT = 1;
    /// `INTO @x`.
    INTO_VARIABLE = 2;
    /// `INTO OUTFILE` or `INTO DUMPFILE`.
    INTO_FILE = 3;
    /// Calls GET_LOCK, RELEASE_LOCK, RELEASE_ALL_LOCKS, IS_FREE_LOCK or IS_USED_LOCK.
    LOCK_FUNCTION = 4;
    /// Calls LAST_INSERT_ID, FOUND_ROWS, ROW_COUNT or CONNECTION_ID: depends on the server connection.
    SESSION_FUNCTION = 5;
    /// Calls DATABASE or SCHEMA.
    DATABASE_FUNCTION = 6;
    /// FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE.
    LOCKING_READ = 8;
    /// SQL_CALC_FOUND_ROWS.
    CALC_FOUND_ROWS = 9;
    /// The word TEMPORARY.
    TEMPORARY = 10;
    /// A version comment whose content counts as code.
    VERSION_COMMENT = 11;
    /// A version comment that was skipped: a newer or older server than the configured version might run it.
    VERSION_COMMENT_SKIPPED = 12;
    /// Has `?`.
    PLACEHOLDER = 13;
    /// Reads `@@x`.
    SYSTEM_VARIABLE = 14;
    /// A dotted name.
    QUALIFIER = 15;
    /// A string with a character set introducer.
    INTRODUCER = 16;
    /// An optimizer hint.
    HINT = 17;
    /// More statements follow behind [`super::Scan::end`].
    MORE = 18;
    /// Something was not closed, or a byte is not SQL.
    INVALID = 19;
    /// A bound of the scanner was passed: literals, placeholders or comments are missing.
    OVERFLOW = 20;
    /// The word RETURNING.
    RETURNING = 21;
    /// A byte beyond ASCII.
    NON_ASCII = 22;
    /// Starts with or holds a WITH clause.
    WITH = 23;
    /// A version comment that is code to some servers and not to others, and was read as code.
    VERSION_COMMENT_DISPUTED = 24;
}

impl ScanFlags {
    /// Says whether all of `other` is in.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Says whether some of `other` is in.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The facts that a plan may depend on: not what stands in literals, not what follows the statement.
    pub(in crate::sql) fn planned(self) -> u32 {
        self.0 & !(Self::NON_ASCII.0 | Self::MORE.0)
    }

    pub(in crate::sql) fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// The names of what is in.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| *name)
    }
}
