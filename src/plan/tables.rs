//! Which tables a statement names: what gates of tables go by.

use crate::sql::{Lexer, ObjectName, SqlMode, Token, TokenKind};

use super::statements::whole::name_of;

/// The tables that a statement names. Not those that a view, a trigger, a routine or a foreign key leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tables {
    /// These and no others, in lower case, without their databases. Those of system schemas are left out.
    Named(Box<[Box<str>]>),
    /// Its text was not read as far as this: any name in it may be a table's.
    #[default]
    Unread,
}

impl Tables {
    /// Exactly these.
    pub(crate) fn named(names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut names: Vec<Box<str>> =
            names.into_iter().map(|name| name.as_ref().to_lowercase().into()).collect();
        names.sort_unstable();
        names.dedup();
        Self::Named(names.into())
    }

    /// Those of a statement whose reader found every name of a table.
    pub(crate) fn of_objects(names: &[&ObjectName]) -> Self {
        Self::named(names.iter().map(|name| &name.name.text))
    }

    /// Says whether the statement names the table, in any case: servers differ in whether that matters.
    ///
    /// `text` and `mode` are the statement's, and only looked at when its tables are not known. Then a column
    /// or an alias of that name counts too; what stands in a string or a comment never does.
    pub fn has(&self, table: &str, text: &[u8], mode: SqlMode) -> bool {
        let table = table.to_lowercase();
        match self {
            Self::Named(names) => names.iter().any(|name| **name == *table),
            Self::Unread => is_in_text(&table, text, mode),
        }
    }

    /// Names that are kept.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Named(names) => names.len(),
            Self::Unread => 0,
        }
    }
}

fn is_in_text(table: &str, text: &[u8], mode: SqlMode) -> bool {
    let mut lexer = Lexer::new(text, mode);
    loop {
        let token = lexer.next_token();
        if token.kind == TokenKind::End {
            return false;
        }
        if may_be(table, text, token) {
            return true;
        }
    }
}

fn may_be(table: &str, text: &[u8], token: Token) -> bool {
    match token.kind {
        TokenKind::Word | TokenKind::Name | TokenKind::QuotedName => {
            name_of(text, token).to_lowercase() == table
        }
        // A server may read it otherwise than the lexer.
        TokenKind::Invalid => {
            let raw = String::from_utf8_lossy(token.span.of(text)).to_lowercase();
            !table.is_empty() && raw.contains(table)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unread(text: &str, mode: SqlMode) -> bool {
        Tables::Unread.has("Orders", text.as_bytes(), mode)
    }

    #[test]
    fn in_a_text_that_was_not_read_names_count_and_nothing_else() {
        let mode = SqlMode::default();
        for text in [
            "CALL orders()",
            "create view v as select * from `ORDERS`",
            "alter table shop . orders add a int",
            "select 1 from a, /*!40000 orders */",
            "load data local infile 'x' into table a set b = (select max(id) from orders)",
        ] {
            assert!(unread(text, mode), "{text}");
        }
        for text in [
            "call f('orders')",
            "call f(\"orders\")",
            "call f() /* orders */",
            "call f() -- orders",
            "call f(@orders, orders_2, reorders)",
            "",
        ] {
            assert!(!unread(text, mode), "{text}");
        }
        let ansi = SqlMode { ansi_quotes: true, ..mode };
        assert!(unread("call f(\"orders\")", ansi));
        assert!(Tables::Unread.has("a`b", "delete from `a``b`".as_bytes(), mode));
        assert!(Tables::Unread.has("ärger", "delete from ÄRGER".as_bytes(), mode));
    }

    #[test]
    fn known_tables_do_not_depend_on_the_text() {
        let tables = Tables::named(["Orders", "issues", "orders"]);
        assert_eq!(tables.count(), 2);
        assert!(tables.has("ORDERS", b"", SqlMode::default()));
        assert!(!tables.has("users", b"users", SqlMode::default()));
    }
}
