//! MySQL's lexical rules: bytes to tokens, one at a time, nothing allocated.
//!
//! Owns what a token is, comments and version comments, quoting, number forms and the rule that a word next
//! to a dot is a name. It does not know statements. It never fails: bytes that MySQL's lexer would refuse
//! become [`TokenKind::Invalid`], and reading goes on behind them.
//!
//! Version comments (`/*!80013 … */`, MariaDB's `/*M! … */`) whose version the server has reached are code:
//! their frame is reported as [`TokenKind::VersionOpen`] and [`TokenKind::VersionClose`]; others are
//! [`TokenKind::VersionComment`] as a whole.

pub(in crate::sql) mod keywords;
mod literal;
mod mode;
mod words;

pub(super) use literal::unquote;
pub use literal::{Literal, LiteralKind};
pub use mode::{ClientCharset, ServerVersion, SqlMode};

use super::span::Span;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TokenKind {
    /// The text is over.
    End,
    /// A word without quotes: keyword or name.
    Word,
    /// A word that can only be a name, because a dot stands directly before or after it.
    Name,
    /// A quoted name, quotes included.
    QuotedName,
    /// A string; adjacent strings are one token.
    String,
    /// `N'…'`.
    NationalString,
    /// `x'…'` or `0x…`.
    Hex,
    /// `b'…'` or `0b…`.
    Bit,
    /// Digits.
    Integer,
    /// Digits with a point.
    Decimal,
    /// With an exponent.
    Float,
    /// `?`.
    Placeholder,
    /// `@name`, ``@`name` ``, `@'name'`.
    UserVariable,
    /// `@@name`, without the dotted parts that may follow.
    SystemVariable,
    /// `_utf8mb4` before a string.
    Introducer,
    /// `\N`.
    NullEscape,
    /// `(`.
    Open,
    /// `)`.
    Close,
    /// `,`.
    Comma,
    /// `.`.
    Dot,
    /// `;`.
    Semicolon,
    /// Any other operator of MySQL.
    Operator,
    /// A byte or a run of bytes that MySQL's lexer refuses: an open string, a stray byte.
    Invalid,
    /// `/* … */`.
    Comment,
    /// `/*+ … */`.
    Hint,
    /// `-- …` or `# …` to the end of the line.
    LineComment,
    /// `/*!99999 … */` that the server skips.
    VersionComment,
    /// The opening frame of a version comment that is code.
    VersionOpen,
    /// Its closing frame.
    VersionClose,
}

impl TokenKind {
    /// Says whether the token is a comment or the frame of one.
    pub fn is_comment(self) -> bool {
        self as u8 >= Self::Comment as u8
    }

    /// Says whether the token is a literal value.
    pub fn is_literal(self) -> bool {
        (Self::String as u8..=Self::Float as u8).contains(&(self as u8))
    }
}

/// A token: its kind and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it stands.
    pub span: Span,
}

/// Reads tokens off a text.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    mode: SqlMode,
    /// End of the last unquoted word: a dot right there makes the next word a name.
    word_end: usize,
    /// The next token starts a name, whatever it looks like.
    name_follows: bool,
    /// Inside a version comment that is code.
    in_version: bool,
    /// A comment, string or quoted name was not closed.
    unterminated: bool,
}

impl<'a> Lexer<'a> {
    /// Starts at the beginning. Bytes beyond 4 GiB are not read.
    pub fn new(text: &'a [u8], mode: SqlMode) -> Self {
        let text = &text[..text.len().min(u32::MAX as usize - 1)];
        Self {
            text,
            at: 0,
            mode,
            word_end: usize::MAX,
            name_follows: false,
            in_version: false,
            unterminated: false,
        }
    }

    /// Starts at `offset`, which must be where a token may start.
    pub fn at(text: &'a [u8], offset: usize, mode: SqlMode) -> Self {
        let mut lexer = Self::new(text, mode);
        lexer.at = offset.min(lexer.text.len());
        lexer
    }

    /// The next token that is not a comment.
    pub fn next_token(&mut self) -> Token {
        loop {
            let token = self.next_with_comments();
            if !token.kind.is_comment() {
                return token;
            }
        }
    }

    /// Says whether something was left open so far.
    pub fn is_unterminated(&self) -> bool {
        self.unterminated
    }

    /// The next token, comments included.
    pub fn next_with_comments(&mut self) -> Token {
        while self.peek(0).is_some_and(is_space) {
            self.at += 1;
            self.name_follows = false;
        }
        let start = self.at;
        let Some(byte) = self.peek(0) else {
            self.unterminated |= self.in_version;
            return Token { kind: TokenKind::End, span: Span::new(start, start) };
        };
        let kind = if std::mem::take(&mut self.name_follows) && is_word(byte) {
            self.take_word();
            TokenKind::Name
        } else {
            self.take(byte)
        };
        self.at = self.at.min(self.text.len());
        let kind = if self.mode.charset == ClientCharset::Utf8 { kind } else { self.checked(kind, start) };
        Token { kind, span: Span::new(start, self.at) }
    }

