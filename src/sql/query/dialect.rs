//! MySQL's and MariaDB's expressions on `sqlparser`'s hooks.

use std::any::TypeId;

use sqlparser::ast::{BinaryOperator, CastKind, DataType, Expr, UnaryOperator};
use sqlparser::dialect::{Dialect, MySqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Word};

use crate::sql::lexer::SqlMode;

/// `-x`, `~x`, `!x`, `BINARY x`: tighter than every operator but COLLATE and `->`.
const UNARY: u8 = 47;
/// `@x := …` binds `@x` tighter than anything and takes everything to its right.
const ASSIGNMENT: u8 = 90;

/// The dialect: MySQL's, with what `sqlparser`'s own lacks and with MySQL's precedence.
#[derive(Debug)]
pub(super) struct Bulkhead {
    base: MySqlDialect,
    mode: SqlMode,
}

impl Bulkhead {
    pub(super) fn new(mode: SqlMode) -> Self {
        Self { base: MySqlDialect {}, mode }
    }
}

macro_rules! as_in_mysql {
    ($($name:ident)*) => {
        $(fn $name(&self) -> bool {
            self.base.$name()
        })*
    };
}

impl Dialect for Bulkhead {
    /// `sqlparser` asks for the type in places without a hook.
    fn dialect(&self) -> TypeId {
        self.base.dialect()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.base.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.base.is_identifier_part(ch)
    }

    as_in_mysql! {
        supports_numeric_prefix supports_bitwise_shift_operators require_interval_qualifier supports_limit_comma
        supports_create_table_select supports_insert_set supports_table_hints supports_match_against
        supports_select_modifiers supports_update_order_by supports_data_type_signed_suffix
        supports_cross_join_constraint supports_double_ampersand_operator supports_comment_optimizer_hint
        supports_group_by_with_modifier supports_left_associative_joins_without_parens
    }

    /// Our lexer joins adjacent strings; two string tokens in a row are something else.
    fn supports_string_literal_concatenation(&self) -> bool {
        false
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    fn is_table_factor_alias(&self, explicit: bool, keyword: &Keyword, parser: &mut Parser) -> bool {
        self.base.is_table_factor_alias(explicit, keyword, parser)
    }

    /// MySQL's table of operators; comparison and IS are one level, and looser than IN, LIKE and BETWEEN.
    fn prec_value(&self, precedence: Precedence) -> u8 {
        match precedence {
            Precedence::Period => 100,
            Precedence::PgOther => 60,
            Precedence::DoubleColon => 50,
            Precedence::Caret => 45,
            Precedence::AtTz => 41,
            Precedence::MulDivModOp => 40,
            Precedence::PlusMinus => 30,
            Precedence::Ampersand => 22,
            Precedence::Pipe | Precedence::Colon => 21,
            Precedence::Between | Precedence::Like => 19,
            Precedence::Eq | Precedence::Is => 17,
            Precedence::UnaryNot => 15,
            Precedence::And => 10,
            Precedence::Xor => 7,
            Precedence::Or => 5,
        }
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        let level = match &parser.peek_token_ref().token {
            Token::Assignment => ASSIGNMENT,
            Token::ShiftLeft | Token::ShiftRight => 25,
            Token::StringConcat => 46,
            Token::Word(word) if is_bare(word, "MOD") => self.prec_value(Precedence::MulDivModOp),
            Token::Word(word) if is_bare(word, "SOUNDS") && is_word(parser, 1, "LIKE") => {
                self.prec_value(Precedence::Like)
            }
            _ => return None,
        };
        Some(Ok(level))
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        match &parser.peek_token_ref().token {
            Token::ExclamationMark => Some(parse_unary(parser, UnaryOperator::BangNot)),
            Token::Minus => Some(parse_unary(parser, UnaryOperator::Minus)),
            Token::Plus => Some(parse_unary(parser, UnaryOperator::Plus)),
            Token::Tilde => Some(parse_unary(parser, UnaryOperator::BitwiseNot)),
            Token::Word(word) => match word.keyword {
                Keyword::NOT if self.mode.high_not_precedence => {
                    Some(parse_unary(parser, UnaryOperator::Not))
                }
                Keyword::BINARY => Some(parse_binary_cast(parser)),
                _ => None,
            },
            _ => None,
        }
    }

    fn parse_infix(
        &self,
        parser: &mut Parser,
        left: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        let (operator, right) = match &parser.peek_token_ref().token {
            Token::Assignment => (BinaryOperator::Assignment, 0),
            Token::Word(word) if is_bare(word, "DIV") => (BinaryOperator::MyIntegerDivide, precedence),
            Token::Word(word) if is_bare(word, "MOD") => (BinaryOperator::Modulo, precedence),
            Token::Word(word) if is_bare(word, "SOUNDS") => {
                parser.advance_token();
                (BinaryOperator::Custom("SOUNDS LIKE".to_owned()), precedence)
            }
            _ => return None,
        };
        parser.advance_token();
        Some(parser.parse_subexpr(right).map(|right| Expr::BinaryOp {
            left: Box::new(left.clone()),
            op: operator,
            right: Box::new(right),
        }))
    }
}

/// Says whether an unquoted word that is no mere name reads `text`.
fn is_bare(word: &Word, text: &str) -> bool {
    word.quote_style.is_none() && word.keyword != Keyword::NoKeyword && word.value.eq_ignore_ascii_case(text)
}

fn is_word(parser: &Parser, ahead: usize, word: &str) -> bool {
    matches!(&parser.peek_nth_token_ref(ahead).token, Token::Word(found) if found.value.eq_ignore_ascii_case(word))
}

fn parse_unary(parser: &mut Parser, op: UnaryOperator) -> Result<Expr, ParserError> {
    parser.advance_token();
    Ok(Expr::UnaryOp { op, expr: Box::new(parser.parse_subexpr(UNARY)?) })
}

/// `BINARY x`: only the operand is cast, not what follows it.
fn parse_binary_cast(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.advance_token();
    Ok(Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(parser.parse_subexpr(UNARY)?),
        data_type: DataType::Binary(None),
        format: None,
    })
}
