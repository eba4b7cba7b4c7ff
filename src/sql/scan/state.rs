//! The scanner's loop and what it remembers between tokens.

use super::hash::{ShapeHash, each_word};
use super::kind::classify;
use super::{COMMENTS_MAX, LITERALS_MAX, Scan, ScanFlags, StatementKind};
use crate::sql::lexer::keywords::{Tag, lookup};
use crate::sql::lexer::{Lexer, Literal, LiteralKind, SqlMode, Token, TokenKind};
use crate::sql::span::Span;

pub(super) struct Scanner<'a> {
    text: &'a [u8],
    lexer: Lexer<'a>,
    out: &'a mut Scan,
    shape: ShapeHash,
    /// Tokens so far.
    count: usize,
    /// The first two words; parentheses before them do not count.
    first: Span,
    second: Span,
    /// The kind as far as the first word tells; decides whether literals are part of the shape.
    kind: Option<StatementKind>,
    previous: Token,
    previous_tag: Option<Tag>,
    depth: u32,
    /// Waiting for the verb of a WITH statement.
    with: bool,
    /// CREATE or ALTER of something whose body holds `;`, or a compound statement.
    body: bool,
    /// What CREATE or ALTER is about has been said.
    object_known: bool,
    /// A version comment opened before the first token: the body starts with its frame.
    framed: bool,
    /// Open BEGIN and CASE inside such a body.
    blocks: u32,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a [u8], mode: SqlMode, out: &'a mut Scan) -> Self {
        Self {
            text,
            lexer: Lexer::new(text, mode),
            out,
            shape: ShapeHash::new(),
            count: 0,
            first: Span::default(),
            second: Span::default(),
            kind: None,
            previous: Token { kind: TokenKind::End, span: Span::default() },
            previous_tag: None,
            depth: 0,
            with: false,
            body: false,
            object_known: false,
            framed: false,
            blocks: 0,
        }
    }

    pub(super) fn run(mut self) {
        let end = loop {
            let token = self.lexer.next_with_comments();
            match token.kind {
                TokenKind::End => break self.text.len(),
                kind if kind.is_comment() => self.take_comment(token),
                TokenKind::Semicolon if self.blocks == 0 => {
                    if let Some(end) = self.end_at_semicolon(token) {
                        break end;
                    }
                }
                _ => self.take(token),
            }
        };
        self.finish(end);
    }

    /// Comments behind the last semicolon belong to the statement before it; another token ends the
    /// statement.
    fn end_at_semicolon(&mut self, semicolon: Token) -> Option<usize> {
        let end = semicolon.span.end as usize;
        if self.count == 0 {
            return Some(end).inspect(|_| self.look_for_more());
        }
        let comments = self.out.comments.len();
        loop {
            let token = self.lexer.next_with_comments();
            match token.kind {
                TokenKind::End => return Some(self.text.len()),
                TokenKind::Semicolon => {}
                TokenKind::VersionOpen | TokenKind::VersionClose | TokenKind::VersionComment => {}
                kind if kind.is_comment() => self.take_comment(token),
                _ => {
                    self.out.comments.truncate(comments);
                    self.out.flags.insert(ScanFlags::MORE);
                    return Some(end);
                }
            }
        }
    }

    fn look_for_more(&mut self) {
        if self.lexer.next_token().kind != TokenKind::End {
            self.out.flags.insert(ScanFlags::MORE);
        }
    }

    fn take_comment(&mut self, token: Token) {
        let flag = match token.kind {
            TokenKind::Comment => {
                let before = if self.count == 0 { 0 } else { self.out.leading_comments };
                if self.out.comments.len() - before < COMMENTS_MAX {
                    self.out.comments.push(token.span);
                } else {
                    self.out.flags.insert(ScanFlags::OVERFLOW);
                }
                return;
            }
            TokenKind::Hint => ScanFlags::HINT,
            TokenKind::VersionOpen => {
                if self.count == 0 && !self.framed {
                    self.framed = true;
                    self.out.body.start = token.span.start;
                }
                if is_disputed(token.span.of(self.text)) {
                    self.out.flags.insert(ScanFlags::VERSION_COMMENT_DISPUTED);
                }
                ScanFlags::VERSION_COMMENT
            }
            TokenKind::VersionClose => {
                self.out.body.end = token.span.end;
                return;
            }
            TokenKind::VersionComment => ScanFlags::VERSION_COMMENT_SKIPPED,
            _ => return,
        };
        self.out.flags.insert(flag);
    }

    fn take(&mut self, token: Token) {
        let bytes = token.span.of(self.text);
        if self.count == 0 {
            self.out.leading_comments = self.out.comments.len();
            if !self.framed {
                self.out.body.start = token.span.start;
            }
        } else {
            self.out.comments.truncate(self.out.leading_comments);
        }
        self.out.body.end = token.span.end;
        self.count += 1;
        let tag = if token.kind == TokenKind::Word { lookup(bytes) } else { None };
        self.note_word(token, tag);
        self.note_token(token);
        self.hash(token, tag, bytes);
        self.previous = token;
        self.previous_tag = tag;
    }

    /// The first words give the kind.
    fn note_word(&mut self, token: Token, tag: Option<Tag>) {
        if token.kind != TokenKind::Word {
            if self.first.is_empty() && token.kind != TokenKind::Open {
                self.first = token.span;
            }
            return;
        }
        if self.first.is_empty() {
            self.first = token.span;
            let kind = tag.and_then(verb_of);
            self.kind = Some(kind.unwrap_or_else(|| classify(token.span.of(self.text), b"")));
            self.with = tag == Some(Tag::With);
            self.body = self.kind == Some(StatementKind::Compound);
            return;
        }
        if self.second.is_empty() {
            self.second = token.span;
            if self.kind == Some(StatementKind::Begin) && tag == Some(Tag::Not) {
                self.body = true;
                self.blocks = 1;
            }
        }
        self.note_object(token, tag);
        let Some(tag) = tag else { return };
        if self.with && self.depth == 0 {
            self.note_with_verb(tag);
        }
        if self.body {
            self.note_block(tag);
        }
        self.note_tag(tag);
    }

    /// The first word behind CREATE or ALTER that is no option says what it is about, and so whether it has a
    /// body. Anywhere else the same words are names.
    fn note_object(&mut self, token: Token, tag: Option<Tag>) {
        if self.object_known || !matches!(self.kind, Some(StatementKind::Create | StatementKind::Alter)) {
            return;
        }
        let word = token.span.of(self.text);
        let is = |known: &&str| word.eq_ignore_ascii_case(known.as_bytes());
        let is_definer = self.previous.kind == TokenKind::Operator;
        if is_definer || ["OR", "REPLACE", "DEFINER", "AGGREGATE"].iter().any(is) {
            return;
        }
        self.object_known = true;
        if tag == Some(Tag::Body) {
            self.blocks = u32::from(is(&"PACKAGE") && self.kind == Some(StatementKind::Create));
            self.body = true;
        }
    }

    fn note_with_verb(&mut self, tag: Tag) {
        let Some(kind) = verb_of(tag) else { return };
        self.with = false;
        self.kind = Some(kind);
        self.out.flags.insert(ScanFlags::WITH);
    }

    fn note_block(&mut self, tag: Tag) {
        match tag {
            Tag::EndOf if self.previous_tag == Some(Tag::End) => self.blocks += 1,
            Tag::Begin => self.blocks += 1,
            Tag::Case if self.previous_tag != Some(Tag::End) => self.blocks += 1,
            Tag::End => self.blocks = self.blocks.saturating_sub(1),
            _ => {}
        }
    }

    fn note_tag(&mut self, tag: Tag) {
        let previous = self.previous_tag;
        let flag = match tag {
            Tag::Update | Tag::Share if previous == Some(Tag::For) => ScanFlags::LOCKING_READ,
            Tag::In if previous == Some(Tag::Lock) => ScanFlags::LOCKING_READ,
            Tag::OutFile | Tag::DumpFile if previous == Some(Tag::Into) => ScanFlags::INTO_FILE,
            Tag::CalcFoundRows => ScanFlags::CALC_FOUND_ROWS,
            Tag::Temporary => ScanFlags::TEMPORARY,
            Tag::Returning => ScanFlags::RETURNING,
            Tag::With => ScanFlags::WITH,
            _ => return,
        };
        self.out.flags.insert(flag);
    }

    fn note_token(&mut self, token: Token) {
        let flag = match token.kind {
            TokenKind::Open => {
                self.depth += 1;
                match self.called_tag() {
                    Some(Tag::LockFunction) => ScanFlags::LOCK_FUNCTION,
                    Some(Tag::SessionFunction) => ScanFlags::SESSION_FUNCTION,
                    Some(Tag::DatabaseFunction) => ScanFlags::DATABASE_FUNCTION,
                    _ => return,
                }
            }
            TokenKind::Close => {
                self.depth = self.depth.saturating_sub(1);
                return;
            }
            TokenKind::Dot => ScanFlags::QUALIFIER,
            TokenKind::UserVariable if self.previous_tag == Some(Tag::Into) => {
                ScanFlags::INTO_VARIABLE.union(ScanFlags::USER_VARIABLE)
            }
            TokenKind::UserVariable => ScanFlags::USER_VARIABLE,
            TokenKind::SystemVariable => ScanFlags::SYSTEM_VARIABLE,
            TokenKind::Introducer => ScanFlags::INTRODUCER,
            TokenKind::Invalid => ScanFlags::INVALID,
            TokenKind::Placeholder => {
                if self.out.placeholders.len() < LITERALS_MAX {
                    self.out.placeholders.push(token.span.start);
                    ScanFlags::PLACEHOLDER
                } else {
                    ScanFlags::OVERFLOW
                }
            }
            TokenKind::Operator if token.span.of(self.text) == b":=" => ScanFlags::ASSIGNMENT,
            kind if kind.is_literal() => self.note_literal(token),
            _ => return,
        };
        self.out.flags.insert(flag);
    }

    /// The tag of the name in front of a parenthesis: servers take their own functions in quotes too.
    fn called_tag(&self) -> Option<Tag> {
        if self.previous.kind != TokenKind::QuotedName {
            return self.previous_tag;
        }
        let quoted = self.previous.span.of(self.text);
        lookup(quoted.get(1..quoted.len() - 1).unwrap_or_default())
    }

    fn note_literal(&mut self, token: Token) -> ScanFlags {
        if self.out.literals.len() >= LITERALS_MAX {
            return ScanFlags::OVERFLOW;
        }
        let introduced = self.previous.kind == TokenKind::Introducer;
        let distance = token.span.start - self.previous.span.start;
        let (introducer, introducer_distance) = match u16::try_from(distance) {
            Ok(distance) if introduced => (self.previous.span.len() as u8, distance),
            Err(_) if introduced => return ScanFlags::OVERFLOW,
            _ => (0, 0),
        };
        let kind = literal_kind(token.kind);
        self.out.literals.push(Literal { kind, span: token.span, introducer, introducer_distance });
        ScanFlags::default()
    }

    fn hash(&mut self, token: Token, tag: Option<Tag>, bytes: &[u8]) {
        let hidden = token.kind.is_literal() && self.is_value_hidden(token);
        let fold = tag.is_some_and(Tag::is_reserved);
        if hidden {
            self.shape.word(HIDDEN_VALUE);
        } else {
            let shape = &mut self.shape;
            shape.word((token.kind as u64) << 32 | bytes.len() as u64);
            each_word(bytes, fold, |word| shape.word(word));
        }
    }

    /// A value of a query is left out of the shape, except a string that may be an alias.
    fn is_value_hidden(&self, token: Token) -> bool {
        if !self.kind.is_some_and(StatementKind::is_query) {
            return false;
        }
        if token.kind != TokenKind::String {
            return true;
        }
        match self.previous.kind {
            TokenKind::Word => !self.previous_tag.is_none_or(Tag::may_precede_alias),
            TokenKind::Introducer | TokenKind::Open | TokenKind::Comma => true,
            TokenKind::Operator => self.previous.span.of(self.text) != b"*",
            _ => false,
        }
    }

    fn finish(mut self, end: usize) {
        if self.lexer.is_unterminated() {
            self.out.flags.insert(ScanFlags::INVALID);
        }
        self.out.end = end;
        self.shape.word(u64::from(self.out.flags.planned()));
        self.out.shape = self.shape.finish();
        if self.count == 0 {
            self.out.leading_comments = self.out.comments.len();
            self.out.body = Span::new(end, end);
            self.out.kind = StatementKind::Empty;
            return;
        }
        self.out.kind = match self.kind {
            Some(kind) if kind.is_query() => kind,
            _ => classify(self.first.of(self.text), self.second.of(self.text)),
        };
        if !self.out.body.of(self.text).is_ascii() {
            self.out.flags.insert(ScanFlags::NON_ASCII);
        }
    }
}

