//! Collapsing lists: `(?, ?, ?)` is `(…)`, and only the first row of VALUES counts.
//!
//! One machine serves the digest hash and the text shown to people, so the two cannot disagree.

use crate::sql::lexer::TokenKind;
use crate::sql::lexer::keywords::Tag;

/// What is left of a token for the digest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Piece {
    /// The token as it is.
    Token,
    /// A value, shown as `?`.
    Value,
    /// The value before was the first of a list, shown as `, …`.
    List,
    /// The row before was the first of several, shown as `, …`.
    Rows,
}

/// A token as the machine sees it.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) kind: TokenKind,
    pub(super) tag: Option<Tag>,
    /// The byte of a one-byte token, else 0.
    pub(super) byte: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Other,
    Value,
    /// A value whose list was already marked.
    Listed,
}

/// Decides, token by token, what of it stays.
pub(super) struct Collapse {
    last: Last,
    /// A comma waits: the next token decides whether it is part of a list of values.
    comma: bool,
    /// A sign waits: before a value it is part of the value.
    sign: bool,
    /// IS or NOT stands before: NULL is then no value.
    after_is: bool,
    depth: u32,
    /// Depth of the VALUES whose rows are collapsed, and whether the first row is over.
    rows: Option<(u32, RowState)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum RowState {
    BeforeFirst,
    InFirst,
    AfterFirst,
    AfterComma,
    Muted,
}

impl Collapse {
    pub(super) fn new() -> Self {
        Self { last: Last::Other, comma: false, sign: false, after_is: false, depth: 0, rows: None }
    }

    /// Feeds one token; `emit` gets what stays, in order. The token itself comes as [`Piece::Token`]; a comma
    /// or sign that had waited comes before it as `(Piece::Token, Some(byte))`.
    #[inline]
    pub(super) fn feed(&mut self, seen: Seen, mut emit: impl FnMut(Piece, Option<u8>)) {
        if self.is_muted(seen, &mut emit) {
            return;
        }
        if self.is_value(seen) {
            self.feed_value(&mut emit);
        } else if seen.kind == TokenKind::Comma && self.last != Last::Other && !self.sign {
            self.flush(&mut emit);
            self.comma = true;
        } else if matches!(seen.byte, b'-' | b'+') && (self.comma || self.last == Last::Other) && !self.sign {
            self.sign_waits(seen.byte, &mut emit);
        } else {
            self.flush(&mut emit);
            self.last = Last::Other;
            emit(Piece::Token, None);
        }
        self.after_is = matches!(seen.tag, Some(Tag::Is | Tag::Not));
    }

    /// Ends the statement: what waits is written.
    pub(super) fn finish(&mut self, mut emit: impl FnMut(Piece, Option<u8>)) {
        self.flush(&mut emit);
    }

    fn is_value(&self, seen: Seen) -> bool {
        seen.kind.is_literal()
            || matches!(seen.kind, TokenKind::Placeholder | TokenKind::NullEscape)
            || (matches!(seen.tag, Some(Tag::Null | Tag::True | Tag::False)) && !self.after_is)
    }

    fn feed_value(&mut self, emit: &mut impl FnMut(Piece, Option<u8>)) {
        self.sign = false;
        match (self.comma, self.last) {
            (true, Last::Value) => {
                emit(Piece::List, None);
                self.last = Last::Listed;
            }
            (true, Last::Listed) => {}
            _ => {
                emit(Piece::Value, None);
                self.last = Last::Value;
            }
        }
        self.comma = false;
    }

    /// A sign is dropped before a value; before anything else it is written by [`Self::flush`].
    fn sign_waits(&mut self, _byte: u8, _emit: &mut impl FnMut(Piece, Option<u8>)) {
        self.sign = true;
    }

    fn flush(&mut self, emit: &mut impl FnMut(Piece, Option<u8>)) {
        if std::mem::take(&mut self.comma) {
            emit(Piece::Token, Some(b','));
        }
        if std::mem::take(&mut self.sign) {
            emit(Piece::Token, Some(b'-'));
        }
    }

    /// Follows the rows of VALUES; true for a token of a row behind the first.
    #[inline]
    fn is_muted(&mut self, seen: Seen, emit: &mut impl FnMut(Piece, Option<u8>)) -> bool {
        match seen.kind {
            TokenKind::Open => self.depth += 1,
            TokenKind::Close => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        let Some((base, state)) = self.rows else {
            if matches!(seen.tag, Some(Tag::Values | Tag::Value)) {
                self.rows = Some((self.depth, RowState::BeforeFirst));
            }
            return false;
        };
        let next = match (state, seen.kind) {
            (RowState::BeforeFirst, TokenKind::Open) if self.depth == base + 1 => RowState::InFirst,
            (RowState::BeforeFirst, TokenKind::Word) => RowState::BeforeFirst,
            (RowState::InFirst, TokenKind::Close) if self.depth == base => RowState::AfterFirst,
            (RowState::InFirst, _) => RowState::InFirst,
            (RowState::AfterFirst, TokenKind::Comma) if self.depth == base => {
                self.flush(emit);
                emit(Piece::Rows, None);
                self.last = Last::Other;
                RowState::AfterComma
            }
            (RowState::AfterComma | RowState::Muted, TokenKind::Close) if self.depth == base => {
                RowState::Muted
            }
            (RowState::AfterComma | RowState::Muted, TokenKind::Open) => RowState::AfterComma,
            (RowState::AfterComma, _) => RowState::AfterComma,
            (RowState::Muted, TokenKind::Comma) => RowState::AfterComma,
            _ => {
                self.rows = None;
                return false;
            }
        };
        self.rows = Some((base, next));
        matches!(next, RowState::AfterComma | RowState::Muted)
    }
}
