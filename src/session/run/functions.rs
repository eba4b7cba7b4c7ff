//! Session functions inside larger statements: `CONNECTION_ID()`, `DATABASE()`, `ROW_COUNT()`,
//! `FOUND_ROWS()`.
//!
//! A pooled connection would answer them about itself, or about another session's statement. Where the
//! server's answer would be wrong, the call is replaced by the value in the client's own text; a select item
//! that loses its title by that gets it back as an alias. Pure: text and values in, text out.

use crate::sql::{Lexer, SqlMode, Token, TokenKind, quote};

/// Longest select item that is given back its title, in bytes; MySQL takes aliases of 256 characters.
const TITLE_MAX: usize = 255;

/// What the functions give in this session; `None` where the server knows best.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::session) struct SessionValues {
    /// `CONNECTION_ID()`.
    pub connection_id: Option<u32>,
    /// `DATABASE()` and `SCHEMA()`: a name, or none.
    pub database: Option<Option<String>>,
    /// `ROW_COUNT()`.
    pub row_count: Option<i64>,
    /// `FOUND_ROWS()`.
    pub found_rows: Option<u64>,
    /// `@@warning_count` and `@@error_count`.
    pub conditions: Option<(u64, u64)>,
}

impl SessionValues {
    /// Those that say who asks, not what the statement before did.
    pub(in crate::session) fn of_session(self) -> Self {
        let Self { connection_id, database, .. } = self;
        Self { connection_id, database, ..Self::default() }
    }

    /// The SQL text of what a function gives; `None` for all others.
    fn literal(&self, name: &[u8]) -> Option<String> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("connection_id") {
            self.connection_id.map(|id| id.to_string())
        } else if is("database") || is("schema") {
            let name = self.database.as_ref()?;
            Some(name.as_deref().map_or("NULL".to_owned(), quote::string))
        } else if is("row_count") {
            self.row_count.map(bigint)
        } else if is("found_rows") {
            self.found_rows.map(bigint)
        } else {
            None
        }
    }

    /// The SQL text of a diagnostics variable, and how many tokens it takes: `@@warning_count`,
    /// `@@session.error_count`.
    fn variable(&self, tokens: &[Token], text: &[u8]) -> Option<(usize, String)> {
        let (warnings, errors) = self.conditions?;
        let [first, rest @ ..] = tokens else { return None };
        let name =
            first.span.of(text).strip_prefix(b"@@").filter(|_| first.kind == TokenKind::SystemVariable)?;
        let is_scope = [&b"session"[..], b"local"].iter().any(|scope| name.eq_ignore_ascii_case(scope));
        let (length, name) = match rest {
            [dot, name, ..] if is_scope && dot.kind == TokenKind::Dot => (3, name.span.of(text)),
            _ => (1, name),
        };
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let count = if is("warning_count") {
            warnings
        } else if is("error_count") {
            errors
        } else {
            return None;
        };
        Some((length, bigint(count)))
    }

    /// The text with its calls replaced; `None` when there is none.
    pub(in crate::session) fn put_into(&self, text: &[u8], mode: SqlMode) -> Option<Vec<u8>> {
        if *self == Self::default() {
            return None;
        }
        let edits = self.edits(&tokens(text, mode), text);
        if edits.is_empty() {
            return None;
        }
        let mut edited = Vec::with_capacity(text.len() + 64);
        let mut at = 0;
        for (start, end, replacement) in edits {
            edited.extend_from_slice(&text[at..start]);
            edited.extend_from_slice(&replacement);
            at = end;
        }
        edited.extend_from_slice(&text[at..]);
        Some(edited)
    }

    /// What to replace, in the order of the text: `(start, end, by what)`.
    fn edits(&self, tokens: &[Token], text: &[u8]) -> Vec<(usize, usize, Vec<u8>)> {
        let mut edits = Vec::new();
        let mut item = Item::default();
        for (at, token) in tokens.iter().enumerate() {
            if item.ends_before(*token, text) {
                edits.extend(item.title(tokens, text, at));
            }
            if let [name, open, close, ..] = &tokens[at..]
                && (name.kind, open.kind, close.kind) == (TokenKind::Word, TokenKind::Open, TokenKind::Close)
                && let Some(literal) = self.literal(name.span.of(text))
            {
                edits.push((name.span.start as usize, close.span.end as usize, literal.into_bytes()));
                item.is_edited = true;
            }
            if let Some((length, literal)) = self.variable(&tokens[at..], text) {
                let end = tokens[at + length - 1].span.end;
                edits.push((token.span.start as usize, end as usize, literal.into_bytes()));
                item.is_edited = true;
            }
            item.step(*token, at, text);
        }
        edits
    }
}

/// A number that is a BIGINT whatever its size: a small literal would be an INT to some servers.
fn bigint(number: impl std::fmt::Display) -> String {
    format!("GREATEST({number}, {})", i64::MIN + 1)
}

/// All tokens of a text, comments left out; the last one is the end.
pub(super) fn tokens(text: &[u8], mode: SqlMode) -> Vec<Token> {
    let mut lexer = Lexer::new(text, mode);
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next_token();
        tokens.push(token);
        if token.kind == TokenKind::End {
            return tokens;
        }
    }
}

/// The item of the outermost select list that is being walked over.
#[derive(Debug, Default)]
struct Item {
    depth: usize,
    /// Index of its first token; `None` outside of the list.
    first: Option<usize>,
    is_edited: bool,
    /// The list is over; titles are those of the first SELECT.
    is_over: bool,
}

