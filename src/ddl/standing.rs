//! Who a change of a table could hurt: what no definition shows.

use crate::sql::TableDefinition;

/// How a table stands with the code that runs and the rows that it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It may hold rows, and code may use it: what is assumed where nothing is known.
    #[default]
    InUse,
    /// It holds no rows, but had some: nothing can be lost. Code may use it.
    Empty,
    /// Whoever asks made it a moment ago: no other code knows it. It may hold rows.
    Young,
    /// It holds no rows and never had any: nobody uses it.
    Unused,
}

impl Standing {
    /// From what is known of a table. Without rows, a counter that still stands at its start tells that there
    /// never were any.
    pub fn of(has_rows: bool, is_young: bool, definition: &TableDefinition) -> Self {
        match (has_rows, is_young) {
            (true, true) => Self::Young,
            (true, false) => Self::InUse,
            (false, is_young) if is_young || has_never_counted(definition) => Self::Unused,
            (false, _) => Self::Empty,
        }
    }

    /// Values or rows may be there to be lost.
    pub fn has_rows(self) -> bool {
        matches!(self, Self::InUse | Self::Young)
    }

    /// Code may use it.
    pub fn is_used(self) -> bool {
        matches!(self, Self::InUse | Self::Empty)
    }

    /// How several tables of one statement stand together: as the one that can be hurt most.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self.has_rows() || other.has_rows(), self.is_used() || other.is_used()) {
            (true, true) => Self::InUse,
            (false, true) => Self::Empty,
            (true, false) => Self::Young,
            (false, false) => Self::Unused,
        }
    }

    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            Self::InUse => "in_use",
            Self::Empty => "empty",
            Self::Young => "young",
            Self::Unused => "unused",
        }
    }
}

fn has_never_counted(definition: &TableDefinition) -> bool {
    let counts = definition.columns.iter().any(|column| column.auto_increment);
    let counter = definition.options.iter().find(|option| option.name == "AUTO_INCREMENT");
    counts && counter.is_none_or(|option| option.value == "0" || option.value == "1")
}

#[cfg(test)]
mod tests {
    use super::Standing::{Empty, InUse, Unused, Young};

    #[test]
    fn together_they_stand_as_the_one_that_can_be_hurt_most() {
        for standing in [InUse, Empty, Young, Unused] {
            assert_eq!(standing.and(standing), standing);
            assert_eq!(standing.and(Unused), standing);
            assert_eq!(InUse.and(standing), InUse);
        }
        // Rows in one, code that knows the other: both can be hurt.
        assert_eq!(Young.and(Empty), InUse);
    }
}
