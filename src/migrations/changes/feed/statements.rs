//! What a logged statement does to a table.

use super::super::binlog::Statement;
use super::super::change::{TableChange, TableName};
use crate::sql::{
    DdlObject, DdlStatement, DdlVerb, ObjectName, Parsed, Scan, SqlMode, StatementKind, parse, scan,
};

/// What a statement does to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    None,
    /// It changes the table itself.
    Changes(TableChange),
    /// It may change rows, and the log does not say which.
    Rows,
}

/// A statement that was read.
pub(super) struct Read<'a> {
    statement: &'a Statement,
    what: What,
}

enum What {
    Nothing,
    Ddl(Box<DdlStatement>),
    /// Changes rows.
    Rows,
    /// Runs code: whatever is in its database.
    Code,
    Unreadable,
}

impl<'a> Read<'a> {
    /// Reads a statement, once for all tables.
    pub(super) fn of(statement: &'a Statement) -> Self {
        let mode = SqlMode::default().with_names(&statement.modes());
        let mut scanned = Scan::default();
        let text = statement.text.as_bytes();
        scan(text, mode, &mut scanned);
        let what = match scanned.kind {
            StatementKind::Insert
            | StatementKind::Replace
            | StatementKind::Update
            | StatementKind::Delete
            | StatementKind::Load => What::Rows,
            StatementKind::Call | StatementKind::Do | StatementKind::Select => What::Code,
            StatementKind::Create
            | StatementKind::Alter
            | StatementKind::Drop
            | StatementKind::Rename
            | StatementKind::Truncate => match parse(text, &scanned, mode) {
                Ok(Parsed::Ddl(ddl)) => What::Ddl(Box::new(ddl)),
                Ok(_) => What::Nothing,
                Err(_) => What::Unreadable,
            },
            StatementKind::Unknown | StatementKind::Compound => What::Unreadable,
            StatementKind::Rollback => What::Unreadable,
            _ => What::Nothing,
        };
        Self { statement, what }
    }

    /// What it does to `table`. In doubt more than it does: names are compared without regard to case.
    pub(super) fn effect(&self, table: &TableName) -> Effect {
        match &self.what {
            What::Nothing => Effect::None,
            What::Ddl(ddl) => self.effect_of_ddl(ddl, table),
            What::Rows if self.mentions(table) => Effect::Rows,
            What::Code if self.statement.database.eq_ignore_ascii_case(&table.database) => Effect::Rows,
            What::Unreadable if self.mentions(table) => Effect::Changes(TableChange::Unknown),
            What::Rows | What::Code | What::Unreadable => Effect::None,
        }
    }

    fn effect_of_ddl(&self, ddl: &DdlStatement, table: &TableName) -> Effect {
        if ddl.temporary {
            return Effect::None;
        }
        let names = |object: &ObjectName| self.names(object, table);
        let is_named = ddl.objects.iter().any(names);
        let is_other = ddl.others.iter().any(names);
        let changes = match (ddl.object, ddl.verb) {
            (DdlObject::Database, DdlVerb::Drop) => {
                let is_its = |object: &ObjectName| object.name.text.eq_ignore_ascii_case(&table.database);
                return if ddl.objects.iter().any(is_its) {
                    Effect::Changes(TableChange::Dropped)
                } else {
                    Effect::None
                };
            }
            (DdlObject::Trigger, DdlVerb::Create) if is_named || is_other => TableChange::Trigger,
            // Which table it was on is not said.
            (DdlObject::Trigger, DdlVerb::Drop) if self.is_of_database(ddl, table) => TableChange::Trigger,
            (DdlObject::Table, DdlVerb::Rename) if is_named => TableChange::Renamed,
            // ALTER TABLE … RENAME, EXCHANGE PARTITION.
            (DdlObject::Table, DdlVerb::Alter) if is_other => TableChange::Renamed,
            (DdlObject::Table, DdlVerb::Truncate) if is_named => TableChange::Truncated,
            (DdlObject::Table, DdlVerb::Drop) if is_named => TableChange::Dropped,
            (DdlObject::Table, DdlVerb::Alter) if is_named && self.empties_partition() => {
                TableChange::Truncated
            }
            (DdlObject::Table | DdlObject::Index, _) if is_named => TableChange::Altered,
            _ => return Effect::None,
        };
        Effect::Changes(changes)
    }

