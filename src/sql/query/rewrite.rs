//! MySQL's forms that `sqlparser` does not know, rewritten in the token stream.

use sqlparser::tokenizer::TokenWithSpan;

use super::tokens::convert;
use crate::sql::lexer::{SqlMode, Token};
use crate::sql::statement::Unread;

/// Turns our tokens into `sqlparser`'s.
pub(super) fn rewrite(text: &[u8], tokens: Vec<Token>, mode: SqlMode) -> Result<Vec<TokenWithSpan>, Unread> {
    Ok(tokens.into_iter().filter_map(|token| convert(text, token, mode)).collect())
}
