//! UPDATE and DELETE, and the dispatch over statements.

use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, ObjectName, Statement, TableFactor,
    TableWithJoins, Update,
};

use crate::plan::Refusal;

use super::scope::{Ctes, Scope};
use super::select::{Around, column_parts};
use super::{Walk, ident_at, ident_text, idents, table_ref, unread};

impl Walk<'_> {
    /// A whole statement, or one behind WITH.
    pub(super) fn statement(
        &mut self,
        statement: &Statement,
        around: Option<Around<'_>>,
    ) -> Result<(), Refusal> {
        let none = Ctes { outer: None, tables: &[], own: None, recursive: false };
        let around = around.unwrap_or(Around { outer: None, ctes: Some(&none) });
        match statement {
            Statement::Query(query) => self.query(query, around).map(|_| ()),
            Statement::Insert(insert) => self.insert(insert, around),
            Statement::Update(update) => self.update(update, around),
            Statement::Delete(delete) => self.delete(delete, around),
            _ => Err(unread("a statement of another kind", 0)),
        }
    }

    fn update(&mut self, update: &Update, around: Around<'_>) -> Result<(), Refusal> {
        let Update { table, assignments, from, selection, returning, output, or, order_by, limit, .. } =
            update;
        if from.is_some() || output.is_some() || or.is_some() {
            return Err(unread("an UPDATE that is not MySQL's", 0));
        }
        self.uses.writes.any = true;
        self.refuse_written_cte(std::slice::from_ref(table), around)?;
        let mut scope = Scope::new(around.outer);
        self.table_with_joins(table, &mut scope, around)?;
        self.uses.writes.system |= !self.uses.system.is_empty();
        if let Some(selection) = selection {
            self.predicate(selection, &scope, around)?;
        }
        for assignment in assignments {
            self.expressions(&assignment.value, &scope, around)?;
            self.assignment(assignment, &scope)?;
        }
        self.expressions(returning, &scope, around)?;
        self.expressions(order_by, &scope, around)?;
        self.expressions(limit, &scope, around)?;
        if limit.is_some() || !order_by.is_empty() {
            self.uses.not_simple = self.uses.not_simple.or(Some("ORDER BY or LIMIT"));
        }
        Ok(())
    }

    fn delete(&mut self, delete: &Delete, around: Around<'_>) -> Result<(), Refusal> {
        let Delete { tables, from, using, selection, returning, output, order_by, limit, .. } = delete;
        if output.is_some() {
            return Err(unread("a DELETE that is not MySQL's", 0));
        }
        self.uses.writes.any = true;
        let (FromTable::WithFromKeyword(listed) | FromTable::WithoutKeyword(listed)) = from;
        let sources = using.as_ref().unwrap_or(listed);
        self.refuse_written_cte(sources, around)?;
        let mut scope = Scope::new(around.outer);
        for item in sources {
            self.table_with_joins(item, &mut scope, around)?;
        }
        self.uses.writes.system |= !self.uses.system.is_empty();
        if tables.is_empty() && using.is_none() {
            self.uses.writes.reference |= self.uses.reference;
        }
        if sources.len() > 1 {
            self.uses.not_simple = self.uses.not_simple.or(Some("a join"));
        }
        for target in tables {
            self.delete_target(target, &scope)?;
        }
        if using.is_some() {
            for target in listed {
                match &target.relation {
                    TableFactor::Table { name, .. } if target.joins.is_empty() => {
                        self.delete_target(name, &scope)?;
                    }
                    _ => return Err(unread("the tables of a DELETE", 0)),
                }
            }
        }
        if let Some(selection) = selection {
            self.predicate(selection, &scope, around)?;
        }
        self.expressions(returning, &scope, around)?;
        self.expressions(order_by, &scope, around)?;
        self.expressions(limit, &scope, around)?;
        if limit.is_some() || !order_by.is_empty() {
            self.uses.not_simple = self.uses.not_simple.or(Some("ORDER BY or LIMIT"));
        }
        Ok(())
    }

    /// A target of a multi-table DELETE is one of the tables that were read: `t`, `db.t`, `t.*`.
    fn delete_target(&mut self, target: &ObjectName, scope: &Scope<'_>) -> Result<(), Refusal> {
        let mut parts = idents(target).ok_or_else(|| unread("a target of DELETE", 0))?;
        if parts.len() > 1 && parts.last().is_some_and(|last| last.value == "*") {
            parts.pop();
        }
        let Some(last) = parts.last() else { return Err(unread("a target of DELETE", 0)) };
        self.seen.insert(ident_at(parts[0]));
        let name = ident_text(last);
        if let [database, _] = parts.as_slice() {
            self.column_databases.push((ident_text(database), ident_at(database)));
        }
        if let Some(relation) = scope.relations.iter().find(|relation| relation.name == name) {
            self.uses.writes.reference |= relation.reference;
            return Ok(());
        }
        Err(unread("a target of DELETE that is not among its tables", ident_at(last)))
    }

    /// MySQL writes to no CTE; which table a name means that is both is not worth guessing.
    fn refuse_written_cte(&self, items: &[TableWithJoins], around: Around<'_>) -> Result<(), Refusal> {
        let [TableWithJoins { relation: TableFactor::Table { name, .. }, joins }] = items else {
            return Ok(());
        };
        match table_ref(name) {
            Some(table) if joins.is_empty() && self.is_cte(&table, around) => {
                Err(unread("a statement that writes to a name of its WITH clause", table.at))
            }
            _ => Ok(()),
        }
    }

    /// Says whether an unqualified name is that of a CTE, in any case.
    pub(super) fn is_cte(&self, table: &super::TableRef, around: Around<'_>) -> bool {
        let named = |ctes: &Ctes<'_>| ctes.find(&table.table).is_some();
        table.database.is_none() && around.ctes.is_some_and(named)
    }

    /// Notes an assignment: to a reference table, or to a routing column; `column = column` changes nothing.
    /// An unqualified column may be any table's.
    fn assignment(&mut self, assignment: &Assignment, scope: &Scope<'_>) -> Result<(), Refusal> {
        let AssignmentTarget::ColumnName(target) = &assignment.target else {
            return Err(unread("an assignment to several columns", 0));
        };
        let parts = idents(target).ok_or_else(|| unread("the target of an assignment", 0))?;
        let names: Vec<String> = parts.iter().map(|part| ident_text(part)).collect();
        let Some((column, qualifier)) = names.split_last() else { return Ok(()) };
        let relation = qualifier.last();
        let mut targets = scope
            .relations
            .iter()
            .filter(|known| relation.is_none_or(|name| known.name.eq_ignore_ascii_case(name)));
        self.uses.writes.reference |= targets.clone().any(|target| target.reference);
        let is_key =
            targets.any(|known| known.columns.iter().any(|(name, _)| may_be_same_column(column, name)));
        if is_key && !is_same(&assignment.value, column) {
            let value = self.value(&assignment.value).filter(|_| column.is_ascii());
            self.uses.key_changes.push((ident_at(parts[0]), value));
        }
        Ok(())
    }
}

/// Says whether an expression is just the column of that name, without a table's name.
pub(super) fn is_same(value: &Expr, column: &str) -> bool {
    match column_parts(value) {
        Some([name]) => ident_text(name).eq_ignore_ascii_case(column),
        _ => false,
    }
}

/// Says whether MySQL may take `written` for the column `known`: it compares column names without case and
/// accents, so a character beyond ASCII may stand for any one character, or for none.
pub(super) fn may_be_same_column(written: &str, known: &str) -> bool {
    if written.is_ascii() {
        return written.eq_ignore_ascii_case(known);
    }
    let mut wild = written.split(|c: char| !c.is_ascii()).filter(|part| !part.is_empty());
    let mut rest = known.to_ascii_lowercase();
    wild.all(|part| match rest.find(&part.to_ascii_lowercase()) {
        Some(at) => {
            rest.drain(..at + part.len());
            true
        }
        None => false,
    })
}
