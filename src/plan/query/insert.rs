//! INSERT and REPLACE.

use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, Insert, OnInsert, SelectItem, SetExpr, TableObject, Values,
};

use crate::error::Code;
use crate::plan::Refusal;
use crate::sql::ScanFlags;

use super::dml::{is_same, may_be_same_column};
use super::scope::{Relation, Scope, Yield};
use super::select::Around;
use super::{ColumnId, Source, Walk, ident_text, idents, offset_of, table_ref, unread};

/// The rows of an INSERT … VALUES into a sharded table.
#[derive(Clone, Debug)]
pub(in crate::plan) struct InsertRows {
    /// For each row, the sources of the routing columns.
    pub(in crate::plan) keys: Vec<Vec<Source>>,
    /// For each row, the byte offsets of its opening and closing parenthesis.
    pub(in crate::plan) spans: Vec<(usize, usize)>,
}

/// The table of an INSERT.
struct Target {
    name: String,
    at: usize,
    /// Routing columns by name; empty when the table is not sharded.
    keys: Vec<(String, ColumnId)>,
    /// The columns that values are for: the statement's list, else the vschema's.
    columns: Vec<String>,
    /// `columns` is the vschema's: a row must have as many values.
    is_listed: bool,
}

impl Walk<'_> {
    pub(super) fn insert(&mut self, insert: &Insert, around: Around<'_>) -> Result<(), Refusal> {
        check_mysql(insert)?;
        self.uses.writes.any = true;
        let target = self.insert_target(insert, around)?;
        if insert.source.is_none() {
            self.insert_set(&insert.assignments, &target, around)?;
        }
        if let Some(source) = &insert.source {
            match &*source.body {
                SetExpr::Values(values) if source.with.is_none() => {
                    let scope = Scope::new(around.outer);
                    self.expressions(values, &scope, around)?;
                    self.insert_values(values, &target)?;
                }
                body => {
                    self.uses.not_simple = self.uses.not_simple.or(Some("INSERT … SELECT"));
                    let yields = self.query(source, around)?;
                    self.insert_select(body, &yields, &target)?;
                }
            }
        }
        self.on_duplicate(insert, &target, around)?;
        let scope = Scope::new(around.outer);
        self.expressions(&insert.returning, &scope, around)
    }

    fn insert_target(&mut self, insert: &Insert, around: Around<'_>) -> Result<Target, Refusal> {
        let TableObject::TableName(name) = &insert.table else {
            return Err(unread("the table of an INSERT", 0));
        };
        let table = table_ref(name).ok_or_else(|| unread("the table of an INSERT", 0))?;
        if self.is_cte(&table, around) {
            return Err(unread("a statement that writes to a name of its WITH clause", table.at));
        }
        self.visible.insert(table.table.clone());
        if let Some(alias) = &insert.insert_alias {
            self.visible
                .extend(idents(&alias.row_alias).and_then(|parts| parts.last().map(|last| ident_text(last))));
        }
        let before = self.uses.sharded.len();
        let keys = self.table(&table)?;
        self.uses.writes.system |= !self.uses.system.is_empty();
        self.uses.writes.reference |= self.uses.reference;
        let keys = if self.uses.sharded.len() > before { keys } else { Vec::new() };
        let columns = column_names(insert)?;
        let is_listed = columns.is_empty() && !keys.is_empty();
        let columns = if is_listed { self.names.listed_columns(&table) } else { columns };
        Ok(Target { name: table.table, at: table.at, keys, columns, is_listed })
    }

    fn insert_values(&mut self, values: &Values, target: &Target) -> Result<(), Refusal> {
        if target.keys.is_empty() {
            return Ok(());
        }
        let places = places_of(target)?;
        let mut rows = InsertRows { keys: Vec::new(), spans: Vec::new() };
        for row in &values.rows {
            check_count(row.content.len(), target)?;
            let mut keys = Vec::new();
            for place in &places {
                let expr = row.content.get(*place).ok_or_else(|| without_key(target))?;
                keys.push(self.key_value(expr, target)?);
            }
            rows.keys.push(keys);
            rows.spans.push((offset_of(row.opening_token.0.span), offset_of(row.closing_token.0.span)));
        }
        for (at, (_, column)) in target.keys.iter().enumerate() {
            self.constants.push((*column, rows.keys.iter().map(|keys| keys[at].clone()).collect()));
        }
        self.insert = Some(rows);
        Ok(())
    }

    /// The value of a routing column: a literal or parameter.
    fn key_value(&self, expr: &Expr, target: &Target) -> Result<Source, Refusal> {
        match self.value(expr) {
            Some(source @ (Source::Literal(_) | Source::Parameter(_))) => Ok(source),
            _ if is_default(expr) => Err(without_key(target)),
            _ => {
                let detail = format!("the workspace column of `{}` is not given by a literal", target.name);
                Err(Refusal::because(Code::UnroutableValue, detail).at(target.at))
            }
        }
    }

    fn insert_set(
        &mut self,
        assignments: &[Assignment],
        target: &Target,
        around: Around<'_>,
    ) -> Result<(), Refusal> {
        let scope = Scope::new(around.outer);
        self.expressions(&assignments.to_vec(), &scope, around)?;
        if target.keys.is_empty() {
            return Ok(());
        }
        let mut constants = Vec::new();
        for (key, column) in &target.keys {
            let mut given = assignments.iter().filter(|assignment| {
                target_name(assignment).is_some_and(|name| name.eq_ignore_ascii_case(key))
            });
            let given = given.next_back().ok_or_else(|| without_key(target))?;
            constants.push((*column, vec![self.key_value(&given.value, target)?]));
        }
        self.constants.extend(constants);
        Ok(())
    }

    /// INSERT … SELECT: the routing column comes from a bound column, or from the same plain value, of the
    /// query.
    fn insert_select(&mut self, body: &SetExpr, yields: &Yield, target: &Target) -> Result<(), Refusal> {
        if target.keys.is_empty() {
            return Ok(());
        }
        let places = places_of(target)?;
        match &yields.positions {
            Some(positions) => check_count(positions.len(), target)?,
            // Nobody knows what `*` stands for.
            None if target.is_listed => return Err(without_key(target)),
            None => {}
        }
        for ((_, column), place) in target.keys.iter().zip(places) {
            let yielded = yields.positions.as_ref().and_then(|positions| positions.get(place)?.1);
            if let Some(inside) = yielded {
                self.rules.push((vec![inside], *column));
                continue;
            }
            let mut sources = Vec::new();
            if !self.projected(body, place, &mut sources) {
                let detail =
                    format!("the query does not plainly give the workspace column of `{}`", target.name);
                return Err(Refusal::because(Code::UnroutableValue, detail).at(target.at));
            }
            self.constants.push((*column, sources));
        }
        Ok(())
    }

    /// Collects the plain values that every arm projects at a place; false when some arm does not.
    fn projected(&self, body: &SetExpr, place: usize, sources: &mut Vec<Source>) -> bool {
        match body {
            SetExpr::Select(select) => {
                let wild = |item: &SelectItem| {
                    !matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
                };
                if select.projection.iter().take(place + 1).any(wild) {
                    return false;
                }
                match select.projection.get(place) {
                    Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
                        self.take_value(expr, sources)
                    }
                    _ => false,
                }
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.projected(left, place, sources) && self.projected(right, place, sources)
            }
            SetExpr::Query(query) => self.projected(&query.body, place, sources),
            SetExpr::Values(values) => values
                .rows
                .iter()
                .all(|row| row.content.get(place).is_some_and(|expr| self.take_value(expr, sources))),
            _ => false,
        }
    }

    fn take_value(&self, expr: &Expr, sources: &mut Vec<Source>) -> bool {
        match self.value(expr) {
            Some(source @ (Source::Literal(_) | Source::Parameter(_))) => {
                sources.push(source);
                true
            }
            _ => false,
        }
    }

    /// ON DUPLICATE KEY UPDATE: the row that is there may be any, so no routing column may be assigned, not
    /// even the value being inserted.
    fn on_duplicate(&mut self, insert: &Insert, target: &Target, around: Around<'_>) -> Result<(), Refusal> {
        let Some(OnInsert::DuplicateKeyUpdate(assignments)) = &insert.on else { return Ok(()) };
        if !target.keys.is_empty() && self.scan.flags.contains(ScanFlags::RETURNING) {
            let detail = "RETURNING of a row that was there before: it may be another workspace's";
            return Err(Refusal::because(Code::NotSupported, detail).at(target.at));
        }
        let mut scope = Scope::new(around.outer);
        // Its columns tie nothing: the row that is there has the same unique key, and whichever workspace.
        let relation = Relation { name: target.name.clone(), ..Relation::default() };
        scope.relations.push(relation);
        for assignment in assignments {
            self.expressions(&assignment.value, &scope, around)?;
            let Some(column) = target_name(assignment) else {
                return Err(unread("the target of an assignment", target.at));
            };
            let is_key = target.keys.iter().any(|(key, _)| may_be_same_column(&column, key));
            if is_key && !is_same(&assignment.value, &column) {
                self.uses.key_changes.push((target.at, None));
            }
        }
        Ok(())
    }
}

