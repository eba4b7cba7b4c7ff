//! Query blocks: WITH, FROM, joins, set operations.

use sqlparser::ast::{
    Cte, GroupByExpr, Join, JoinConstraint, JoinOperator, LimitClause, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, SetOperator, TableAlias, TableFactor, TableWithJoins, With,
};

use crate::error::Code;
use crate::plan::Refusal;
use crate::sql::ScanFlags;

use super::exprs::{address, is_aggregating};
use super::scope::{CteName, Ctes, Relation, Scope, Yield};
use super::{ColumnId, Walk, ident_at, ident_text, idents, table_ref, unread};

/// What surrounds a query block: blocks outside, CTEs in sight.
#[derive(Clone, Copy)]
pub(super) struct Around<'p> {
    pub(super) outer: Option<&'p Scope<'p>>,
    pub(super) ctes: Option<&'p Ctes<'p>>,
}

impl<'p> Around<'p> {
    pub(super) fn within(self, outer: &'p Scope<'p>) -> Self {
        Self { outer: Some(outer), ..self }
    }
}

/// Which side of a join keeps its rows when nothing matches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeps {
    Neither,
    Left,
    Right,
}

impl Walk<'_> {
    /// A query expression with its WITH, ORDER BY and LIMIT.
    pub(super) fn query(&mut self, query: &Query, around: Around<'_>) -> Result<Yield, Refusal> {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks: _,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        let foreign = fetch.is_some()
            || for_clause.is_some()
            || settings.is_some()
            || format_clause.is_some()
            || !pipe_operators.is_empty();
        if foreign {
            return Err(unread("a clause that is not MySQL's", 0));
        }
        let recursive = with.as_ref().is_some_and(|with| with.recursive);
        let tables = with.as_ref().map_or(&[][..], |with| &with.cte_tables);
        let ctes = Ctes { outer: around.ctes, tables, own: None, recursive };
        let around = Around { outer: around.outer, ctes: Some(&ctes) };
        if with.is_some() {
            self.uses.not_simple = self.uses.not_simple.or(Some("WITH"));
        }
        let mut yields = self.set_expr(body, Some(query), around)?;
        if let Some(order_by) = order_by {
            self.uses.not_simple = self.uses.not_simple.or(Some("ORDER BY"));
            yields.transparent &= !is_aggregating(order_by);
        }
        if let Some(limit) = limit_clause {
            self.uses.not_simple = self.uses.not_simple.or(Some("LIMIT"));
            yields.transparent = false;
            self.limit(limit, around)?;
        }
        if let Some(with) = with {
            self.unused_ctes(with, around)?;
        }
        Ok(yields)
    }

    fn limit(&mut self, limit: &LimitClause, around: Around<'_>) -> Result<(), Refusal> {
        let scope = Scope::new(around.outer);
        self.expressions(limit, &scope, around)
    }

    /// Walks the CTEs that nothing refers to; the others are walked where their names stand.
    fn unused_ctes(&mut self, with: &With, around: Around<'_>) -> Result<(), Refusal> {
        for (at, cte) in with.cte_tables.iter().enumerate() {
            if self.used_ctes.contains(&address(&cte.query)) {
                continue;
            }
            let outer = around.ctes.and_then(|ctes| ctes.outer);
            let visible =
                Ctes { outer, tables: &with.cte_tables[..at], own: None, recursive: with.recursive };
            self.cte(cte, visible, around.outer)?;
        }
        Ok(())
    }

    /// What a CTE yields.
    fn cte(&mut self, cte: &Cte, visible: Ctes<'_>, outer: Option<&Scope<'_>>) -> Result<Yield, Refusal> {
        if cte.from.is_some() {
            return Err(unread("a WITH clause that is not MySQL's", ident_at(&cte.alias.name)));
        }
        if !visible.recursive {
            return self.query(&cte.query, Around { outer, ctes: Some(&visible) });
        }
        self.recursive_cte(cte, visible, outer)
    }

    /// A CTE of WITH RECURSIVE: the first arm is the seed; the others see the CTE itself, whose columns are
    /// bound if the seed's are. That assumption holds for every round only if the other arms' columns are
    /// bound too, so what the CTE yields is bound only when all arms are.
    fn recursive_cte(
        &mut self,
        cte: &Cte,
        visible: Ctes<'_>,
        outer: Option<&Scope<'_>>,
    ) -> Result<Yield, Refusal> {
        let name = ident_text(&cte.alias.name);
        let columns: Vec<String> = cte.alias.columns.iter().map(|column| ident_text(&column.name)).collect();
        let hidden = Yield::default();
        let mut frame = Ctes { own: Some((&name, &hidden)), ..visible };
        let SetExpr::SetOperation { left, .. } = &*cte.query.body else {
            return self.query(&cte.query, Around { outer, ctes: Some(&frame) });
        };
        if cte.query.with.is_some() {
            return self.query(&cte.query, Around { outer, ctes: Some(&frame) });
        }
        let seed = self.set_expr(left, None, Around { outer, ctes: Some(&frame) })?;
        let positions = seed.positions.unwrap_or_default();
        let assumed: Vec<(String, Option<ColumnId>)> = positions
            .iter()
            .enumerate()
            .map(|(at, (name, id))| {
                let name = columns.get(at).unwrap_or(name).clone();
                (name, id.map(|id| self.outside(&[id])))
            })
            .collect();
        let named = assumed.iter().filter_map(|(name, id)| id.map(|id| (name.clone(), id))).collect();
        let own = Yield { named, positions: Some(assumed.clone()), transparent: false };
        frame.own = Some((&name, &own));
        let mut yields = self.query(&cte.query, Around { outer, ctes: Some(&frame) })?;
        yields.transparent = false;
        self.oblige_recursion(&assumed, &yields);
        Ok(yields)
    }

    /// What was assumed of the recursive reference must hold for what the whole CTE yields; where it is not
    /// proven, a rule that cannot fire takes the assumption's place.
    fn oblige_recursion(&mut self, assumed: &[(String, Option<ColumnId>)], yields: &Yield) {
        let positions = yields.positions.clone().unwrap_or_default();
        for (at, (_, id)) in assumed.iter().enumerate() {
            let Some(id) = id else { continue };
            let whole = positions.get(at).and_then(|(_, whole)| *whole);
            match whole {
                Some(whole) => self.obligations.push((*id, whole)),
                None => self.rules.retain(|(_, then)| then != id),
            }
        }
    }

    /// One arm or a set operation. `tail` is the query whose ORDER BY belongs to a single SELECT.
    fn set_expr(
        &mut self,
        body: &SetExpr,
        tail: Option<&Query>,
        around: Around<'_>,
    ) -> Result<Yield, Refusal> {
        match body {
            SetExpr::Select(select) => self.select(select, tail, around),
            SetExpr::Query(query) => {
                self.tail(tail, &Scope::new(around.outer), around)?;
                self.query(query, around)
            }
            SetExpr::SetOperation { left, op, right, .. } => {
                self.uses.not_simple = self.uses.not_simple.or(Some("a set operation"));
                let left = self.set_expr(left, None, around)?;
                let right = self.set_expr(right, None, around)?;
                self.tail(tail, &Scope::new(around.outer), around)?;
                Ok(self.united(left, right, *op == SetOperator::Union))
            }
            SetExpr::Values(values) => {
                let scope = Scope::new(around.outer);
                self.expressions(values, &scope, around)?;
                self.tail(tail, &scope, around)?;
                Ok(Yield::default())
            }
            SetExpr::Table(table) => {
                self.uses.not_simple = self.uses.not_simple.or(Some("TABLE"));
                self.table_statement(table.schema_name.as_deref(), table.table_name.as_deref(), around)
            }
            SetExpr::Insert(statement) | SetExpr::Update(statement) | SetExpr::Delete(statement) => {
                self.statement(statement, Some(around))?;
                Ok(Yield::default())
            }
            SetExpr::Merge(_) => Err(unread("MERGE", 0)),
        }
    }

    /// `TABLE t`: all rows of it.
    fn table_statement(
        &mut self,
        database: Option<&str>,
        table: Option<&str>,
        around: Around<'_>,
    ) -> Result<Yield, Refusal> {
        let unquoted = |name: &str| name.trim_matches('`').replace("``", "`");
        let table = unquoted(table.ok_or_else(|| unread("TABLE without a name", 0))?);
        if database.is_none() && around.ctes.is_some_and(|ctes| ctes.find(&table).is_some()) {
            return Err(unread("TABLE of a WITH name", 0));
        }
        let table = super::TableRef { database: database.map(unquoted), table, at: usize::MAX };
        let columns = self.table(&table)?;
        Ok(Yield { named: columns, positions: None, transparent: true })
    }

    /// ORDER BY of a query, seen from the scope it belongs to.
    fn tail(&mut self, tail: Option<&Query>, scope: &Scope<'_>, around: Around<'_>) -> Result<(), Refusal> {
        match tail.and_then(|query| query.order_by.as_ref()) {
            Some(order_by) => self.expressions(order_by, scope, around),
            None => Ok(()),
        }
    }

    /// The columns of a set operation: bound when both arms' are. Restricting a column of a union restricts
    /// the arms through which that can be done.
    fn united(&mut self, left: Yield, right: Yield, union: bool) -> Yield {
        let through = (union && left.transparent, union && right.transparent);
        let (Some(left), Some(right)) = (left.positions, right.positions) else {
            return Yield::default();
        };
        let positions: Vec<_> = left
            .into_iter()
            .zip(right)
            .map(|((name, a), (_, b))| (name, self.united_column(a, b, through)))
            .collect();
        let named = positions.iter().filter_map(|(name, id)| id.map(|id| (name.clone(), id))).collect();
        Yield { named, positions: Some(positions), transparent: union }
    }

    fn united_column(
        &mut self,
        a: Option<ColumnId>,
        b: Option<ColumnId>,
        through: (bool, bool),
    ) -> Option<ColumnId> {
        let (a, b) = (a?, b?);
        if self.slot(a) != self.slot(b) {
            return None;
        }
        let id = self.outside(&[a, b]);
        if through.0 {
            self.rules.push((vec![id], a));
        }
        if through.1 {
            self.rules.push((vec![id], b));
        }
        Some(id)
    }

    fn select(
        &mut self,
        select: &Select,
        tail: Option<&Query>,
        around: Around<'_>,
    ) -> Result<Yield, Refusal> {
        check_mysql(select)?;
        let mut scope = Scope::new(around.outer);
        for item in &select.from {
            self.table_with_joins(item, &mut scope, around)?;
        }
        if select.from.len() > 1 {
            self.uses.not_simple = self.uses.not_simple.or(Some("a join"));
        }
        if let Some(selection) = &select.selection {
            self.predicate(selection, &scope, around)?;
        }
        self.expressions(&select.projection, &scope, around)?;
        self.expressions(&select.group_by, &scope, around)?;
        self.expressions(&select.having, &scope, around)?;
        self.expressions(&select.named_window, &scope, around)?;
        self.expressions(&select.distinct, &scope, around)?;
        self.tail(tail, &scope, around)?;
        let grouped = match &select.group_by {
            GroupByExpr::Expressions(by, with) => !by.is_empty() || !with.is_empty(),
            GroupByExpr::All(_) => true,
        };
        let grouping = grouped
            || select.having.is_some()
            || is_aggregating(&select.projection)
            || self.scan.flags.contains(ScanFlags::ASSIGNMENT);
        if grouping || select.distinct.is_some() {
            self.uses.not_simple = self.uses.not_simple.or(Some("grouping, an aggregate or DISTINCT"));
        }
        Ok(yields_of(&select.projection, &scope, !grouping && !select.from.is_empty()))
    }

    /// WHERE of a block: what it says holds for all of the block's relations.
    pub(super) fn predicate(
        &mut self,
        selection: &sqlparser::ast::Expr,
        scope: &Scope<'_>,
        around: Around<'_>,
    ) -> Result<(), Refusal> {
        self.expressions(selection, scope, around)?;
        let facts = self.facts(selection, scope);
        let all = scope.columns(0, scope.relations.len());
        self.apply(facts, &all);
        Ok(())
    }

    /// One item of FROM.
    pub(super) fn table_with_joins(
        &mut self,
        item: &TableWithJoins,
        scope: &mut Scope<'_>,
        around: Around<'_>,
    ) -> Result<(), Refusal> {
        let start = scope.relations.len();
        self.factor(&item.relation, scope, around)?;
        for join in &item.joins {
            self.uses.not_simple = self.uses.not_simple.or(Some("a join"));
            self.join(join, start, scope, around)?;
        }
        Ok(())
    }

    fn join(
        &mut self,
        join: &Join,
        start: usize,
        scope: &mut Scope<'_>,
        around: Around<'_>,
    ) -> Result<(), Refusal> {
        let (keeps, constraint) = match &join.join_operator {
            JoinOperator::Join(on)
            | JoinOperator::Inner(on)
            | JoinOperator::CrossJoin(on)
            | JoinOperator::StraightJoin(on) => (Keeps::Neither, on),
            JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (Keeps::Left, on),
            JoinOperator::Right(on) | JoinOperator::RightOuter(on) => (Keeps::Right, on),
            _ => return Err(unread("a join that is not MySQL's", 0)),
        };
        let middle = scope.relations.len();
        self.factor(&join.relation, scope, around)?;
        let end = scope.relations.len();
        let restricted = match keeps {
            Keeps::Neither => scope.columns(start, end),
            Keeps::Left => scope.columns(middle, end),
            Keeps::Right => scope.columns(start, middle),
        };
        match constraint {
            JoinConstraint::On(condition) => {
                let seen = scope.part(start);
                self.expressions(condition, &seen, around)?;
                let facts = self.facts(condition, &seen);
                self.apply(facts, &restricted);
            }
            JoinConstraint::Using(names) => {
                let names = names.iter().filter_map(|name| idents(name)?.last().map(|i| ident_text(i)));
                self.join_by_name(&names.collect::<Vec<_>>(), (start, middle), scope, &restricted);
            }
            JoinConstraint::Natural => {
                let right = &scope.relations[middle..end];
                let names: Vec<String> =
                    right.iter().flat_map(|r| r.columns.iter().map(|(name, _)| name.clone())).collect();
                self.join_by_name(&names, (start, middle), scope, &restricted);
            }
            JoinConstraint::None => {}
        }
        Ok(())
    }

    /// USING and NATURAL: columns of one name on both sides are equal.
    fn join_by_name(
        &mut self,
        names: &[String],
        (start, middle): (usize, usize),
        scope: &mut Scope<'_>,
        restricted: &[ColumnId],
    ) {
        for name in names {
            let of = |relations: &[Relation]| -> Vec<ColumnId> {
                relations.iter().filter_map(|relation| relation.column(name)).collect()
            };
            let (left, right) = (of(&scope.relations[start..middle]), of(&scope.relations[middle..]));
            let was_joined = scope.joined.iter().any(|joined| joined.eq_ignore_ascii_case(name));
            let left_is_one = left.len() == 1 || (was_joined && !left.is_empty());
            if !left_is_one || right.len() != 1 {
                continue;
            }
            let mut facts = super::facts::Facts::default();
            facts.equal(left[0], right[0]);
            self.apply(facts, restricted);
            scope.joined.push(name.clone());
        }
    }

    fn factor(
        &mut self,
        factor: &TableFactor,
        scope: &mut Scope<'_>,
        around: Around<'_>,
    ) -> Result<(), Refusal> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                version: None,
                json_path: None,
                sample: None,
                ..
            } => {
                let relation = self.named_table(name, alias.as_ref(), around)?;
                scope.relations.push(relation);
                Ok(())
            }
            TableFactor::Derived { lateral, subquery, alias, sample: None } => {
                self.uses.not_simple = self.uses.not_simple.or(Some("a derived table"));
                let yields = if *lateral {
                    self.query(subquery, around.within(scope))?
                } else {
                    self.query(subquery, around)?
                };
                let relation = self.aliased(alias.as_ref(), &yields)?;
                scope.relations.push(relation);
                Ok(())
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.table_with_joins(table_with_joins, scope, around)
            }
            TableFactor::JsonTable { json_expr, alias, .. } => {
                self.uses.not_simple = self.uses.not_simple.or(Some("JSON_TABLE"));
                self.expressions(json_expr, scope, around)?;
                let name = alias.as_ref().map(|alias| ident_text(&alias.name)).unwrap_or_default();
                self.visible.insert(name.clone());
                scope.relations.push(Relation { name, ..Relation::default() });
                Ok(())
            }
            _ => Err(unread("a table expression that is not known", 0)),
        }
    }

    fn aliased(&mut self, alias: Option<&TableAlias>, yields: &Yield) -> Result<Relation, Refusal> {
        let Some(alias) = alias else {
            return Err(unread("a derived table without a name", 0));
        };
        let columns: Vec<String> = alias.columns.iter().map(|column| ident_text(&column.name)).collect();
        self.visible.insert(ident_text(&alias.name));
        Ok(self.derived(ident_text(&alias.name), yields, &columns))
    }

    /// A name in FROM: a CTE or a table.
    pub(super) fn named_table(
        &mut self,
        name: &sqlparser::ast::ObjectName,
        alias: Option<&TableAlias>,
        around: Around<'_>,
    ) -> Result<Relation, Refusal> {
        let table = table_ref(name).ok_or_else(|| unread("a table's name of more than two parts", 0))?;
        let visible_name = alias.map_or(table.table.clone(), |alias| ident_text(&alias.name));
        self.visible.insert(visible_name.clone());
        let found = match (&table.database, around.ctes) {
            (None, Some(ctes)) => ctes.find(&table.table),
            _ => None,
        };
        if let Some((cte, exact)) = found {
            self.seen.insert(table.at);
            self.count_relation(table.at)?;
            if !exact {
                return Err(unread("a name that differs from a WITH name in case only", table.at));
            }
            return self.cte_relation(cte, visible_name);
        }
        if alias.is_some_and(|alias| !alias.columns.is_empty()) {
            return Err(unread("column names behind a table's alias", table.at));
        }
        let was_reference = std::mem::take(&mut self.uses.reference);
        let columns = self.table(&table)?;
        let reference = self.uses.reference;
        self.uses.reference |= was_reference;
        let database = if alias.is_some() { None } else { table.database };
        Ok(Relation { name: visible_name, database, columns, reference })
    }

    fn cte_relation(&mut self, cte: CteName<'_>, name: String) -> Result<Relation, Refusal> {
        match cte {
            CteName::Own(yields) => Ok(self.derived(name, yields, &[])),
            CteName::Table(cte, visible, recursive) => {
                self.used_ctes.insert(address(&cte.query));
                let visible = Ctes { recursive, ..visible };
                let yields = self.cte(cte, visible, None)?;
                let columns: Vec<String> = cte.alias.columns.iter().map(|c| ident_text(&c.name)).collect();
                Ok(self.derived(name, &yields, &columns))
            }
        }
    }
}

