//! What a predicate says about routing columns.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{BinaryOperator, Expr, Value};

use super::exprs::{address, is_dubious};
use super::scope::{Scope, Slot};
use super::select::column_parts;
use super::{ColumnId, Source, Walk, idents, offset_of};

/// What holds for every row that a predicate lets pass.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The column equals one of the values.
    constants: BTreeMap<ColumnId, Vec<Source>>,
    /// Two columns are equal; the lesser id first.
    equal: BTreeSet<(ColumnId, ColumnId)>,
    /// The column equals some value of the other one: the second restricts the first.
    within: BTreeSet<(ColumnId, ColumnId)>,
}

impl Facts {
    pub(super) fn equal(&mut self, a: ColumnId, b: ColumnId) {
        if a != b {
            self.equal.insert((a.min(b), a.max(b)));
        }
    }

    fn and(mut self, other: Self) -> Self {
        for (column, sources) in other.constants {
            self.constants.entry(column).or_default().extend(sources);
        }
        self.equal.extend(other.equal);
        self.within.extend(other.within);
        self
    }

    /// What holds whichever side is true.
    fn or(mut self, mut other: Self) -> Self {
        self.constants.retain(|column, _| other.constants.contains_key(column));
        for (column, sources) in &mut self.constants {
            sources.extend(other.constants.remove(column).unwrap_or_default());
        }
        self.equal.retain(|pair| other.equal.contains(pair));
        self.within.retain(|pair| other.within.contains(pair));
        self
    }
}

/// One side of a comparison.
#[derive(Clone, Debug)]
enum Side {
    Columns(Vec<ColumnId>),
    Value(Source),
    Tuple(Vec<Side>),
    /// Anything else.
    Opaque,
}

