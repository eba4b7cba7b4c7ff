//! The digest: a statement with values as `?`, lists collapsed and comments gone, as a number and as text.

use super::Scan;
use super::digest::{Collapse, Piece, Seen};
use super::hash::{DigestHash, each_word};
use crate::sql::lexer::keywords::{Tag, lookup};
use crate::sql::lexer::{Lexer, SqlMode, Token, TokenKind};

/// Longest text that is written, in bytes.
const NORMALIZED_BYTES_MAX: usize = 4096;
/// Stands for a value in the digest; no token is that long.
const VALUE: u64 = u64::MAX;

/// What of a statement stays.
enum Kept<'a> {
    Token(Token, &'a [u8], Option<Tag>),
    Byte(u8),
    Value,
    /// More values or rows like those before.
    More,
}

/// Name of the statement of `scan` in statistics: case of keywords, lengths of lists and values do not
/// matter. The same in every process; the same for all statements of one [`Scan::shape`].
pub fn digest(text: &[u8], mode: SqlMode, scan: &Scan) -> u64 {
    let mut hash = DigestHash::new();
    each_kept(text, mode, scan, |kept| {
        let mut bytes = |bytes: &[u8], fold: bool| {
            hash.word(bytes.len() as u64);
            each_word(bytes, fold, |word| hash.word(word));
        };
        match kept {
            Kept::Token(_, token, tag) => bytes(token, tag.is_some()),
            Kept::Byte(byte) => bytes(&[byte], false),
            Kept::Value => hash.word(VALUE),
            Kept::More => {}
        }
        true
    });
    hash.finish()
}

/// The statement of `scan` with values as `?`, lists and rows collapsed and known words in capitals.
///
/// Two statements with the same digest have the same text. Cut at `NORMALIZED_BYTES_MAX`, marked by `…`.
pub fn normalize(text: &[u8], mode: SqlMode, scan: &Scan) -> String {
    let mut writer = Writer { out: String::new(), glued: true, previous: TokenKind::End };
    each_kept(text, mode, scan, |kept| {
        match kept {
            Kept::Token(token, bytes, tag) => writer.write_token(token, bytes, tag.is_some()),
            Kept::Byte(byte) => writer.write(TokenKind::Comma, &char::from(byte).to_string()),
            Kept::Value => writer.write(TokenKind::Integer, "?"),
            Kept::More => writer.write(TokenKind::Comma, ", …"),
        }
        writer.out.len() <= NORMALIZED_BYTES_MAX
    });
    writer.finish()
}

/// Hands over what stays of the statement, in order, until `take` has enough.
fn each_kept<'a>(text: &'a [u8], mode: SqlMode, scan: &Scan, mut take: impl FnMut(Kept<'a>) -> bool) {
    let mut lexer = Lexer::new(&text[..(scan.body.end as usize).min(text.len())], mode);
    let mut collapse = Collapse::new();
    loop {
        let token = lexer.next_token();
        if token.kind == TokenKind::End {
            break;
        }
        let bytes = token.span.of(text);
        let tag = if token.kind == TokenKind::Word { lookup(bytes) } else { None };
        let seen = Seen { kind: token.kind, tag, byte: if bytes.len() == 1 { bytes[0] } else { 0 } };
        let mut goes_on = true;
        collapse.feed(seen, |piece, byte| {
            goes_on &= take(match (piece, byte) {
                (Piece::Token, Some(byte)) => Kept::Byte(byte),
                (Piece::Token, None) => Kept::Token(token, bytes, tag),
                (Piece::Value, _) => Kept::Value,
                (Piece::List | Piece::Rows, _) => Kept::More,
            });
        });
        if !goes_on {
            return;
        }
    }
    collapse.finish(|_, byte| {
        take(Kept::Byte(byte.unwrap_or(b' ')));
    });
}

struct Writer {
    out: String,
    /// No space before the next token.
    glued: bool,
    previous: TokenKind,
}

impl Writer {
    fn write_token(&mut self, token: Token, bytes: &[u8], upper: bool) {
        let text = String::from_utf8_lossy(bytes);
        if upper {
            self.write(token.kind, &text.to_ascii_uppercase());
        } else {
            self.write(token.kind, &text);
        }
    }

    fn write(&mut self, kind: TokenKind, text: &str) {
        let name = matches!(self.previous, TokenKind::Word | TokenKind::Name | TokenKind::QuotedName);
        let tight = matches!(kind, TokenKind::Comma | TokenKind::Close | TokenKind::Dot)
            || matches!(self.previous, TokenKind::Open | TokenKind::Dot)
            || (kind == TokenKind::Open && name && self.is_call());
        if !tight && !self.glued {
            self.out.push(' ');
        }
        self.glued = false;
        self.out.push_str(text);
        self.previous = kind;
    }

    /// A name before a parenthesis is a call, a keyword is not.
    fn is_call(&self) -> bool {
        let word = self.out.rsplit([' ', '(']).next().unwrap_or_default();
        lookup(word.as_bytes()).is_none_or(|tag| !tag.is_reserved())
    }

    fn finish(mut self) -> String {
        if self.out.len() > NORMALIZED_BYTES_MAX {
            let mut cut = NORMALIZED_BYTES_MAX;
            while !self.out.is_char_boundary(cut) {
                cut -= 1;
            }
            self.out.truncate(cut);
            self.out.push('…');
        }
        self.out
    }
}
