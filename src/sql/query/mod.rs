//! SELECT and DML, read by `sqlparser` from our own tokens.
//!
//! `sqlparser` never sees the text: tokens come from our lexer ([`tokens`]), MySQL's forms that it does not
//! know are rewritten in the token stream ([`rewrite`]) or read by hooks of our dialect ([`dialect`]), and
//! precedence is MySQL's. Every token carries its byte offset as a column, so spans in the tree lead back to
//! the text. Trees are for looking, never for printing: modifiers, locking clauses, INTO, partitions and
//! index hints are not in them; [`super::ScanFlags`] tells of those that matter.

mod dialect;
mod limits;
mod rewrite;
mod tokens;

pub(super) use tokens::{collect, unquote_name};

use sqlparser::ast::Statement;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::lexer::SqlMode;
use super::scan::{Scan, StatementKind};
use super::span::Span;
use super::statement::{Unread, UnreadReason};

/// Deepest nesting of parentheses and subqueries.
const NESTING_MAX: usize = 80;

/// The byte span of a node, from the span that `sqlparser` gives; `None` for nodes without a place.
pub fn byte_span(span: sqlparser::tokenizer::Span) -> Option<Span> {
    let offset = |column: u64| usize::try_from(column).ok()?.checked_sub(1);
    (span.start.line == 1).then_some(())?;
    Some(Span::new(offset(span.start.column)?, offset(span.end.column)?))
}

/// Reads the query of `scan`.
pub(super) fn parse_query(text: &[u8], scan: &Scan, mode: SqlMode) -> Result<Box<Statement>, Unread> {
    parse_span(text, scan.body, scan.kind, mode)
}

/// Reads the query in `span`, of which the kind is known.
pub(super) fn parse_span(
    text: &[u8],
    span: Span,
    kind: StatementKind,
    mode: SqlMode,
) -> Result<Box<Statement>, Unread> {
    let collected = tokens::collect(text, span, mode)?;
    limits::check(text, &collected)?;
    let tokens = rewrite::rewrite(text, &collected, mode);
    let dialect = dialect::Bulkhead::new(mode);
    let mut parser =
        Parser::new(&dialect).with_recursion_limit(NESTING_MAX).with_tokens_with_locations(tokens);
    let parsed = read(&mut parser, kind);
    let next: &TokenWithSpan = parser.peek_token_ref();
    let at = byte_span(next.span).map_or(span.end as usize, |span| span.start as usize);
    let unread = |why| Unread { at, why };
    match parsed {
        Ok(statement) if next.token == Token::EOF => Ok(Box::new(statement)),
        Ok(_) => Err(unread(UnreadReason::Form("more than one statement, or an unknown clause"))),
        Err(sqlparser::parser::ParserError::RecursionLimitExceeded) => {
            Err(unread(UnreadReason::TooComplex {
                what: "nested parts",
                count: NESTING_MAX,
                limit: NESTING_MAX,
            }))
        }
        Err(_) => Err(unread(UnreadReason::Form("an unknown form"))),
    }
}

fn read(parser: &mut Parser<'_>, kind: StatementKind) -> Result<Statement, sqlparser::parser::ParserError> {
    use sqlparser::keywords::Keyword;
    let with = matches!(&parser.peek_token_ref().token, Token::Word(word) if word.keyword == Keyword::WITH);
    match kind {
        _ if with => parser.parse_query().map(Statement::Query),
        StatementKind::Insert | StatementKind::Replace => {
            let token = parser.next_token();
            let mut statement = parser.parse_insert(token)?;
            if let Statement::Insert(insert) = &mut statement {
                insert.replace_into = kind == StatementKind::Replace;
            }
            Ok(statement)
        }
        StatementKind::Update => {
            let token = parser.next_token();
            parser.parse_update(token)
        }
        StatementKind::Delete => {
            let token = parser.next_token();
            parser.parse_delete(token)
        }
        _ => parser.parse_query().map(Statement::Query),
    }
}

#[cfg(test)]
mod tests;
