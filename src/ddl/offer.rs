//! What a server can do with a clause, and what it costs.

use crate::sql::ServerVersion;

/// What others of the table may do while it is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lock {
    /// Read and write.
    None,
    /// Read.
    Shared,
    /// Nothing.
    Exclusive,
}

impl Lock {
    /// As LOCK= has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Shared => "SHARED",
            Self::Exclusive => "EXCLUSIVE",
        }
    }
}

/// What is done when the server changes the table in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// The definition alone.
    Metadata,
    /// An index is built, or rows are read.
    Build,
    /// Every row is written anew.
    Rebuild,
}

/// The class of a change, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The definition alone is changed.
    Metadata,
    /// In place, without writing every row.
    InPlace,
    /// In place, every row written anew.
    Rebuild,
    /// The server would copy the table and block writes meanwhile.
    Copy,
}

impl Class {
    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::InPlace => "in_place",
            Self::Rebuild => "rebuild",
            Self::Copy => "copy",
        }
    }
}

/// What the server can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// ALGORITHM=INSTANT.
    pub instant: bool,
    /// ALGORITHM=INPLACE, with `lock` and `work`; else only COPY.
    pub in_place: bool,
    /// The lock it takes when not instant.
    pub lock: Lock,
    /// What it does when not instant.
    pub work: Work,
}

impl Offer {
    /// Instant, and in place as well.
    pub const INSTANT: Self = Self { instant: true, in_place: true, lock: Lock::None, work: Work::Metadata };
    /// Instant; when another clause prevents that, the table is rebuilt in place.
    pub const INSTANT_OR_REBUILD: Self = Self { work: Work::Rebuild, ..Self::INSTANT };
    /// Instant; when another clause prevents that, the table is copied.
    pub const INSTANT_OR_COPY: Self =
        Self { instant: true, in_place: false, lock: Lock::Shared, work: Work::Rebuild };
    /// In place, the definition alone.
    pub const METADATA: Self = Self { instant: false, ..Self::INSTANT };
    /// In place, writes go on, an index is built.
    pub const BUILD: Self = Self { work: Work::Build, ..Self::METADATA };
    /// In place, an index is built, writes wait.
    pub const BUILD_LOCKED: Self = Self { lock: Lock::Shared, ..Self::BUILD };
    /// In place, writes go on, every row is written anew.
    pub const REBUILD: Self = Self { work: Work::Rebuild, ..Self::METADATA };
    /// In place, writes wait, every row is written anew.
    pub const REBUILD_LOCKED: Self = Self { lock: Lock::Shared, ..Self::REBUILD };
    /// The server copies; writes wait.
    pub const COPY: Self = Self { in_place: false, ..Self::REBUILD_LOCKED };

    /// Both together: never milder than either.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            instant: self.instant && other.instant,
            in_place: self.in_place && other.in_place,
            lock: self.lock.max(other.lock),
            work: self.work.max(other.work),
        }
    }

    /// The class.
    pub fn class(self) -> Class {
        match (self.instant, self.in_place, self.work) {
            (true, _, _) | (false, true, Work::Metadata) => Class::Metadata,
            (false, true, Work::Build) => Class::InPlace,
            (false, true, Work::Rebuild) => Class::Rebuild,
            (false, false, _) => Class::Copy,
        }
    }

    /// Says whether writes wait while the server does it.
    pub fn blocks_writes(self) -> bool {
        !self.instant && (!self.in_place || self.lock > Lock::None)
    }

    /// Says whether it may be sent to a server as it is, with an assertion.
    pub fn is_harmless(self) -> bool {
        !self.blocks_writes() && (self.instant || self.work < Work::Rebuild)
    }

    /// ALGORITHM and LOCK that this server accepts for it. MySQL takes no LOCK beside INSTANT.
    pub fn assertion(self, server: ServerVersion) -> (&'static str, Option<&'static str>) {
        match (self.instant, self.in_place, self.work) {
            (true, _, _) if !server.mariadb || self.lock == Lock::Exclusive => ("INSTANT", None),
            (true, _, _) => ("INSTANT", Some("NONE")),
            // MariaDB calls an index that blocks writes while it is built no NOCOPY.
            (false, true, work) if server.mariadb && work < Work::Rebuild && self.lock == Lock::None => {
                ("NOCOPY", Some("NONE"))
            }
            (false, true, _) => ("INPLACE", Some(self.lock.word())),
            (false, false, _) => ("COPY", Some("SHARED")),
        }
    }
}