fn check_mysql(insert: &Insert) -> Result<(), Refusal> {
    let on_conflict = matches!(&insert.on, Some(on) if !matches!(on, OnInsert::DuplicateKeyUpdate(_)));
    let foreign = insert.or.is_some()
        || insert.overwrite
        || !insert.after_columns.is_empty()
        || insert.has_table_keyword
        || insert.output.is_some()
        || insert.settings.is_some()
        || insert.format_clause.is_some()
        || insert.multi_table_insert_type.is_some()
        || !insert.multi_table_into_clauses.is_empty()
        || !insert.multi_table_when_clauses.is_empty()
        || insert.multi_table_else_clause.is_some();
    if foreign || on_conflict {
        return Err(Refusal::because(Code::UnreadStatement, "an INSERT that is not MySQL's"));
    }
    Ok(())
}

/// The column list, in order.
fn column_names(insert: &Insert) -> Result<Vec<String>, Refusal> {
    insert
        .columns
        .iter()
        .map(|name| {
            let parts = idents(name).ok_or_else(|| unread("a column of an INSERT", 0))?;
            parts.last().map(|last| ident_text(last)).ok_or_else(|| unread("a column of an INSERT", 0))
        })
        .collect()
}

/// Where in the column list the routing columns stand.
fn places_of(target: &Target) -> Result<Vec<usize>, Refusal> {
    target
        .keys
        .iter()
        .map(|(key, _)| {
            target
                .columns
                .iter()
                .position(|name| name.eq_ignore_ascii_case(key))
                .ok_or_else(|| without_key(target))
        })
        .collect()
}

/// A row of another length than the vschema's list: the list is not the table's.
fn check_count(values: usize, target: &Target) -> Result<(), Refusal> {
    if !target.is_listed || values == target.columns.len() {
        return Ok(());
    }
    let listed = target.columns.len();
    let detail = format!("`{}` has {listed} columns in the vschema, {values} values are given", target.name);
    Err(Refusal::because(Code::InsertWithoutWorkspace, detail).at(target.at))
}

fn without_key(target: &Target) -> Refusal {
    let columns: Vec<&str> = target.keys.iter().map(|(name, _)| name.as_str()).collect();
    let detail = format!("`{}` needs {}", target.name, columns.join(", "));
    Refusal::because(Code::InsertWithoutWorkspace, detail).at(target.at)
}

fn target_name(assignment: &Assignment) -> Option<String> {
    let AssignmentTarget::ColumnName(name) = &assignment.target else { return None };
    idents(name)?.last().map(|last| ident_text(last))
}

fn is_default(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(ident) => ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("DEFAULT"),
        Expr::Value(value) => value.value == sqlparser::ast::Value::Null,
        _ => false,
    }
}
