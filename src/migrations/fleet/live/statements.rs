//! The statements of a request, read: what can be carried out in many databases. Pure.

use std::ops::Range;

use super::door::FleetError;
use crate::migrations::fleet::ledger::StepKind;
use crate::schema::read_asked;
use crate::sql::{
    ChangeForm, ClauseKind, Lexer, ServerVersion, SqlMode, TableChange, TokenKind, TokenKind::Word,
};

/// Most statements of one fleet migration.
pub(super) const STATEMENTS_MAX: usize = 64;

/// One statement, read.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    /// As it was given, without what stands around it.
    pub(super) text: String,
    /// What it is.
    pub(super) kind: StepKind,
    /// The table or view.
    pub(super) table: String,
    /// The statement as one of a table; absent for views.
    pub(super) change: Option<TableChange>,
    /// How it was read.
    pub(super) mode: SqlMode,
}

/// How statements are read: utf8mb4, the settings' mode.
pub(super) fn mode_of(sql_mode: &str, server: ServerVersion) -> SqlMode {
    SqlMode { server, ..SqlMode::default() }.with_names(sql_mode)
}

/// Reads the statements.
///
/// # Errors
/// [`FleetError::Statements`], [`FleetError::Unfit`].
pub(super) fn read_statements(texts: &[String], mode: SqlMode) -> Result<Vec<Statement>, FleetError> {
    if texts.is_empty() || texts.len() > STATEMENTS_MAX {
        return Err(FleetError::Statements { found: texts.len(), most: STATEMENTS_MAX });
    }
    let numbered = texts.iter().zip(1..);
    let read =
        |(text, at): (&String, usize)| read_one(text, mode).map_err(|why| FleetError::Unfit { at, why });
    numbered.map(read).collect()
}

fn read_one(text: &str, mode: SqlMode) -> Result<Statement, String> {
    let asked = read_asked(text.as_bytes(), mode).map_err(|error| error.to_string())?;
    let Some(asked) = asked else { return read_view(text, mode) };
    let change = asked.change;
    let kind = kind_of(&change)?;
    if change.temporary {
        return Err("temporary tables belong to one session".to_owned());
    }
    if change.table.qualifier.is_some() {
        return Err("leave the database out of the table's name: the statement is for many".to_owned());
    }
    if !change.more_tables.is_empty() {
        return Err("name one table; give several statements for several tables".to_owned());
    }
    let text = within(text, change.span.start as usize, change.span.end as usize);
    // Its places are those of the text without what stands around it.
    let again = read_asked(text.as_bytes(), mode).map_err(|error| error.to_string())?;
    let change = again.ok_or("it cannot be read")?.change;
    let table = change.table.name.text.clone();
    Ok(Statement { text: text.to_owned(), kind, table, change: Some(change), mode })
}

fn within(text: &str, start: usize, end: usize) -> &str {
    text.get(start..end).unwrap_or(text)
}

/// What a change of a table is; in words, why it cannot be carried out in many databases.
fn kind_of(change: &TableChange) -> Result<StepKind, String> {
    let rebuilds = |kind: &ClauseKind| matches!(kind, ClauseKind::Force | ClauseKind::RenameTable(_));
    match &change.form {
        ChangeForm::Create(_) if change.ignore => Err("CREATE OR REPLACE TABLE drops the table".to_owned()),
        ChangeForm::Create(None) => Err("give the table's columns in the statement itself".to_owned()),
        ChangeForm::Create(Some(definition)) if !definition.foreign_keys.is_empty() => {
            Err("a table with foreign keys is made one database at a time".to_owned())
        }
        ChangeForm::Create(Some(_)) => Ok(StepKind::CreateTable),
        ChangeForm::Drop => Ok(StepKind::DropTable),
        ChangeForm::Rename => Err("renaming a table breaks code in thousands of databases at different \
                                   times; make a new table, or a view of the new name"
            .to_owned()),
        ChangeForm::Truncate => {
            Err("which databases are done cannot be told from their definitions".to_owned())
        }
        ChangeForm::Optimize => {
            Err("which databases are done cannot be told from their definitions".to_owned())
        }
        _ if change.clauses.iter().any(|clause| rebuilds(&clause.kind)) => {
            Err("a rebuild or a new name of a table is for one database at a time: which are done cannot \
                 be told from their definitions"
                .to_owned())
        }
        ChangeForm::Alter { .. } | ChangeForm::CreateIndex | ChangeForm::DropIndex(_) => Ok(StepKind::Alter),
    }
}

