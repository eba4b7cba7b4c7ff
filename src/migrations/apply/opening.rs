//! How a feed begins: a replay may meet our own RENAME.

/// Whether a RENAME of the table may still be the one by which its tables were exchanged. A replay begins in
/// front of that where the position could not be read behind it; nothing of the table's comes before it, for
/// it was locked then. Any later RENAME is somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Nothing of the table's has come yet.
    MayRename,
    /// Something has, or there is nothing to replay.
    Over,
}

impl Opening {
    /// Rows of the table came, or another change of it.
    pub(crate) fn pass(&mut self) {
        *self = Self::Over;
    }

    /// A RENAME of the table came; says whether it is our own.
    pub(crate) fn takes_rename(&mut self) -> bool {
        std::mem::replace(self, Self::Over) == Self::MayRename
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_first_change_of_a_replay_is_our_own_rename() {
        let mut replay = Opening::MayRename;
        assert!(replay.takes_rename());
        assert!(!replay.takes_rename(), "a second one is not");
        let mut replay = Opening::MayRename;
        replay.pass();
        assert!(!replay.takes_rename(), "behind rows of the table it is not");
        assert!(!Opening::Over.takes_rename());
    }
}
