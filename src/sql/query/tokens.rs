//! From our tokens to `sqlparser`'s.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Span as SourceSpan, Token, TokenWithSpan, Word};

use crate::sql::lexer::{Lexer, SqlMode, Token as Lexed, TokenKind};
use crate::sql::span::Span;
use crate::sql::statement::{Unread, UnreadReason};

/// Most tokens of a statement that is read into a tree.
pub(super) const TOKENS_MAX: usize = 200_000;
/// Longest text of a string that is copied into the tree; the whole value is in [`crate::sql::Literal`].
const STRING_BYTES_MAX: usize = 256;

/// All tokens of the span, without comments.
pub(in crate::sql) fn collect(text: &[u8], span: Span, mode: SqlMode) -> Result<Vec<Lexed>, Unread> {
    let end = (span.end as usize).min(text.len());
    let mut lexer = Lexer::at(&text[..end], span.start as usize, mode);
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next_token();
        match token.kind {
            TokenKind::End => return Ok(tokens),
            TokenKind::Invalid => {
                return Err(Unread { at: token.span.start as usize, why: UnreadReason::Invalid });
            }
            _ => tokens.push(token),
        }
        if tokens.len() > TOKENS_MAX {
            let why = UnreadReason::TooComplex { what: "tokens", count: tokens.len(), limit: TOKENS_MAX };
            return Err(Unread { at: token.span.start as usize, why });
        }
    }
}

/// A place in the text as `sqlparser` keeps it: one line, the byte offset as the column.
fn place(span: Span) -> SourceSpan {
    let location = |offset: u32| Location::new(1, u64::from(offset) + 1);
    SourceSpan::new(location(span.start), location(span.end))
}

/// Any token at a place.
pub(super) fn at(token: Token, span: Span) -> TokenWithSpan {
    TokenWithSpan::new(token, place(span))
}

/// A keyword at a place.
pub(super) fn keyword(word: &str, span: Span) -> TokenWithSpan {
    at(Token::make_word(word, None), span)
}

/// The token for one of ours; `None` for an introducer, which the literal knows.
pub(super) fn convert(text: &[u8], token: Lexed, mode: SqlMode) -> Option<TokenWithSpan> {
    let bytes = token.span.of(text);
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let converted = match token.kind {
        TokenKind::Word => word(&String::from_utf8_lossy(bytes)),
        TokenKind::Name | TokenKind::UserVariable | TokenKind::SystemVariable => {
            Token::Word(Word { value: lossy(bytes), quote_style: None, keyword: Keyword::NoKeyword })
        }
        TokenKind::QuotedName => Token::Word(Word {
            value: unquote_name(bytes),
            quote_style: Some('`'),
            keyword: Keyword::NoKeyword,
        }),
        TokenKind::String => Token::SingleQuotedString(string_text(bytes)),
        TokenKind::NationalString => Token::NationalStringLiteral(string_text(bytes)),
        TokenKind::Hex => Token::HexStringLiteral(string_text(bytes)),
        TokenKind::Bit => Token::SingleQuotedByteStringLiteral(string_text(bytes)),
        TokenKind::Integer | TokenKind::Decimal | TokenKind::Float => Token::Number(lossy(bytes), false),
        TokenKind::Placeholder => Token::Placeholder("?".to_owned()),
        TokenKind::NullEscape => Token::make_word("NULL", None),
        TokenKind::Open => Token::LParen,
        TokenKind::Close => Token::RParen,
        TokenKind::Comma => Token::Comma,
        TokenKind::Dot => Token::Period,
        TokenKind::Semicolon => Token::SemiColon,
        TokenKind::Operator => operator(bytes, mode),
        _ => return None,
    };
    Some(at(converted, token.span))
}