/// CREATE VIEW and DROP VIEW.
fn read_view(text: &str, mode: SqlMode) -> Result<Statement, String> {
    const OTHER: &str = "only ALTER TABLE, CREATE and DROP INDEX, CREATE and DROP TABLE, CREATE VIEW and \
                         DROP VIEW are carried out in many databases";
    let view = ViewParts::read(text, mode).ok_or(OTHER)?;
    let kind = match view.verb.as_str() {
        "CREATE" => StepKind::CreateView,
        "DROP" => StepKind::DropView,
        _ => return Err(OTHER.to_owned()),
    };
    let name = view.name.ok_or("the view's name is missing")?;
    if view.is_qualified_or_listed {
        return Err("name one view, without its database".to_owned());
    }
    let table = unquoted(&text[name]);
    let text = text.trim().trim_end_matches(';').trim_end().to_owned();
    Ok(Statement { text, kind, table, change: None, mode })
}

/// A `CREATE VIEW` that leaves alone what is there, as one that puts the same view under another name, over
/// whatever has that; `None` for every other statement.
pub(super) fn twin_of_view(text: &str, mode: SqlMode, name: &str) -> Option<String> {
    let view = ViewParts::read(text, mode).filter(|view| view.verb == "CREATE" && !view.replaces)?;
    let between = &text[view.behind_verb..view.behind_view];
    Some(format!("CREATE OR REPLACE{between} {name}{}", &text[view.name?.end..]))
}

/// Where the parts of a statement about a view are, as bytes of its text.
struct ViewParts {
    /// Its first word, in capitals.
    verb: String,
    behind_verb: usize,
    behind_view: usize,
    /// It says OR REPLACE.
    replaces: bool,
    name: Option<Range<usize>>,
    is_qualified_or_listed: bool,
}

impl ViewParts {
    /// `None` when no view is meant.
    fn read(text: &str, mode: SqlMode) -> Option<Self> {
        let words = head(text.as_bytes(), mode);
        let (view, begins) = words.iter().find(|(word, _)| word == "VIEW")?;
        let (verb, verb_begins) = words.first()?;
        let behind_view = begins + view.len();
        let mut lexer = Lexer::new(text.as_bytes(), mode);
        let mut names: Vec<Range<usize>> = Vec::new();
        loop {
            let token = lexer.next_token();
            if token.kind == TokenKind::End || names.len() >= 6 {
                break;
            }
            if token.span.start as usize >= behind_view {
                names.push(token.span.start as usize..token.span.end as usize);
            }
        }
        let shown = |at: usize| names.get(at).and_then(|span| text.get(span.clone()));
        let is = |at: usize, word: &str| shown(at).is_some_and(|text| text.eq_ignore_ascii_case(word));
        let skipped = match (is(0, "IF"), is(1, "NOT"), is(1, "EXISTS") || is(2, "EXISTS")) {
            (true, not, true) => 2 + usize::from(not),
            _ => 0,
        };
        Some(Self {
            verb: verb.clone(),
            behind_verb: verb_begins + verb.len(),
            behind_view,
            replaces: words.len() > 2 && (&*words[1].0, &*words[2].0) == ("OR", "REPLACE"),
            name: shown(skipped).and_then(|_| names.get(skipped).cloned()),
            is_qualified_or_listed: is(skipped + 1, ".") || is(skipped + 1, ","),
        })
    }
}

/// The first words in capitals, each with where it begins; up to VIEW.
fn head(text: &[u8], mode: SqlMode) -> Vec<(String, usize)> {
    let mut lexer = Lexer::new(text, mode);
    let mut words = Vec::new();
    while words.len() < 32 {
        let token = lexer.next_token();
        match token.kind {
            TokenKind::End => break,
            Word => {
                let word = String::from_utf8_lossy(token.span.of(text)).to_ascii_uppercase();
                let is_view = word == "VIEW";
                words.push((word, token.span.start as usize));
                if is_view {
                    break;
                }
            }
            _ => {}
        }
    }
    words
}

