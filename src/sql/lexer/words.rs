//! Words, numbers, strings, variables: the tokens of more than a few bytes.

use super::{ClientCharset, Lexer, TokenKind, is_space, is_word, keywords};

/// How far a byte is looked for by hand before the vector search starts: most names and strings are short.
const SHORT_BYTES: usize = 24;

/// Where the first of two bytes stands.
fn find_either(one: u8, other: u8, text: &[u8]) -> Option<usize> {
    let (short, long) = text.split_at(text.len().min(SHORT_BYTES));
    match short.iter().position(|byte| *byte == one || *byte == other) {
        None if long.is_empty() => None,
        None => memchr::memchr2(one, other, long).map(|at| at + short.len()),
        found => found,
    }
}

impl Lexer<'_> {
    pub(super) fn take_word(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
        self.word_end = self.at;
    }

    /// A word, or a string with a letter before it (`x'41'`, `N'a'`), or an introducer.
    pub(super) fn take_word_or_prefixed(&mut self, byte: u8) -> TokenKind {
        if self.peek(1) == Some(b'\'') {
            match byte {
                b'x' | b'X' => return self.take_digits_string(|b| b.is_ascii_hexdigit(), TokenKind::Hex),
                b'b' | b'B' => return self.take_digits_string(|b| b == b'0' || b == b'1', TokenKind::Bit),
                b'n' | b'N' => {
                    self.at += 1;
                    return match self.take_string(b'\'') {
                        TokenKind::String => TokenKind::NationalString,
                        other => other,
                    };
                }
                _ => {}
            }
        }
        let start = self.at;
        self.take_word();
        if byte == b'_' && self.string_follows() && keywords::is_introducer(&self.text[start..self.at]) {
            return TokenKind::Introducer;
        }
        self.word_kind()
    }

    /// A word with a dot and a name right behind it is a name.
    fn word_kind(&self) -> TokenKind {
        let dotted = self.peek(0) == Some(b'.') && self.peek(1).is_some_and(|b| is_word(b) || b == b'`');
        if dotted { TokenKind::Name } else { TokenKind::Word }
    }

    fn string_follows(&self) -> bool {
        let mut ahead = self.clone();
        // Space and comments may stand between.
        loop {
            while ahead.peek(0).is_some_and(is_space) {
                ahead.at += 1;
            }
            match ahead.peek(0) {
                Some(b'#') => ahead.take_line_comment(),
                Some(b'-') if ahead.starts_line_comment() => ahead.take_line_comment(),
                Some(b'/') if ahead.peek(1) == Some(b'*') => ahead.take_comment(),
                _ => break,
            };
        }
        match &ahead.text[ahead.at.min(ahead.text.len())..] {
            [b'\'', ..] | [b'x' | b'X' | b'b' | b'B', b'\'', ..] | [b'0', b'x' | b'b', ..] => true,
            [b'"', ..] => !self.mode.ansi_quotes,
            _ => false,
        }
    }

    fn take_digits_string(&mut self, digit: fn(u8) -> bool, kind: TokenKind) -> TokenKind {
        self.at += 2;
        let digits = self.text[self.at..].iter().take_while(|b| digit(**b)).count();
        self.at += digits;
        if self.peek(0) != Some(b'\'') || (kind == TokenKind::Hex && digits % 2 == 1) {
            return TokenKind::Invalid;
        }
        self.advance(1, kind)
    }

    pub(super) fn take_number(&mut self) -> TokenKind {
        if self.peek(0) == Some(b'0') {
            match self.peek(1) {
                Some(b'x') if self.take_prefixed_digits(|b| b.is_ascii_hexdigit()) => return TokenKind::Hex,
                Some(b'b') if self.take_prefixed_digits(|b| b == b'0' || b == b'1') => return TokenKind::Bit,
                _ => {}
            }
        }
        let start = self.at;
        self.take_digits();
        match self.peek(0) {
            Some(b'.') => self.take_fraction(),
            Some(b'e' | b'E') if self.take_exponent() => TokenKind::Float,
            Some(byte) if is_word(byte) => {
                self.at = start;
                self.take_word();
                self.word_kind()
            }
            _ => TokenKind::Integer,
        }
    }

    fn take_digits(&mut self) {
        while self.peek(0).is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
    }

    /// `0x1f`, `0b01`: at least one digit, and no word goes on behind them.
    fn take_prefixed_digits(&mut self, digit: fn(u8) -> bool) -> bool {
        let digits = self.text[self.at + 2..].iter().take_while(|b| digit(**b)).count();
        let end = 2 + digits;
        let whole = digits > 0 && !self.peek(end).is_some_and(is_word);
        if whole {
            self.at += end;
        }
        whole
    }

    /// At the point of a number.
    pub(super) fn take_fraction(&mut self) -> TokenKind {
        self.at += 1;
        self.take_digits();
        if matches!(self.peek(0), Some(b'e' | b'E')) && self.take_exponent() {
            return TokenKind::Float;
        }
        TokenKind::Decimal
    }

    /// At the `e` of a number; stays there when no digits follow.
    fn take_exponent(&mut self) -> bool {
        let sign = usize::from(matches!(self.peek(1), Some(b'+' | b'-')));
        if !self.peek(1 + sign).is_some_and(|b| b.is_ascii_digit()) {
            return false;
        }
        self.at += 1 + sign;
        self.take_digits();
        true
    }

    /// A string and the strings that follow it: `'a' 'b'` is one value.
    pub(super) fn take_string(&mut self, quote: u8) -> TokenKind {
        if !self.take_string_part(quote) {
            return TokenKind::Invalid;
        }
        while let Some((at, quote)) = self.find_next_string() {
            let end = std::mem::replace(&mut self.at, at);
            if !self.take_string_part(quote) {
                self.at = end;
                break;
            }
        }
        TokenKind::String
    }

    /// One string; false when it is not closed.
    fn take_string_part(&mut self, quote: u8) -> bool {
        let escapes = !self.mode.no_backslash_escapes;
        self.at += 1;
        loop {
            let rest = &self.text[self.at.min(self.text.len())..];
            let plain = matches!(self.mode.charset, ClientCharset::Utf8 | ClientCharset::Other);
            let found = if plain {
                find_either(quote, if escapes { b'\\' } else { quote }, rest)
            } else {
                self.find_in_pairs(rest, quote)
            };
            let Some(offset) = found else {
                self.at = self.text.len();
                self.unterminated = true;
                return false;
            };
            let doubled = rest[offset] == quote && rest.get(offset + 1) == Some(&quote);
            if rest[offset] == quote && !doubled {
                self.at += offset + 1;
                return true;
            }
            self.at += offset + 2;
        }
    }

    /// Finds the quote or a backslash, stepping over two-byte characters.
    fn find_in_pairs(&self, rest: &[u8], quote: u8) -> Option<usize> {
        let mut at = 0;
        while at < rest.len() {
            if at + 1 < rest.len() && self.mode.charset.is_pair(rest[at], rest[at + 1]) {
                at += 2;
            } else if rest[at] == quote || (rest[at] == b'\\' && !self.mode.no_backslash_escapes) {
                return Some(at);
            } else {
                at += 1;
            }
        }
        None
    }

    /// The next string, when only space and plain comments stand before it.
    fn find_next_string(&self) -> Option<(usize, u8)> {
        let rest = &self.text[self.at..];
        let next = rest.iter().find(|byte| !is_space(**byte))?;
        if !matches!(next, b'\'' | b'"' | b'/' | b'#' | b'-') {
            return None;
        }
        let mut ahead = self.clone();
        loop {
            while ahead.peek(0).is_some_and(is_space) {
                ahead.at += 1;
            }
            match ahead.peek(0)? {
                b'\'' => return Some((ahead.at, b'\'')),
                b'"' if !self.mode.ansi_quotes => return Some((ahead.at, b'"')),
                b'/' | b'#' | b'-' => {}
                _ => return None,
            }
            let kind = match ahead.peek(0)? {
                b'#' => ahead.take_line_comment(),
                b'/' if ahead.peek(1) == Some(b'*') && ahead.peek(2) != Some(b'!') => ahead.take_comment(),
                b'-' if ahead.peek(1) == Some(b'-') && ahead.peek(2).is_some_and(is_space) => {
                    ahead.take_line_comment()
                }
                _ => return None,
            };
            if !matches!(kind, TokenKind::Comment | TokenKind::Hint | TokenKind::LineComment) {
                return None;
            }
        }
    }

    /// A name in quotes; a doubled quote stands for itself, backslashes mean nothing.
    pub(super) fn take_quoted(&mut self, quote: u8, kind: TokenKind) -> TokenKind {
        self.at += 1;
        loop {
            let rest = &self.text[self.at.min(self.text.len())..];
            let Some(offset) = find_either(quote, quote, rest) else {
                self.at = self.text.len();
                self.unterminated = true;
                return TokenKind::Invalid;
            };
            self.at += offset + 1;
            if self.peek(0) != Some(quote) {
                return kind;
            }
            self.at += 1;
        }
    }

    /// `@name` in any quoting, or `@@name`.
    pub(super) fn take_variable(&mut self) -> TokenKind {
        self.at += 1;
        if self.peek(0) == Some(b'@') {
            self.at += 1;
            return match self.peek(0) {
                Some(b'`') => self.take_quoted(b'`', TokenKind::SystemVariable),
                Some(byte) if is_word(byte) => {
                    self.take_word();
                    TokenKind::SystemVariable
                }
                _ => TokenKind::Invalid,
            };
        }
        match self.peek(0) {
            Some(b'`') => self.take_quoted(b'`', TokenKind::UserVariable),
            Some(b'"') if self.mode.ansi_quotes => self.take_quoted(b'"', TokenKind::UserVariable),
            Some(quote @ (b'\'' | b'"')) => {
                if self.take_string_part(quote) {
                    TokenKind::UserVariable
                } else {
                    TokenKind::Invalid
                }
            }
            _ => {
                while self.peek(0).is_some_and(|b| is_word(b) || b == b'.') {
                    self.at += 1;
                }
                TokenKind::UserVariable
            }
        }
    }
}
