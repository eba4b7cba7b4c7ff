//! Reading SQL: what MySQL's lexer and parser would see, without a server.
//!
//! Three steps, each usable alone: [`Lexer`] turns bytes into tokens by MySQL's rules; `scan` walks them
//! once per statement and gives kind, shape, literals and comment tags without allocating; [`parse`] reads
//! the statement when its shape is new. Rewriting is by byte spans of the client's own text, never by
//! printing a tree; [`quote`] is the one way to put names and values into SQL that we build.
//!
//! It knows no shards, no schema, no session.

mod lexer;
mod query;
pub mod quote;
mod scan;
mod span;
mod statement;

pub use lexer::{ClientCharset, Lexer, Literal, LiteralKind, ServerVersion, SqlMode, Token, TokenKind};
pub use query::byte_span;
pub use scan::{
    COMMENTS_MAX, Directives, LITERALS_MAX, Scan, ScanFlags, StatementKind, TagError, digest, directives,
    normalize, scan, workspace_tag,
};
pub use span::Span;
pub use statement::*;

#[cfg(test)]
mod tests;
