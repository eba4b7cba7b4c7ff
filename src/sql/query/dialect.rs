//! MySQL's and MariaDB's expressions on `sqlparser`'s hooks.

use std::any::TypeId;

use sqlparser::ast::{BinaryOperator, CastKind, DataType, Expr, UnaryOperator};
use sqlparser::dialect::{Dialect, MySqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

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
    /// The pattern of AGAINST ends before `IN … MODE`.
    const AGAINST: u8 = 20;

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
        supports_numeric_prefix supports_bitwise_shift_operators require_interval_qualifier
        supports_limit_comma
        supports_insert_set supports_table_hints supports_match_against
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
            Token::CustomBinaryOperator(_) => self.prec_value(Precedence::Like),
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
                Keyword::MATCH => Some(parse_match(parser)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Only for `:=`: the left side is a variable, the right side is all that follows.
    fn parse_infix(
        &self,
        parser: &mut Parser,
        left: &Expr,
        _precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        if parser.peek_token_ref().token != Token::Assignment {
            return None;
        }
        parser.advance_token();
        Some(parser.parse_subexpr(0).map(|right| Expr::BinaryOp {
            left: Box::new(left.clone()),
            op: BinaryOperator::Assignment,
            right: Box::new(right),
        }))
    }
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

/// `MATCH (a, b) AGAINST (x IN BOOLEAN MODE)`: columns with or without parentheses, any expression as the
/// pattern.
fn parse_match(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.advance_token();
    let parenthesis = parser.consume_token(&Token::LParen);
    let columns = parser.parse_comma_separated(|parser| parser.parse_object_name(false))?;
    if parenthesis {
        parser.expect_token(&Token::RParen)?;
    }
    parser.expect_keyword(Keyword::AGAINST)?;
    parser.expect_token(&Token::LParen)?;
    let pattern = parser.parse_subexpr(Bulkhead::AGAINST)?;
    let modes = [
        [Keyword::IN, Keyword::NATURAL, Keyword::LANGUAGE, Keyword::MODE].as_slice(),
        &[Keyword::IN, Keyword::BOOLEAN, Keyword::MODE],
        &[Keyword::WITH, Keyword::QUERY, Keyword::EXPANSION],
    ];
    while modes.iter().any(|mode| parser.parse_keywords(mode)) {}
    parser.expect_token(&Token::RParen)?;
    let columns = columns.into_iter().filter_map(|name| {
        let parts: Vec<_> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
        (!parts.is_empty()).then_some(Expr::CompoundIdentifier(parts))
    });
    Ok(Expr::BinaryOp {
        left: Box::new(Expr::Tuple(columns.collect())),
        op: BinaryOperator::Custom("AGAINST".to_owned()),
        right: Box::new(pattern),
    })
}