/// Words that `sqlparser` gives a meaning that they have in no MySQL or MariaDB: there they are names, and an
/// alias `anti` must not turn a join into an anti-join.
const FOREIGN: &[Keyword] = &[
    Keyword::ANTI,
    Keyword::APPLY,
    Keyword::ARRAY,
    Keyword::ASOF,
    Keyword::CLUSTER,
    Keyword::CONNECT,
    Keyword::CONNECT_BY_ROOT,
    Keyword::DIRECTORY,
    Keyword::DISTRIBUTE,
    Keyword::FILL,
    Keyword::FILTER,
    Keyword::FINAL,
    Keyword::FORMAT,
    Keyword::FULL,
    Keyword::GLOB,
    Keyword::GLOBAL,
    Keyword::ILIKE,
    Keyword::INTERPOLATE,
    Keyword::LOCAL,
    Keyword::MAP,
    Keyword::MATCH_RECOGNIZE,
    Keyword::MERGE,
    Keyword::NOTNULL,
    Keyword::OPENJSON,
    Keyword::OPERATOR,
    Keyword::OUTPUT,
    Keyword::OVERLAPS,
    Keyword::OVERLAY,
    Keyword::OVERWRITE,
    Keyword::PIVOT,
    Keyword::PREWHERE,
    Keyword::PRIOR,
    Keyword::QUALIFY,
    Keyword::SAFE_CAST,
    Keyword::SAMPLE,
    Keyword::SEMI,
    Keyword::SETTINGS,
    Keyword::SIMILAR,
    Keyword::SORT,
    Keyword::START,
    Keyword::STRUCT,
    Keyword::TABLESAMPLE,
    Keyword::TOP,
    Keyword::TRY_CAST,
    Keyword::TRY_CONVERT,
    Keyword::UNNEST,
    Keyword::UNPIVOT,
    Keyword::VERSION,
    Keyword::XMLTABLE,
];

fn word(text: &str) -> Token {
    let mut token = Token::make_word(text, None);
    if let Token::Word(word) = &mut token
        && FOREIGN.contains(&word.keyword)
    {
        word.keyword = Keyword::NoKeyword;
    }
    token
}

fn operator(bytes: &[u8], mode: SqlMode) -> Token {
    match bytes {
        b"<=>" => Token::Spaceship,
        b"->>" => Token::LongArrow,
        b"->" => Token::Arrow,
        b"<=" => Token::LtEq,
        b"<>" | b"!=" => Token::Neq,
        b"<<" => Token::ShiftLeft,
        b">=" => Token::GtEq,
        b">>" => Token::ShiftRight,
        b"||" if mode.pipes_as_concat => Token::StringConcat,
        b"||" => Token::make_word("OR", None),
        b"&&" => Token::make_word("AND", None),
        b":=" => Token::Assignment,
        b"<" => Token::Lt,
        b">" => Token::Gt,
        b"=" => Token::Eq,
        b"!" => Token::ExclamationMark,
        b"|" => Token::Pipe,
        b"&" => Token::Ampersand,
        b"+" => Token::Plus,
        b"-" => Token::Minus,
        b"*" => Token::Mul,
        b"/" => Token::Div,
        b"%" => Token::Mod,
        b"^" => Token::Caret,
        b"~" => Token::Tilde,
        b"{" => Token::LBrace,
        b"}" => Token::RBrace,
        _ => Token::Colon,
    }
}

/// A name without its quotes; doubled quotes become one.
pub(in crate::sql) fn unquote_name(bytes: &[u8]) -> String {
    let Some((&quote, rest)) = bytes.split_first() else { return String::new() };
    let inner = rest.strip_suffix(&[quote]).unwrap_or(rest);
    let name = String::from_utf8_lossy(inner);
    let quote = char::from(quote);
    if name.contains(quote) {
        let doubled: String = [quote, quote].iter().collect();
        return name.replace(&doubled, &quote.to_string());
    }
    name.into_owned()
}

/// The text between the outer quotes, escapes as they are, cut at [`STRING_BYTES_MAX`].
fn string_text(bytes: &[u8]) -> String {
    let start = bytes.iter().position(|byte| matches!(byte, b'\'' | b'"')).map_or(0, |at| at + 1);
    let end = if start > 0 { bytes.len() - 1 } else { bytes.len() };
    let inner = bytes.get(start..end).unwrap_or_default();
    String::from_utf8_lossy(&inner[..inner.len().min(STRING_BYTES_MAX)]).into_owned()
}