impl Walk<'_> {
    /// What a condition says, seen from `scope`.
    pub(super) fn facts(&mut self, condition: &Expr, scope: &Scope<'_>) -> Facts {
        if is_dubious(condition) { Facts::default() } else { self.facts_of(condition, scope) }
    }

    fn facts_of(&mut self, condition: &Expr, scope: &Scope<'_>) -> Facts {
        match condition {
            Expr::Nested(inner) => self.facts_of(inner, scope),
            Expr::BinaryOp { op: BinaryOperator::And, .. } => {
                let parts = flatten(condition, &BinaryOperator::And);
                parts.into_iter().fold(Facts::default(), |facts, part| facts.and(self.facts_of(part, scope)))
            }
            Expr::BinaryOp { op: BinaryOperator::Or, .. } => {
                let parts = flatten(condition, &BinaryOperator::Or);
                let facts = parts.into_iter().map(|part| self.facts_of(part, scope));
                facts.collect::<Vec<_>>().into_iter().reduce(Facts::or).unwrap_or_default()
            }
            Expr::BinaryOp { left, op: op @ (BinaryOperator::Eq | BinaryOperator::Spaceship), right } => {
                let null_safe = *op == BinaryOperator::Spaceship;
                let (left, right) = (self.side(left, scope), self.side(right, scope));
                let mut facts = Facts::default();
                self.compare(&left, &right, (null_safe, at_of(condition)), &mut facts);
                facts
            }
            Expr::InList { expr, list, negated: false } => {
                let left = self.side(expr, scope);
                // Of the list's one side: a span of the whole list takes as long as the list.
                let at = at_of(expr);
                let facts = list.iter().map(|item| {
                    let right = self.side(item, scope);
                    let mut facts = Facts::default();
                    self.compare(&left, &right, (false, at), &mut facts);
                    facts
                });
                facts.collect::<Vec<_>>().into_iter().reduce(Facts::or).unwrap_or_default()
            }
            Expr::InSubquery { expr, subquery, negated: false } => {
                let left = self.side(expr, scope);
                self.within(&left, address(subquery))
            }
            _ => Facts::default(),
        }
    }

    fn side(&self, expr: &Expr, scope: &Scope<'_>) -> Side {
        match expr {
            Expr::Nested(inner) => self.side(inner, scope),
            Expr::Tuple(items) => Side::Tuple(items.iter().map(|item| self.side(item, scope)).collect()),
            _ => match (self.value(expr), column_parts(expr)) {
                (Some(source), _) => Side::Value(source),
                (None, Some(parts)) => Side::Columns(scope.resolve(parts)),
                (None, None) => Side::Opaque,
            },
        }
    }

    /// The source of a plain value: a literal, a parameter, `DATABASE()`.
    pub(super) fn value(&self, expr: &Expr) -> Option<Source> {
        match expr {
            Expr::Nested(inner) => self.value(inner),
            Expr::Prefixed { prefix, value } if prefix.value.starts_with('_') => self.value(value),
            Expr::Value(value) => {
                let at = offset_of(value.span);
                match value.value {
                    Value::Placeholder(_) => self.scan.placeholder_at(at).map(Source::Parameter),
                    Value::Null | Value::Boolean(_) => None,
                    _ => self.scan.literal_at(at).map(Source::Literal),
                }
            }
            Expr::Function(function) => {
                let names = idents(&function.name)?;
                let [name] = names.as_slice() else { return None };
                let current =
                    ["DATABASE", "SCHEMA"].iter().any(|known| name.value.eq_ignore_ascii_case(known));
                (current && name.quote_style.is_none()).then_some(Source::CurrentDatabase)
            }
            _ => None,
        }
    }

    fn compare(&mut self, left: &Side, right: &Side, how: (bool, usize), facts: &mut Facts) {
        let (null_safe, at) = how;
        match (left, right) {
            (Side::Columns(columns), Side::Value(source)) | (Side::Value(source), Side::Columns(columns)) => {
                for column in columns {
                    let of_schema = *self.slot(*column) == Slot::Schema;
                    if *source == Source::CurrentDatabase && !of_schema {
                        self.near_misses.push((*column, at));
                    } else {
                        facts.constants.entry(*column).or_default().push(source.clone());
                    }
                }
            }
            // `a <=> b` also lets pass rows where both are NULL, as outer joins make them.
            (Side::Columns(a), Side::Columns(b)) if !null_safe => {
                if let ([a], [b]) = (a.as_slice(), b.as_slice()) {
                    facts.equal(*a, *b);
                }
            }
            (Side::Tuple(left), Side::Tuple(right)) if left.len() == right.len() => {
                for (left, right) in left.iter().zip(right) {
                    self.compare(left, right, how, facts);
                }
            }
            (Side::Columns(columns), Side::Opaque) | (Side::Opaque, Side::Columns(columns)) => {
                self.near_misses.extend(columns.iter().map(|column| (*column, at)));
            }
            _ => {}
        }
    }

    /// `expr IN (subquery)`: the expression is restricted to what the subquery yields, and, when nothing in
    /// the subquery depends on rows that do not match, the subquery to the expression.
    fn within(&self, left: &Side, subquery: usize) -> Facts {
        let mut facts = Facts::default();
        let Some(yields) = self.yields.get(&subquery) else { return facts };
        let Some(positions) = &yields.positions else { return facts };
        let left = match left {
            Side::Tuple(items) => items.as_slice(),
            single => std::slice::from_ref(single),
        };
        if left.len() != positions.len() {
            return facts;
        }
        for (side, (_, inside)) in left.iter().zip(positions) {
            if let (Side::Columns(columns), Some(inside)) = (side, inside) {
                for column in columns {
                    facts.within.insert((*column, *inside));
                    if yields.transparent && columns.len() == 1 {
                        facts.within.insert((*inside, *column));
                    }
                }
            }
        }
        facts
    }

    /// Takes over what a condition says about `restricted` columns: those whose rows it removes.
    pub(super) fn apply(&mut self, facts: Facts, restricted: &[ColumnId]) {
        for (column, sources) in facts.constants {
            if restricted.contains(&column) {
                self.constants.push((column, sources));
            }
        }
        for (a, b) in facts.equal {
            if self.slot(a) != self.slot(b) {
                continue;
            }
            if restricted.contains(&b) {
                self.rules.push((vec![a], b));
            }
            if restricted.contains(&a) {
                self.rules.push((vec![b], a));
            }
        }
        for (column, by) in facts.within {
            // The columns of the subquery are not among the block's own: they are restricted by being looked
            // up.
            let inside_subquery = !restricted.contains(&column) && restricted.contains(&by);
            if self.slot(column) == self.slot(by) && (restricted.contains(&column) || inside_subquery) {
                self.rules.push((vec![by], column));
            }
        }
    }
}

/// The operands of a chain of one operator, without recursion.
fn flatten<'e>(expr: &'e Expr, chain: &BinaryOperator) -> Vec<&'e Expr> {
    let mut parts = Vec::new();
    let mut rest = vec![expr];
    while let Some(next) = rest.pop() {
        match next {
            Expr::BinaryOp { left, op, right } if op == chain => rest.extend([&**right, &**left]),
            part => parts.push(part),
        }
    }
    parts
}

/// Where an expression starts, as far as the tree tells.
fn at_of(expr: &Expr) -> usize {
    use sqlparser::ast::Spanned;
    offset_of(expr.span())
}
