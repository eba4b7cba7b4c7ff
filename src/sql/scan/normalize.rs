//! The digest's text, for people: values as `?`, lists collapsed, comments gone.

use super::Scan;
use super::digest::{Collapse, Piece, Seen};
use crate::sql::lexer::keywords::lookup;
use crate::sql::lexer::{Lexer, SqlMode, Token, TokenKind};

/// Longest text that is written, in bytes.
const NORMALIZED_BYTES_MAX: usize = 4096;

/// The statement of `scan` with values as `?`, lists and rows collapsed and known words in capitals.
///
/// Two statements with the same digest have the same text. Cut at `NORMALIZED_BYTES_MAX`, marked by `…`.
pub fn normalize(text: &[u8], mode: SqlMode, scan: &Scan) -> String {
    let mut lexer = Lexer::new(&text[..(scan.body.end as usize).min(text.len())], mode);
    let mut writer = Writer { out: String::new(), glued: true, previous: TokenKind::End };
    let mut collapse = Collapse::new();
    loop {
        let token = lexer.next_token();
        if token.kind == TokenKind::End {
            break;
        }
        let bytes = token.span.of(text);
        let tag = if token.kind == TokenKind::Word { lookup(bytes) } else { None };
        let seen = Seen { kind: token.kind, tag, byte: if bytes.len() == 1 { bytes[0] } else { 0 } };
        collapse.feed(seen, |piece, byte| match (piece, byte) {
            (Piece::Token, Some(byte)) => writer.write(TokenKind::Comma, &char::from(byte).to_string()),
            (Piece::Token, None) => writer.write_token(token, bytes, tag.is_some()),
            (Piece::Value, _) => writer.write(TokenKind::Integer, "?"),
            (Piece::List | Piece::Rows, _) => writer.write(TokenKind::Comma, ", …"),
        });
        if writer.out.len() > NORMALIZED_BYTES_MAX {
            break;
        }
    }
    collapse.finish(|_, byte| writer.write(TokenKind::Comma, &char::from(byte.unwrap_or(b' ')).to_string()));
    writer.finish()
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