/// Refuses clauses that MySQL does not have.
fn check_mysql(select: &Select) -> Result<(), Refusal> {
    let foreign = select.top.is_some()
        || select.exclude.is_some()
        || !select.lateral_views.is_empty()
        || select.prewhere.is_some()
        || !select.connect_by.is_empty()
        || !select.cluster_by.is_empty()
        || !select.distribute_by.is_empty()
        || !select.sort_by.is_empty()
        || select.qualify.is_some()
        || select.value_table_mode.is_some()
        || select.flavor != sqlparser::ast::SelectFlavor::Standard;
    if foreign {
        return Err(Refusal::because(Code::UnreadStatement, "a clause that is not MySQL's"));
    }
    Ok(())
}

/// What a block yields.
fn yields_of(projection: &[SelectItem], scope: &Scope<'_>, transparent: bool) -> Yield {
    let mut named: Vec<(String, ColumnId)> = Vec::new();
    let mut positions = Some(Vec::new());
    let one = |found: Vec<ColumnId>| if found.len() == 1 { Some(found[0]) } else { None };
    for item in projection {
        let (name, id) = match item {
            SelectItem::UnnamedExpr(expr) => match column_parts(expr) {
                Some(parts) => {
                    let name = parts.last().map(ident_text).unwrap_or_default();
                    (name, one(scope.resolve(parts)))
                }
                None => (String::new(), None),
            },
            SelectItem::ExprWithAlias { expr, alias } => {
                (ident_text(alias), column_parts(expr).and_then(|parts| one(scope.resolve(parts))))
            }
            SelectItem::Wildcard(_) => {
                positions = None;
                named.extend(scope.relations.iter().flat_map(|relation| relation.columns.clone()));
                continue;
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                positions = None;
                named.extend(wildcard_of(name, scope));
                continue;
            }
            _ => {
                positions = None;
                continue;
            }
        };
        named.extend(id.map(|id| (name.clone(), id)));
        if let Some(positions) = &mut positions {
            positions.push((name, id));
        }
    }
    Yield { named, positions, transparent }
}

fn wildcard_of(name: &sqlparser::ast::ObjectName, scope: &Scope<'_>) -> Vec<(String, ColumnId)> {
    let relation = idents(name).and_then(|parts| parts.last().map(|ident| ident_text(ident)));
    let mut alike = scope.relations.iter().filter(|r| Some(&r.name) == relation.as_ref());
    match (alike.next(), alike.next()) {
        (Some(found), None) => found.columns.clone(),
        _ => Vec::new(),
    }
}

/// The parts of a column reference.
pub(super) fn column_parts(expr: &sqlparser::ast::Expr) -> Option<&[sqlparser::ast::Ident]> {
    use sqlparser::ast::Expr;
    match expr {
        Expr::Identifier(ident) => Some(std::slice::from_ref(ident)),
        Expr::CompoundIdentifier(parts) => Some(parts),
        Expr::Nested(inner) => column_parts(inner),
        _ => None,
    }
}
