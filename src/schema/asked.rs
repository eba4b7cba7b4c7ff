//! Statements that change tables, read: what may be another statement to the server is not.

use crate::error::{ClientError, Code};
use crate::sql::{self, ChangeForm, Lexer, ObjectName, Scan, ScanFlags, SqlMode, TableChange, TokenKind};

/// A change of a table, read.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The text as it would go to the server.
    pub text: &'a [u8],
    /// The same, read.
    pub change: TableChange,
    /// How it was read.
    pub mode: SqlMode,
}

impl Asked<'_> {
    /// The tables that are changed, dropped or emptied.
    pub fn tables(&self) -> impl Iterator<Item = &ObjectName> {
        std::iter::once(&self.change.table).chain(&self.change.more_tables)
    }

    /// Says whether it only makes a table.
    pub fn only_creates(&self) -> bool {
        matches!(self.change.form, ChangeForm::Create(_)) && !self.change.ignore
    }

    /// Says whether it is decided with the table's definition.
    pub fn needs_definition(&self) -> bool {
        !matches!(
            self.change.form,
            ChangeForm::Create(_) | ChangeForm::Drop | ChangeForm::Truncate | ChangeForm::Rename
        )
    }
}

/// Reads a text that is to be sent; `None` when it changes no table.
///
/// # Errors
/// `ddl_unread`, also for a change of a table in a form that is not known, and for what may be another
/// statement to the server than to the reader.
pub fn read_asked(text: &[u8], mode: SqlMode) -> Result<Option<Asked<'_>>, ClientError> {
    const DISPUTED: ScanFlags = ScanFlags::VERSION_COMMENT_SKIPPED.union(ScanFlags::VERSION_COMMENT_DISPUTED);
    let mut scan = Scan::default();
    sql::scan(text, mode, &mut scan);
    let unread = |why: &dyn std::fmt::Display| {
        ClientError::new(Code::DdlUnread, format!("{}: {why}", Code::DdlUnread.sentence()))
    };
    let is_disputed = scan.flags.intersects(DISPUTED);
    let change = sql::read_change(text, &scan, mode).map_err(|error| unread(&error))?;
    let asked = change.map(|change| Asked { text, change, mode });
    if is_disputed {
        // Behind the name of a table that is made, a comment says at most how the table is made.
        let creates = asked.as_ref().filter(|asked| asked.only_creates());
        let front = creates.map_or(text.len(), |asked| asked.change.table.span().end as usize);
        sql::scan(&text[..front], mode, &mut scan);
        if scan.flags.intersects(DISPUTED) {
            return Err(unread(&"a version comment"));
        }
    }
    if asked.is_none() && is_of_table(text, mode) {
        return Err(unread(&"a form of it that is not known"));
    }
    Ok(asked)
}

/// Says whether a schema change is one of a table or an index, by the first word that names what it changes.
pub fn is_of_table(text: &[u8], mode: SqlMode) -> bool {
    const TABLE: [&str; 6] = ["INDEX", "OPTIMIZE", "RENAME", "TABLE", "TABLES", "TRUNCATE"];
    const OTHER: [&str; 10] = [
        "DATABASE",
        "EVENT",
        "FUNCTION",
        "PACKAGE",
        "PROCEDURE",
        "SCHEMA",
        "SEQUENCE",
        "SERVER",
        "TRIGGER",
        "VIEW",
    ];
    let mut lexer = Lexer::new(text, mode);
    loop {
        let token = lexer.next_token();
        let is = |word: &&str| token.span.of(text).eq_ignore_ascii_case(word.as_bytes());
        match token.kind {
            TokenKind::End => return false,
            TokenKind::Word if TABLE.iter().any(is) => return true,
            TokenKind::Word if OTHER.iter().any(is) => return false,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_another_statement_to_the_server_is_unread() {
        let told = |text: &str| match read_asked(text.as_bytes(), SqlMode::default()) {
            Ok(asked) => {
                if asked.is_some() {
                    "table"
                } else {
                    "other"
                }
            }
            Err(error) => {
                assert_eq!(error.code, Code::DdlUnread, "{text}");
                "unread"
            }
        };
        for (text, is) in [
            ("ALTER TABLE t ADD a INT", "table"),
            ("ALTER IGNORE ONLINE TABLE t ADD a INT", "table"),
            ("ALTER TABLE t ADD a INT /*!100000 , DROP COLUMN b */", "unread"),
            ("ALTER TABLE t ADD a INT /*!80000 INVISIBLE */", "unread"),
            ("ALTER TABLE t ADD a INT /*M!100000 , DROP COLUMN b */", "unread"),
            ("ALTER TABLE t /*!40000 DISABLE KEYS */", "table"),
            ("CREATE /*!100000 OR REPLACE */ TABLE t (a INT)", "unread"),
            ("CREATE OR REPLACE TABLE t (a INT /*!80023 INVISIBLE */)", "unread"),
            ("CREATE TABLE t (a INT /*!80023 INVISIBLE */)", "table"),
            ("DROP ONLINE INDEX i ON t", "unread"),
            ("CREATE VIEW v AS SELECT a FROM t", "other"),
            (
                "/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ /*!50003 TRIGGER x BEFORE INSERT ON t \
              FOR EACH ROW SET @a = 1 */",
                "other",
            ),
            ("CREATE PROCEDURE p() ALTER TABLE t FORCE", "other"),
            ("DROP VIEW v", "other"),
        ] {
            assert_eq!(told(text), is, "{text}");
        }
    }
}
