//! Refusing what would make a deep tree.
//!
//! `sqlparser` builds left-deep trees for chains of operators, and dropping or walking such a tree recurses
//! once per operator: `SELECT 1+1+1…` of 120 KB would end the process. Chains are therefore counted before
//! parsing.

use crate::sql::lexer::{Token, TokenKind};
use crate::sql::statement::{Unread, UnreadReason};

/// Longest chain of operators, counted through open parentheses.
pub(super) const OPERATORS_MAX: usize = 1_500;

/// Words that make one node of a chain.
const OPERATOR_WORDS: &[&str] = &[
    "AND",
    "OR",
    "XOR",
    "NOT",
    "IS",
    "IN",
    "LIKE",
    "BETWEEN",
    "REGEXP",
    "RLIKE",
    "DIV",
    "MOD",
    "COLLATE",
    "SOUNDS",
    "MEMBER",
    "BINARY",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "MINUS",
    "ILIKE",
    "SIMILAR",
    "OVERLAPS",
    "AT",
    "MATCH",
    "GLOB",
    "OPERATOR",
    "ISNULL",
    "NOTNULL",
    "INTERVAL",
    "PRIOR",
    "CASE",
];

/// Words whose chain a comma does not end.
const SET_WORDS: &[&str] = &["UNION", "EXCEPT", "INTERSECT", "MINUS", "JOIN", "STRAIGHT_JOIN"];

#[derive(Clone, Copy, Default)]
struct Level {
    operators: usize,
    sets: usize,
}

/// Counts chains.
///
/// # Errors
/// [`UnreadReason::TooComplex`] at the operator that is too many.
pub(super) fn check(text: &[u8], tokens: &[Token]) -> Result<(), Unread> {
    let mut levels = vec![Level::default()];
    let mut total = 0usize;
    for token in tokens {
        let Some(level) = levels.last_mut() else { return Ok(()) };
        match token.kind {
            TokenKind::Open => levels.push(Level::default()),
            TokenKind::Close => {
                total -= level.operators + level.sets;
                levels.pop();
                if levels.is_empty() {
                    levels.push(Level::default());
                }
            }
            TokenKind::Comma => {
                total -= level.operators;
                level.operators = 0;
            }
            TokenKind::Operator => {
                level.operators += 1;
                total += 1;
            }
            TokenKind::Word => {
                let bytes = token.span.of(text);
                let is =
                    |words: &[&str]| words.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(bytes));
                if is(SET_WORDS) {
                    level.sets += 1;
                    total += 1;
                } else if is(OPERATOR_WORDS) {
                    level.operators += 1;
                    total += 1;
                }
            }
            _ => {}
        }
        if total > OPERATORS_MAX {
            let why = UnreadReason::TooComplex { what: "operators", count: total, limit: OPERATORS_MAX };
            return Err(Unread { at: token.span.start as usize, why });
        }
    }
    Ok(())
}