    fn is_of_database(&self, ddl: &DdlStatement, table: &TableName) -> bool {
        ddl.objects.iter().any(|trigger| {
            let database = trigger.qualifier.as_ref().map_or(&*self.statement.database, |name| &*name.text);
            database.eq_ignore_ascii_case(&table.database)
        })
    }

    fn empties_partition(&self) -> bool {
        let text = self.statement.text.to_ascii_uppercase();
        let mut words = text.split_ascii_whitespace().peekable();
        while let Some(word) = words.next() {
            let is_partition = words.peek().is_some_and(|next| next.starts_with("PARTITION"));
            if is_partition && matches!(word, "TRUNCATE" | "DROP" | "DISCARD" | "EXCHANGE" | "CONVERT") {
                return true;
            }
        }
        false
    }

    fn names(&self, object: &ObjectName, table: &TableName) -> bool {
        let database = object.qualifier.as_ref().map_or(&*self.statement.database, |name| &*name.text);
        database.eq_ignore_ascii_case(&table.database) && object.name.text.eq_ignore_ascii_case(&table.table)
    }

    /// Says whether the text holds the names, wherever.
    fn mentions(&self, table: &TableName) -> bool {
        let text = self.statement.text.to_lowercase();
        let holds = |name: &str| text.contains(&name.to_lowercase());
        let is_here = self.statement.database.eq_ignore_ascii_case(&table.database);
        holds(&table.table) && (is_here || holds(&table.database))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(text: &str) -> Effect {
        let statement = Statement::new("ws_1", text);
        Read::of(&statement).effect(&TableName::new("ws_1", "users"))
    }

    #[test]
    fn statements_about_the_table() {
        use TableChange::{Altered, Dropped, Renamed, Trigger, Truncated, Unknown};
        let cases = [
            ("ALTER TABLE users ADD c INT", Altered),
            ("ALTER TABLE `ws_1`.`Users` DROP c", Altered),
            ("CREATE INDEX i ON users (a)", Altered),
            ("DROP INDEX i ON ws_1.users", Altered),
            ("CREATE TABLE IF NOT EXISTS users (a INT)", Altered),
            ("RENAME TABLE users TO old_users", Renamed),
            ("RENAME TABLE new_users TO users, a TO b", Renamed),
            ("ALTER TABLE new_users RENAME TO users", Renamed),
            ("DROP TABLE IF EXISTS `a`,`users` /* generated by server */", Dropped),
            ("DROP DATABASE ws_1", Dropped),
            ("TRUNCATE users", Truncated),
            ("ALTER TABLE users TRUNCATE PARTITION p0", Truncated),
            ("CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW SET @a = 1", Trigger),
            ("DROP TRIGGER t", Trigger),
            ("NEW KIND OF STATEMENT users", Unknown),
        ];
        for (text, change) in cases {
            assert_eq!(effect(text), Effect::Changes(change), "{text}");
        }
    }

    #[test]
    fn statements_about_others() {
        for text in [
            "ALTER TABLE user ADD c INT",
            "ALTER TABLE ws_2.users ADD c INT",
            "CREATE TABLE t (users INT)",
            "DROP DATABASE ws_12",
            "DROP TEMPORARY TABLE users",
            "CREATE VIEW v AS SELECT * FROM users",
            "GRANT SELECT ON users TO someone",
            "ANALYZE TABLE users",
            "NEW KIND OF STATEMENT",
            "DELETE FROM accounts",
        ] {
            assert_eq!(effect(text), Effect::None, "{text}");
        }
    }

    #[test]
    fn rows_changed_by_statements() {
        for text in ["UPDATE users SET a = a + 1", "INSERT INTO t SELECT * FROM users", "CALL p()", "DO f()"]
        {
            assert_eq!(effect(text), Effect::Rows, "{text}");
        }
        let elsewhere = Statement::new("ws_2", "UPDATE users SET a = a + 1");
        assert_eq!(Read::of(&elsewhere).effect(&TableName::new("ws_1", "users")), Effect::None);
    }
}
