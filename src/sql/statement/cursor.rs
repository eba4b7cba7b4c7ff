//! Walking the tokens of a statement that is not a query.

use super::{Name, ObjectName, Unread, UnreadReason};
use crate::sql::lexer::{Literal, LiteralKind, SqlMode, Token, TokenKind, unquote};
use crate::sql::query::{collect, unquote_name};
use crate::sql::span::Span;

/// The tokens of one statement and a place in them.
pub(super) struct Cursor<'a> {
    pub(super) text: &'a [u8],
    pub(super) mode: SqlMode,
    tokens: Vec<Token>,
    at: usize,
    end: Token,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8], body: Span, mode: SqlMode) -> Result<Self, Unread> {
        let tokens = collect(text, body, mode)?;
        let end = Token { kind: TokenKind::End, span: Span { start: body.end, end: body.end } };
        Ok(Self { text, mode, tokens, at: 0, end })
    }

    pub(super) fn peek(&self) -> Token {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Token {
        self.tokens.get(self.at + ahead).copied().unwrap_or(self.end)
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek();
        self.at = (self.at + 1).min(self.tokens.len());
        token
    }

    pub(super) fn is_done(&self) -> bool {
        self.peek().kind == TokenKind::End
    }

    /// Where the last token stands that was taken.
    pub(super) fn last_span(&self) -> Span {
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        last.map_or(Span { start: self.peek().span.start, end: self.peek().span.start }, |token| token.span)
    }

    /// Says whether the last token taken is this word.
    pub(super) fn word_before(&self, word: &str) -> bool {
        self.last_span().of(self.text).eq_ignore_ascii_case(word.as_bytes())
    }

    pub(super) fn expect_kind(&mut self, kind: TokenKind, what: &'static str) -> Result<(), Unread> {
        if self.eat_kind(kind) { Ok(()) } else { self.fail(what) }
    }

    /// A place to come back to.
    pub(super) fn mark(&self) -> usize {
        self.at
    }

    pub(super) fn back_to(&mut self, mark: usize) {
        self.at = mark;
    }

    /// The tokens between two marks.
    pub(super) fn between(&self, from: usize, to: usize) -> &[Token] {
        self.tokens.get(from..to).unwrap_or_default()
    }

    pub(super) fn word_at(&self, ahead: usize, word: &str) -> bool {
        let token = self.peek_at(ahead);
        token.kind == TokenKind::Word && token.span.of(self.text).eq_ignore_ascii_case(word.as_bytes())
    }

    pub(super) fn is(&self, word: &str) -> bool {
        self.word_at(0, word)
    }

    pub(super) fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    pub(super) fn is_kind(&self, kind: TokenKind) -> bool {
        self.peek().kind == kind
    }

    /// Takes the words if all of them follow.
    pub(super) fn eat_words(&mut self, words: &[&str]) -> bool {
        let all = words.iter().enumerate().all(|(ahead, word)| self.word_at(ahead, word));
        if all {
            self.at += words.len();
        }
        all
    }

    pub(super) fn eat(&mut self, word: &str) -> bool {
        self.eat_words(&[word])
    }

    pub(super) fn eat_any(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.eat(word))
    }

    pub(super) fn eat_kind(&mut self, kind: TokenKind) -> bool {
        let is = self.is_kind(kind);
        if is {
            self.at += 1;
        }
        is
    }

    pub(super) fn is_operator(&self, operator: &str) -> bool {
        self.is_kind(TokenKind::Operator) && self.peek().span.of(self.text) == operator.as_bytes()
    }

    pub(super) fn eat_operator(&mut self, operator: &str) -> bool {
        let is = self.is_operator(operator);
        if is {
            self.at += 1;
        }
        is
    }

    /// `=` or `:=`.
    pub(super) fn eat_equals(&mut self) -> bool {
        self.eat_operator("=") || self.eat_operator(":=")
    }

    pub(super) fn fail<T>(&self, what: &'static str) -> Result<T, Unread> {
        Err(Unread { at: self.peek().span.start as usize, why: UnreadReason::Form(what) })
    }

    pub(super) fn expect(&mut self, word: &str, what: &'static str) -> Result<(), Unread> {
        if self.eat(word) { Ok(()) } else { self.fail(what) }
    }

    /// The end of the statement.
    pub(super) fn expect_end(&self) -> Result<(), Unread> {
        if self.is_done() { Ok(()) } else { self.fail("something behind the statement") }
    }

    /// A name, quoted or not.
    pub(super) fn name(&mut self) -> Result<Name, Unread> {
        let token = self.peek();
        match self.name_of(token) {
            Some(name) => {
                self.at += 1;
                Ok(name)
            }
            None => self.fail("a name was expected"),
        }
    }

    /// A name or a string.
    pub(super) fn name_or_text(&mut self) -> Result<Name, Unread> {
        if !self.is_kind(TokenKind::String) {
            return self.name();
        }
        let token = self.next();
        let text = String::from_utf8_lossy(&unquote(token.span.of(self.text), self.mode)).into_owned();
        Ok(Name { text, span: token.span })
    }

    fn name_of(&self, token: Token) -> Option<Name> {
        let bytes = token.span.of(self.text);
        let text = match token.kind {
            TokenKind::Word | TokenKind::Name => String::from_utf8_lossy(bytes).into_owned(),
            TokenKind::QuotedName => unquote_name(bytes),
            _ => return None,
        };
        Some(Name { text, span: token.span })
    }

    /// `name` or `qualifier.name`.
    pub(super) fn object(&mut self) -> Result<ObjectName, Unread> {
        let first = self.name()?;
        if !self.eat_kind(TokenKind::Dot) {
            return Ok(ObjectName { qualifier: None, name: first });
        }
        Ok(ObjectName { qualifier: Some(first), name: self.name()? })
    }

    /// Names separated by commas.
    pub(super) fn objects(&mut self) -> Result<Vec<ObjectName>, Unread> {
        let mut objects = vec![self.object()?];
        while self.eat_kind(TokenKind::Comma) {
            objects.push(self.object()?);
        }
        Ok(objects)
    }

    /// A user variable's name, without `@`.
    pub(super) fn user_variable(&mut self) -> Result<Name, Unread> {
        let token = self.peek();
        if token.kind != TokenKind::UserVariable {
            return self.fail("a user variable was expected");
        }
        self.at += 1;
        let bytes = token.span.of(self.text).get(1..).unwrap_or_default();
        let text = match bytes.first() {
            Some(b'`') => unquote_name(bytes),
            Some(b'\'' | b'"') => String::from_utf8_lossy(&unquote(bytes, self.mode)).into_owned(),
            _ => String::from_utf8_lossy(bytes).into_owned(),
        };
        Ok(Name { text, span: token.span })
    }

    /// An unsigned number.
    pub(super) fn number(&mut self) -> Result<u64, Unread> {
        let token = self.peek();
        let value = std::str::from_utf8(token.span.of(self.text)).ok().and_then(|text| text.parse().ok());
        match value {
            Some(value) if token.kind == TokenKind::Integer => {
                self.at += 1;
                Ok(value)
            }
            _ => self.fail("a number was expected"),
        }
    }

    /// A string's value and place.
    pub(super) fn string(&mut self) -> Result<(Vec<u8>, Span), Unread> {
        let token = self.peek();
        if token.kind != TokenKind::String {
            return self.fail("a string was expected");
        }
        self.at += 1;
        let literal =
            Literal { kind: LiteralKind::String, span: token.span, introducer: 0, introducer_distance: 0 };
        Ok((literal.bytes(self.text, self.mode).into_owned(), token.span))
    }

    /// An account: `user`, `'user'@'host'`, CURRENT_USER.
    pub(super) fn skip_account(&mut self) {
        self.next();
        if self.is_kind(TokenKind::UserVariable) {
            self.next();
        }
        self.skip_parentheses();
    }

    /// Takes a parenthesis and what is in it, if one follows.
    pub(super) fn skip_parentheses(&mut self) -> bool {
        if !self.is_kind(TokenKind::Open) {
            return false;
        }
        let mut depth = 0usize;
        while !self.is_done() {
            match self.next().kind {
                TokenKind::Open => depth += 1,
                TokenKind::Close => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        true
    }

    /// Takes everything up to a token outside of parentheses for which `stop` holds, or to the end; its span.
    pub(super) fn skip_until(&mut self, stop: impl Fn(&Self) -> bool) -> Span {
        let start = self.peek().span.start;
        let mut end = start;
        while !self.is_done() && !stop(self) {
            let before = self.at;
            if !self.skip_parentheses() {
                self.next();
            }
            if let Some(last) = self.tokens.get(before.max(self.at - 1)) {
                end = last.span.end;
            }
        }
        Span { start, end }
    }

    /// Everything to the end of the statement.
    pub(super) fn rest(&mut self) -> Span {
        let span = Span { start: self.peek().span.start, end: self.end.span.end };
        self.at = self.tokens.len();
        span
    }
}
