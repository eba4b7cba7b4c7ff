//! The state of a workspace.

use std::fmt;

/// What a workspace accepts.
///
/// Admin commands move a workspace between any two states; a change of shard needs `Moving` or `Suspended`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkspaceState {
    /// Reads and writes.
    Active,
    /// Reads only.
    ReadOnly,
    /// Reads only, and its shard is about to change.
    Moving,
    /// Nothing.
    Suspended,
}

impl WorkspaceState {
    /// Every state, in order.
    pub const ALL: [Self; 4] = [Self::Active, Self::ReadOnly, Self::Moving, Self::Suspended];

    /// The name in commands, files and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::ReadOnly => "read_only",
            Self::Moving => "moving",
            Self::Suspended => "suspended",
        }
    }

    /// Reads a name; case does not matter, `-` stands for `_`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase().replace('-', "_");
        Self::ALL.into_iter().find(|state| state.name() == text)
    }

    /// The stored form.
    pub(super) const fn number(self) -> u8 {
        self as u8
    }

    /// Reads the stored form.
    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for WorkspaceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