/// The kind of a query by its verb.
fn verb_of(tag: Tag) -> Option<StatementKind> {
    Some(match tag {
        Tag::Select => StatementKind::Select,
        Tag::Update => StatementKind::Update,
        Tag::Delete => StatementKind::Delete,
        Tag::Insert => StatementKind::Insert,
        Tag::Replace => StatementKind::Replace,
        Tag::Values => StatementKind::Values,
        Tag::Table => StatementKind::Table,
        _ => return None,
    })
}

/// Stands for a literal in the shape; no token's kind and length look like it.
const HIDDEN_VALUE: u64 = u64::MAX;

fn literal_kind(kind: TokenKind) -> LiteralKind {
    match kind {
        TokenKind::Decimal => LiteralKind::Decimal,
        TokenKind::Float => LiteralKind::Float,
        TokenKind::String => LiteralKind::String,
        TokenKind::NationalString => LiteralKind::NationalString,
        TokenKind::Hex => LiteralKind::Hex,
        TokenKind::Bit => LiteralKind::Bit,
        _ => LiteralKind::Integer,
    }
}

/// Says whether servers in use differ over the version comment that opens like this: those marked for MySQL
/// before 5.7 are code to all of them (MariaDB Knowledge Base, "Comment Syntax").
fn is_disputed(frame: &[u8]) -> bool {
    const ALL_RUN_BELOW: u32 = 50_700;
    let digits = frame.iter().filter(|byte| byte.is_ascii_digit());
    let version = digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    frame.starts_with(b"/*M") || version >= ALL_RUN_BELOW
}