/// A name without its quotes.
fn unquoted(name: &str) -> String {
    for quote in ['`', '"'] {
        if let Some(inner) = name.strip_prefix(quote).and_then(|name| name.strip_suffix(quote)) {
            return inner.replace(&format!("{quote}{quote}"), &quote.to_string());
        }
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(StepKind, String, String), String> {
        let read = read_statements(&[text.to_owned()], SqlMode::default());
        let statement = read.map_err(|error| error.to_string())?.remove(0);
        Ok((statement.kind, statement.table, statement.text))
    }

    #[test]
    fn what_can_be_carried_out_in_many_databases() {
        for (text, kind, table) in [
            ("ALTER TABLE issues MODIFY id BIGINT", StepKind::Alter, "issues"),
            ("  /* Rails */ ALTER TABLE `is``sues` ADD a INT ; ", StepKind::Alter, "is`sues"),
            ("CREATE INDEX i ON issues (a)", StepKind::Alter, "issues"),
            ("DROP INDEX i ON issues", StepKind::Alter, "issues"),
            ("CREATE TABLE IF NOT EXISTS t (id INT PRIMARY KEY)", StepKind::CreateTable, "t"),
            ("DROP TABLE IF EXISTS t", StepKind::DropTable, "t"),
            ("CREATE OR REPLACE VIEW `v` AS SELECT 1", StepKind::CreateView, "v"),
            ("create or replace sql security invoker view v as select 1", StepKind::CreateView, "v"),
            ("CREATE VIEW v AS SELECT 1", StepKind::CreateView, "v"),
            ("CREATE VIEW IF NOT EXISTS v AS SELECT 1", StepKind::CreateView, "v"),
            ("DROP VIEW IF EXISTS v", StepKind::DropView, "v"),
        ] {
            let (found, name, _) = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((found, name.as_str()), (kind, table), "{text}");
        }
        let (_, _, text) = read("/* Rails */ ALTER TABLE a ADD b INT ;").unwrap();
        assert_eq!(text, "ALTER TABLE a ADD b INT");
    }

    #[test]
    fn a_view_can_be_made_under_another_name() {
        let twin = |text: &str| twin_of_view(text, SqlMode::default(), "`x`.`y`");
        for (text, wanted) in [
            ("CREATE VIEW v AS SELECT 1 AS v", "CREATE OR REPLACE VIEW `x`.`y` AS SELECT 1 AS v"),
            ("create view `vi``ew`(a) as select 1", "CREATE OR REPLACE view `x`.`y`(a) as select 1"),
            (
                "CREATE /* it */ ALGORITHM = MERGE SQL SECURITY INVOKER VIEW IF NOT EXISTS v AS SELECT 1",
                "CREATE OR REPLACE /* it */ ALGORITHM = MERGE SQL SECURITY INVOKER VIEW `x`.`y` AS SELECT 1",
            ),
        ] {
            assert_eq!(twin(text).as_deref(), Some(wanted), "{text}");
        }
        for text in ["CREATE OR REPLACE VIEW v AS SELECT 1", "DROP VIEW v", "SELECT 1", "CREATE VIEW", ""] {
            assert_eq!(twin(text), None, "{text}");
        }
    }

    #[test]
    fn what_cannot() {
        for text in [
            "ALTER TABLE ws_1.issues ADD a INT",
            "ALTER TABLE issues FORCE",
            "ALTER TABLE issues RENAME TO others",
            "RENAME TABLE a TO b",
            "TRUNCATE TABLE a",
            "OPTIMIZE TABLE a",
            "DROP TABLE a, b",
            "CREATE TABLE a LIKE b",
            "CREATE OR REPLACE TABLE a (b INT)",
            "CREATE TEMPORARY TABLE a (b INT)",
            "ALTER VIEW v AS SELECT 1",
            "CREATE VIEW v, w AS SELECT 1",
            "CREATE VIEW ws_1.v AS SELECT 1",
            "CREATE OR REPLACE VIEW ws_1.v AS SELECT 1",
            "DROP VIEW v, w",
            "UPDATE issues SET a = 1",
            "CREATE DATABASE a",
            "DROP VIEW",
            "",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let none = read_statements(&[], SqlMode::default());
        assert!(matches!(none, Err(FleetError::Statements { found: 0, .. })));
    }
}
