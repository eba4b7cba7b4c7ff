//! One pass over a statement's bytes: kind, shape, literals, comments, flags. Another for the digest, which
//! is made only with a plan.
//!
//! Owns what can be said of a statement without parsing it. Nothing is allocated once the vectors of a
//! [`Scan`] have grown to what the session's statements need.

mod digest;
mod flags;
mod hash;
mod kind;
mod normalize;
mod state;
mod tags;

pub use flags::ScanFlags;
pub use kind::StatementKind;
pub use normalize::{digest, normalize};
pub use tags::{Directives, TagError, directives, workspace_tag};

use super::lexer::{Literal, SqlMode};
use super::span::Span;

/// Most literals that are recorded, and most placeholders.
pub const LITERALS_MAX: usize = 1 << 20;
/// Most leading or trailing comments that are recorded, each.
pub const COMMENTS_MAX: usize = 16;
/// Vectors that grew beyond this many entries are given back before the next scan.
const KEPT_ENTRIES_MAX: usize = 4096;

/// What one pass over a statement finds; kept by the session and filled again for every statement.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// What the statement does.
    pub kind: StatementKind,
    /// Key of the plan cache: equal for two texts only when they are the same tokens except for the values of
    /// literals. Keyed at random per process. Strings that may be aliases, and all literals of statements
    /// that are no queries ([`StatementKind::is_query`]), are part of it.
    pub shape: u128,
    /// The literals in the order of the text.
    pub literals: Vec<Literal>,
    /// Offsets of `?`, in order.
    pub placeholders: Vec<u32>,
    /// Plain block comments before the first and behind the last token, in order.
    pub comments: Vec<Span>,
    /// How many of `comments` stand before the first token.
    pub leading_comments: usize,
    /// From the first to the last token, without the semicolon.
    pub body: Span,
    /// Where the next statement of the text starts: behind the semicolon; the text's length when there is
    /// none.
    pub end: usize,
    /// What it uses.
    pub flags: ScanFlags,
}

impl Scan {
    /// The literal that starts at `offset`, as an index into [`Self::literals`].
    pub fn literal_at(&self, offset: usize) -> Option<usize> {
        self.literals.binary_search_by_key(&offset, |literal| literal.span.start as usize).ok()
    }

    /// The placeholder at `offset`, as an index from 0.
    pub fn placeholder_at(&self, offset: usize) -> Option<usize> {
        self.placeholders.binary_search_by_key(&offset, |at| *at as usize).ok()
    }

    fn clear(&mut self) {
        fn empty<T>(entries: &mut Vec<T>) {
            entries.clear();
            if entries.capacity() > KEPT_ENTRIES_MAX {
                *entries = Vec::new();
            }
        }
        empty(&mut self.literals);
        empty(&mut self.placeholders);
        self.comments.clear();
        self.leading_comments = 0;
        self.flags = ScanFlags::default();
    }
}

/// Scans the first statement of `text`; never fails. What is not SQL has the kind [`StatementKind::Unknown`].
pub fn scan(text: &[u8], mode: SqlMode, into: &mut Scan) {
    into.clear();
    state::Scanner::new(text, mode, into).run();
}

#[cfg(test)]
mod tests;