impl Item {
    fn ends_before(&self, token: Token, text: &[u8]) -> bool {
        const ENDS: [&str; 13] = [
            "from",
            "where",
            "group",
            "having",
            "order",
            "limit",
            "union",
            "except",
            "intersect",
            "into",
            "for",
            "lock",
            "window",
        ];
        let is_end = match token.kind {
            TokenKind::Comma | TokenKind::End | TokenKind::Semicolon => true,
            TokenKind::Word => ENDS.iter().any(|word| is_word(token, text, word)),
            _ => false,
        };
        self.depth == 0 && self.first.is_some() && is_end
    }

    fn step(&mut self, token: Token, at: usize, text: &[u8]) {
        match token.kind {
            TokenKind::Open => self.depth += 1,
            TokenKind::Close => self.depth = self.depth.saturating_sub(1),
            _ if self.depth > 0 => {}
            TokenKind::Word if !self.is_over && self.first.is_none() && is_word(token, text, "select") => {
                self.first = Some(at + 1);
            }
            TokenKind::Comma if self.first.is_some() => {
                *self = Self { first: Some(at + 1), ..Self::default() }
            }
            _ if self.ends_before(token, text) => *self = Self { is_over: true, ..Self::default() },
            _ => {}
        }
    }

    /// The alias that keeps the item's title, behind the item.
    fn title(&self, tokens: &[Token], text: &[u8], end: usize) -> Option<(usize, usize, Vec<u8>)> {
        let item = tokens.get(self.first?..end).filter(|_| self.is_edited)?;
        let (first, last) = (item.first()?, item.last()?);
        if has_alias(item, text) {
            return None;
        }
        let (start, end) = (first.span.start as usize, last.span.end as usize);
        let title = std::str::from_utf8(&text[start..end]).ok().filter(|title| title.len() <= TITLE_MAX)?;
        Some((end, end, format!(" AS {}", quote::identifier(title)).into_bytes()))
    }
}

/// Says whether an item ends with a name that is not part of its expression.
fn has_alias(item: &[Token], text: &[u8]) -> bool {
    let [.., before, last] = item else { return false };
    let is_name = matches!(last.kind, TokenKind::Word | TokenKind::QuotedName | TokenKind::String);
    let continues = matches!(before.kind, TokenKind::Operator | TokenKind::Dot | TokenKind::Comma)
        || ["and", "or", "not", "is", "div", "mod", "xor", "like"]
            .iter()
            .any(|word| is_word(*before, text, word));
    is_name && !continues
}

pub(super) fn is_word(token: Token, text: &[u8], word: &str) -> bool {
    token.kind == TokenKind::Word && token.span.of(text).eq_ignore_ascii_case(word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str) -> String {
        let values = SessionValues {
            connection_id: Some(7),
            database: Some(None),
            row_count: Some(-1),
            found_rows: Some(3),
            conditions: Some((2, 1)),
        };
        let edited = values.put_into(text.as_bytes(), SqlMode::default());
        edited.map_or("-".to_owned(), |text| String::from_utf8(text).expect("UTF-8"))
    }

    #[test]
    fn calls_become_values_and_titles_stay() {
        for (text, expected) in [
            (
                "SELECT LAST_INSERT_ID(), ROW_COUNT()",
                "SELECT LAST_INSERT_ID(), GREATEST(-1, -9223372036854775807) AS `ROW_COUNT()`",
            ),
            ("select connection_id ( ), 1", "select 7 AS `connection_id ( )`, 1"),
            ("select DATABASE(), USER() limit 1", "select NULL AS `DATABASE()`, USER() limit 1"),
            (
                "select schema() s, found_rows() as `n` from t",
                "select NULL s, GREATEST(3, -9223372036854775807) as `n` from t",
            ),
            ("select connection_id() = 5, a", "select 7 = 5 AS `connection_id() = 5`, a"),
            (
                "select (select row_count()) from t",
                "select (select GREATEST(-1, -9223372036854775807)) AS `(select row_count())` from t",
            ),
            ("insert into t values (connection_id())", "insert into t values (7)"),
            (
                "select @@warning_count, @@Session.error_count e, @@sql_mode",
                "select GREATEST(2, -9223372036854775807) AS `@@warning_count`, \
                 GREATEST(1, -9223372036854775807) e, @@sql_mode",
            ),
            ("select 1 where found_rows() > 1", "select 1 where GREATEST(3, -9223372036854775807) > 1"),
            ("select 1 union select database()", "select 1 union select NULL"),
        ] {
            assert_eq!(edited(text), expected);
        }
    }

    #[test]
    fn what_only_looks_like_a_call_stays() {
        for text in
            ["select 'row_count()'", "select t.database(), `database`() from t", "select database", ""]
        {
            assert_eq!(edited(text), "-", "{text}");
        }
        let nothing = SessionValues::default();
        assert_eq!(nothing.put_into(b"select row_count()", SqlMode::default()), None);
    }

    #[test]
    fn names_are_quoted() {
        let values = SessionValues { database: Some(Some("it's".to_owned())), ..SessionValues::default() };
        let edited = values.put_into(b"select 1, database() x", SqlMode::default());
        assert_eq!(edited.as_deref(), Some(&b"select 1, 'it''s' x"[..]));
    }
}
