//! Expressions: the subqueries and function calls inside them.

use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, Expr, Function, ObjectName, Query, Visit, Visitor};

use crate::plan::functions::{FunctionKind, function_kind};
use crate::plan::names::SystemSchema;
use crate::plan::{Refusal, names};
use crate::vschema::{DatabaseTarget, Layout};

use super::scope::Scope;
use super::select::Around;
use super::{Walk, ident_at, ident_text, idents, unread};

impl Walk<'_> {
    /// Walks the subqueries and function calls of anything that holds expressions.
    pub(super) fn expressions<T: Visit>(
        &mut self,
        node: &T,
        scope: &Scope<'_>,
        around: Around<'_>,
    ) -> Result<(), Refusal> {
        let mut exprs = Exprs { walk: self, scope, around, depth: 0 };
        match node.visit(&mut exprs) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(refusal) => Err(refusal),
        }
    }

    fn function(&mut self, function: &Function) -> Result<(), Refusal> {
        let Some(parts) = idents(&function.name) else {
            return Err(unread("a function's name", 0));
        };
        match parts.as_slice() {
            [name] => {
                if function_kind(&name.value) == FunctionKind::Unknown || name.quote_style.is_some() {
                    self.uses.stored_function.get_or_insert(ident_at(name));
                }
                let is = |known: &&str| name.value.eq_ignore_ascii_case(known);
                self.uses.sequence |= ["NEXTVAL", "LASTVAL", "SETVAL"].iter().any(is);
                Ok(())
            }
            [database, _] => self.qualified_function(&ident_text(database), ident_at(database)),
            _ => Err(unread("a function's name", ident_at(parts[0]))),
        }
    }

    /// `database.function()`: a stored function, which reads what lies in its database.
    fn qualified_function(&mut self, database: &str, at: usize) -> Result<(), Refusal> {
        if SystemSchema::of(database).is_some() {
            self.uses.system_function.get_or_insert(at);
            return Ok(());
        }
        self.uses.stored_function.get_or_insert(at);
        match self.names.vschema.resolve_database(database) {
            Some(DatabaseTarget::Keyspace(keyspace)) => {
                self.enter(&keyspace, at)?;
                if matches!(keyspace.layout, Layout::DatabasePerWorkspace(_)) {
                    self.uses.unnamed = true;
                    self.uses.logical.push(at);
                }
                Ok(())
            }
            Some(DatabaseTarget::Workspace(keyspace, workspace)) => {
                self.uses.named.push(workspace);
                self.enter(&keyspace, at)
            }
            None => Err(names::unknown_database(database).at(at)),
        }
    }
}

struct Exprs<'w, 'a, 's> {
    walk: &'w mut Walk<'a>,
    scope: &'s Scope<'s>,
    around: Around<'s>,
    /// Queries entered; their insides are walked by [`Walk::query`].
    depth: usize,
}

impl Visitor for Exprs<'_, '_, '_> {
    type Break = Refusal;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Refusal> {
        if self.depth == 0 {
            self.walk.uses.not_simple = self.walk.uses.not_simple.or(Some("a subquery"));
            match self.walk.query(query, self.around.within(self.scope)) {
                Ok(yields) => self.walk.yields.insert(address(query), yields),
                Err(refusal) => return ControlFlow::Break(refusal),
            };
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Refusal> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Refusal> {
        if self.depth == 0 {
            if let Expr::Function(function) = expr
                && let Err(refusal) = self.walk.function(function)
            {
                return ControlFlow::Break(refusal);
            }
            if let Expr::CompoundIdentifier(parts) = expr {
                match parts.as_slice() {
                    [database, _, _] => {
                        self.walk.column_databases.push((ident_text(database), ident_at(database)));
                    }
                    [table, _] => {
                        self.walk.column_tables.insert(ident_at(table));
                    }
                    _ => {}
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// Where a query lies in memory: its name while the tree is walked.
pub(super) fn address(query: &Query) -> usize {
    std::ptr::from_ref(query) as usize
}

/// Says whether a block's rows depend on each other through these expressions: aggregates, window functions,
/// functions that are not known.
pub(super) fn is_aggregating<T: Visit>(node: &T) -> bool {
    node.visit(&mut Aggregates { depth: 0 }).is_break()
}

struct Aggregates {
    depth: usize,
}

impl Visitor for Aggregates {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        let aggregating = function.over.is_some()
            || single(&function.name).is_none_or(|name| {
                !matches!(function_kind(name), FunctionKind::Pure | FunctionKind::Session)
            });
        if self.depth == 0 && aggregating { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn single(name: &ObjectName) -> Option<&str> {
    match idents(name)?.as_slice() {
        [name] => Some(&name.value),
        _ => None,
    }
}

/// Says whether an expression holds an operator whose precedence differs between readers of SQL, so that AND
/// and OR around it may not be where they seem to be.
pub(super) fn is_dubious(expr: &Expr) -> bool {
    expr.visit(&mut Dubious).is_break()
}

struct Dubious;

impl Visitor for Dubious {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        use BinaryOperator as Op;
        let Expr::BinaryOp { op, .. } = expr else { return ControlFlow::Continue(()) };
        let known = matches!(
            op,
            Op::Plus
                | Op::Minus
                | Op::Multiply
                | Op::Divide
                | Op::Modulo
                | Op::MyIntegerDivide
                | Op::Gt
                | Op::Lt
                | Op::GtEq
                | Op::LtEq
                | Op::Spaceship
                | Op::Eq
                | Op::NotEq
                | Op::And
                | Op::Or
                | Op::Xor
                | Op::Custom(_)
                | Op::BitwiseOr
                | Op::BitwiseAnd
                | Op::BitwiseXor
                | Op::PGBitwiseShiftLeft
                | Op::PGBitwiseShiftRight
                | Op::Regexp
                | Op::Arrow
                | Op::LongArrow
        );
        if known { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}