    /// What a server may read otherwise in the client's character set is no token.
    fn checked(&self, kind: TokenKind, start: usize) -> TokenKind {
        let is_ascii = self.text[start..self.at].is_ascii();
        if is_ascii || !self.mode.charset.is_doubtful(kind) { kind } else { TokenKind::Invalid }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn starts_with(&self, prefix: &[u8]) -> bool {
        self.text[self.at..].starts_with(prefix)
    }

    fn advance(&mut self, length: usize, kind: TokenKind) -> TokenKind {
        self.at += length;
        kind
    }

    fn take(&mut self, byte: u8) -> TokenKind {
        match byte {
            b'0'..=b'9' => self.take_number(),
            b'\'' => self.take_string(byte),
            b'"' if !self.mode.ansi_quotes => self.take_string(byte),
            b'"' | b'`' => self.take_quoted(byte, TokenKind::QuotedName),
            b'(' => self.advance(1, TokenKind::Open),
            b')' => self.advance(1, TokenKind::Close),
            b',' => self.advance(1, TokenKind::Comma),
            b';' => self.advance(1, TokenKind::Semicolon),
            b'.' => self.take_dot(),
            b'@' => self.take_variable(),
            b'?' => self.advance(1, TokenKind::Placeholder),
            b'#' => self.take_line_comment(),
            b'-' if self.starts_line_comment() => self.take_line_comment(),
            b'/' if self.peek(1) == Some(b'*') => self.take_comment(),
            b'*' if self.in_version && self.peek(1) == Some(b'/') => {
                self.in_version = false;
                self.advance(2, TokenKind::VersionClose)
            }
            b'\\' if self.peek(1) == Some(b'N') => self.advance(2, TokenKind::NullEscape),
            _ if is_word(byte) => self.take_word_or_prefixed(byte),
            _ => self.take_operator(byte),
        }
    }

    /// At `--`: a space or control character behind it makes it a comment.
    fn starts_line_comment(&self) -> bool {
        self.peek(1) == Some(b'-') && self.peek(2).is_none_or(|b| is_space(b) || b.is_ascii_control())
    }

    fn take_operator(&mut self, byte: u8) -> TokenKind {
        let second = self.peek(1).unwrap_or(0);
        let length = match (byte, second) {
            (b'<', b'=') if self.peek(2) == Some(b'>') => 3,
            (b'-', b'>') if self.peek(2) == Some(b'>') => 3,
            (b'<', b'=' | b'>' | b'<')
            | (b'>', b'=' | b'>')
            | (b'!', b'=')
            | (b'|', b'|')
            | (b'&', b'&')
            | (b':', b'=')
            | (b'-', b'>') => 2,
            (
                b'<' | b'>' | b'=' | b'!' | b'|' | b'&' | b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'~'
                | b':',
                _,
            ) => 1,
            (b'{' | b'}', _) => 1,
            _ => return self.advance(1, TokenKind::Invalid),
        };
        self.advance(length, TokenKind::Operator)
    }

    fn take_dot(&mut self) -> TokenKind {
        let next = self.peek(1);
        if self.at != self.word_end && next.is_some_and(|b| b.is_ascii_digit()) {
            return self.take_fraction();
        }
        self.name_follows = next.is_some_and(is_word);
        self.advance(1, TokenKind::Dot)
    }

    fn take_line_comment(&mut self) -> TokenKind {
        let rest = &self.text[self.at..];
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        self.at += length;
        // MySQL ends such a comment, and with it the statement, at a zero byte.
        if memchr::memchr(0, &rest[..length]).is_some() { TokenKind::Invalid } else { TokenKind::LineComment }
    }

    fn take_comment(&mut self) -> TokenKind {
        if self.starts_with(b"/*!") || (self.mode.server.mariadb && self.starts_with(b"/*M!")) {
            return self.take_version_comment();
        }
        let kind = match (self.peek(2), self.peek(3)) {
            (Some(b'+'), _) => TokenKind::Hint,
            // Code to MariaDB.
            (Some(b'M'), Some(b'!')) => TokenKind::VersionComment,
            _ => TokenKind::Comment,
        };
        self.at += 2;
        let rest = &self.text[self.at.min(self.text.len())..];
        match find_close(rest) {
            Some(end) => self.at += end + 2,
            None => {
                self.unterminated = true;
                self.at = self.text.len();
            }
        }
        kind
    }

    fn take_version_comment(&mut self) -> TokenKind {
        self.at += if self.peek(2) == Some(b'!') { 3 } else { 4 };
        let digits = self.text[self.at..].iter().take(6).take_while(|b| b.is_ascii_digit()).count();
        let digits = if digits < 5 { 0 } else { digits };
        let version =
            self.text[self.at..self.at + digits].iter().fold(0, |n, b| n * 10 + u32::from(b - b'0'));
        self.at += digits;
        if digits == 0 || self.runs_version(version) {
            self.in_version = true;
            return TokenKind::VersionOpen;
        }
        self.skip_nested_comment();
        TokenKind::VersionComment
    }

    /// MariaDB does not run what is marked for MySQL 5.7 to 9.
    fn runs_version(&self, version: u32) -> bool {
        let server = self.mode.server;
        version <= server.number && !(server.mariadb && (50_700..=99_999).contains(&version))
    }

    /// Skips to the end of a version comment; comments inside it may be closed once.
    fn skip_nested_comment(&mut self) {
        let mut depth = 1;
        while let Some(byte) = self.peek(0) {
            match (byte, self.peek(1)) {
                (b'*', Some(b'/')) => {
                    self.at += 2;
                    depth -= 1;
                    if depth == 0 {
                        return;
                    }
                }
                (b'/', Some(b'*')) => {
                    self.at += 2;
                    depth += 1;
                }
                _ => self.at += 1,
            }
        }
        self.unterminated = true;
    }
}

/// Where `*/` stands.
fn find_close(text: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'/', text).find(|at| *at > 0 && text[at - 1] == b'*').map(|at| at - 1)
}

const SPACE: u8 = 1;
const WORD: u8 = 2;

static CLASS: [u8; 256] = {
    let mut class = [0u8; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => SPACE,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'$' | 0x80.. => WORD,
            _ => 0,
        };
        byte += 1;
    }
    class
};

pub(super) fn is_space(byte: u8) -> bool {
    CLASS[byte as usize] == SPACE
}

pub(super) fn is_word(byte: u8) -> bool {
    CLASS[byte as usize] == WORD
}

#[cfg(test)]
mod tests;
