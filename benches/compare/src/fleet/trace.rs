//! What the binary logs say of the changed tables: how often each one got another definition. Pure.
//!
//! A table gets one by `ALTER TABLE` of it, or by a `RENAME TABLE` that puts another one in its place. What
//! is not in the binary log is no change: replicas would not have it.

use std::collections::BTreeMap;

use super::schema::{Group, TABLE};

/// How often each database's table was changed, by the database's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Changes by database; one that is not there was not changed.
    pub changes: BTreeMap<String, u64>,
}

impl Trace {
    /// Reads a line of `SHOW BINLOG EVENTS` as the shell prints it: log, position, kind, server, end, text,
    /// separated by tabs.
    pub fn add(&mut self, line: &str) {
        let mut fields = line.splitn(6, '\t');
        let (kind, text) = (fields.nth(2), fields.nth(2));
        if let (Some("Query"), Some(text)) = (kind, text) {
            for database in changed_databases(text) {
                *self.changes.entry(database).or_default() += 1;
            }
        }
    }

    /// Adds another server's.
    pub fn merge(&mut self, other: Self) {
        for (database, count) in other.changes {
            *self.changes.entry(database).or_default() += count;
        }
    }
}

/// Databases whose table gets another definition by this statement.
fn changed_databases(text: &str) -> Vec<String> {
    let tokens = tokens(text);
    let mut rest = tokens.as_slice();
    let mut default = None;
    match rest {
        [Token::Word(word), Token::Name(name), Token::Sign(';'), behind @ ..] if word == "USE" => {
            (default, rest) = (Some(name.as_str()), behind);
        }
        _ => {}
    }
    let [Token::Word(verb), Token::Word(table), rest @ ..] = rest else { return Vec::new() };
    if table != "TABLE" {
        return Vec::new();
    }
    let targets = match verb.as_str() {
        "ALTER" => vec![rest],
        "RENAME" => targets(rest),
        _ => return Vec::new(),
    };
    let prefix = format!("{}_", Group::Changed.prefix());
    let names = targets.into_iter().filter_map(|target| named(target, default));
    let own = names.filter(|(database, table)| database.starts_with(&prefix) && *table == TABLE);
    own.map(|(database, _)| database.to_owned()).collect()
}

/// What stands behind each TO.
fn targets(tokens: &[Token]) -> Vec<&[Token]> {
    let is_to = |token: &Token| matches!(token, Token::Word(word) if word == "TO");
    let at = tokens.iter().enumerate().filter(|(_, token)| is_to(token));
    at.map(|(at, _)| &tokens[at + 1..]).collect()
}

/// Database and table of a name at the front.
fn named<'a>(tokens: &'a [Token], default: Option<&'a str>) -> Option<(&'a str, &'a str)> {
    let name = |token: &'a Token| match token {
        Token::Name(name) => Some(name.as_str()),
        // Without quotes; case is kept aside.
        Token::Word(_) | Token::Sign(_) => None,
    };
    let first = name(tokens.first()?)?;
    match tokens.get(1) {
        Some(Token::Sign('.')) => Some((first, name(tokens.get(2)?)?)),
        _ => Some((default?, first)),
    }
}

/// A part of a statement; comments are none.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A key word in capitals: RENAME, ALTER, TABLE, TO, USE.
    Word(String),
    /// Any other word, or a name in backticks.
    Name(String),
    /// Anything else.
    Sign(char),
}

const WORDS: [&str; 5] = ["RENAME", "ALTER", "TABLE", "TO", "USE"];

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, behind)| behind);
        } else if first == '`' {
            let (name, behind) = quoted(&rest[1..]);
            found.push(Token::Name(name));
            rest = behind;
        } else if is_in_word(first) {
            let end = rest.find(|c: char| !is_in_word(c)).unwrap_or(rest.len());
            let upper = rest[..end].to_ascii_uppercase();
            let is_key = WORDS.contains(&upper.as_str());
            found.push(if is_key { Token::Word(upper) } else { Token::Name(rest[..end].to_owned()) });
            rest = &rest[end..];
        } else {
            if !first.is_whitespace() {
                found.push(Token::Sign(first));
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

fn is_in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// A name up to its closing backtick, and what stands behind it; two of them are one of the name.
fn quoted(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut rest = text;
    while let Some((part, behind)) = rest.split_once('`') {
        name.push_str(part);
        match behind.strip_prefix('`') {
            Some(more) => {
                name.push('`');
                rest = more;
            }
            None => return (name, behind),
        }
    }
    (name, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> String {
        format!("binlog.000002\t157\tQuery\t23001\t400\t{text}")
    }

    fn changes(texts: &[&str]) -> Vec<(String, u64)> {
        let mut trace = Trace::default();
        texts.iter().for_each(|text| trace.add(&line(text)));
        trace.changes.into_iter().collect()
    }

    #[test]
    fn every_way_to_change_a_table_counts_once() {
        for text in [
            "ALTER TABLE ws_7.issues MODIFY position BIGINT NOT NULL DEFAULT 0 /* xid=12 */",
            "use `ws_7`; ALTER TABLE issues MODIFY position BIGINT NOT NULL DEFAULT 0",
            "use `bench`; alter table `ws_7`.`issues` modify position bigint",
            "RENAME /* bulkhead 00ab */ TABLE `ws_7`.`issues` TO `zz_bulkhead`.`old_00ab`, \
             `zz_bulkhead`.`new_00ab` TO `ws_7`.`issues` /* xid=9 */",
            "RENAME TABLE `ws_7`.`issues` TO `ws_7`.`_issues_old`, `ws_7`.`_issues_new` TO `ws_7`.`issues`",
        ] {
            assert_eq!(changes(&[text]), [("ws_7".to_owned(), 1)], "{text}");
        }
    }

    #[test]
    fn what_changes_no_table_of_the_fleet_does_not_count() {
        for text in [
            "BEGIN",
            "CREATE TABLE `zz_bulkhead`.`new_00ab` (id int)",
            "ALTER TABLE `ws_7`.`_issues_new` MODIFY position BIGINT",
            "ALTER TABLE `account_7`.`issues` MODIFY position BIGINT",
            "RENAME TABLE `ws_7`.`issues` TO `zz_bulkhead`.`old_00ab`",
            "ALTER DATABASE ws_7 CHARACTER SET utf8mb4",
            "use `ws_7`; DROP TABLE `_issues_old`",
            "ALTER TABLE issues MODIFY position BIGINT",
            "",
            "`",
        ] {
            assert_eq!(changes(&[text]), [], "{text}");
        }
        let mut trace = Trace::default();
        trace.add("binlog.000002\t157\tTable_map\t1\t4\tALTER TABLE ws_7.issues ADD x INT");
        trace.add("binlog.000002\t157");
        assert_eq!(trace, Trace::default());
    }

    #[test]
    fn two_changes_of_a_table_are_two() {
        let text = "ALTER TABLE ws_7.issues MODIFY position BIGINT";
        assert_eq!(changes(&[text, text]), [("ws_7".to_owned(), 2)]);
        let mut one = Trace::default();
        one.add(&line(text));
        let mut two = one.clone();
        two.merge(one);
        assert_eq!(two.changes["ws_7"], 2);
    }

    #[test]
    fn names_may_hold_backticks() {
        assert_eq!(
            tokens("`a``b`.c"),
            [Token::Name("a`b".to_owned()), Token::Sign('.'), Token::Name("c".to_owned())]
        );
    }
}
