//! What whoever asks is told of a refused change.

use super::asked::Asked;
use crate::ddl::{Decision, Effect, Finding, Level, Standing, Table, missing_column};
use crate::error::{ClientError, Code};
use crate::sql::{ClauseKind, Lexer, SqlMode, TokenKind};

/// The refusal in words: the rule that weighs most, why it applies here, what to do; and which others there
/// are. Names only, no values.
pub fn refusal(decision: &Decision, standing: Standing) -> ClientError {
    let refusals = || decision.all_findings().filter(|finding| finding.level == Level::Refusal);
    let heaviest = refusals().map(|finding| finding.effect).max();
    let Some(found) = refusals().find(|finding| Some(finding.effect) == heaviest) else {
        return ClientError::of(Code::DdlRefused);
    };
    let (rule, code) = (found.rule, code_of(found.effect));
    let mut message = format!("{} {}: {}: {}; {}", rule.id, rule.name, found.why, rule.sentence, rule.remedy);
    let mut others: Vec<&str> = refusals().map(|other: &Finding| other.rule.id).collect();
    others.sort_unstable();
    others.dedup();
    others.retain(|id| *id != rule.id);
    if !others.is_empty() {
        message.push_str(&format!(" (also {})", others.join(", ")));
    }
    if standing == Standing::Empty {
        message.push_str(" (the table holds no rows, but held some)");
    }
    ClientError::new(code, message)
}

/// Says whether the change names a column that the table does not have: no server would do that.
pub fn names_nothing(decision: &Decision) -> bool {
    let is_it = |found: &Finding| found.level == Level::Refusal && found.rule.name == "unknown_column";
    decision.all_findings().any(is_it)
}

/// The server's own error for the first clause that names a column that is not there; `None` where a
/// condition (IF EXISTS) may make that a no-op. The server is not asked: what else the statement names would
/// be done if a column of this name appeared meanwhile.
pub fn error_of_nothing(asked: &Asked<'_>, table: Table<'_>) -> Option<ClientError> {
    let Asked { text, change, mode } = asked;
    change.clauses.iter().find_map(|clause| {
        let column = missing_column(change, clause, table)?;
        if is_conditional(clause.span.of(text), *mode) {
            return None;
        }
        let name = &change.table.name.text;
        let (errno, state, message) = match &clause.kind {
            ClauseKind::AddKey(_) => {
                (1072, b"42000", format!("Key column '{column}' doesn't exist in table"))
            }
            ClauseKind::DropColumn { .. } => {
                (1091, b"42000", format!("Can't DROP '{column}'; check that column/key exists"))
            }
            _ => (1054, b"42S22", format!("Unknown column '{column}' in '{name}'")),
        };
        Some(ClientError::from_server(errno, *state, &message))
    })
}

/// Says whether a clause has IF EXISTS or IF NOT EXISTS.
fn is_conditional(clause: &[u8], mode: SqlMode) -> bool {
    let mut lexer = Lexer::new(clause, mode);
    let mut follows_if = false;
    loop {
        let token = lexer.next_token();
        let is = |word: &str| token.span.of(clause).eq_ignore_ascii_case(word.as_bytes());
        match token.kind {
            TokenKind::End => return false,
            TokenKind::Word if follows_if && (is("EXISTS") || is("NOT")) => return true,
            kind => follows_if = kind == TokenKind::Word && is("IF"),
        }
    }
}

fn code_of(effect: Effect) -> Code {
    match effect {
        Effect::Acknowledge => Code::DdlUnacknowledged,
        Effect::Proof | Effect::ProofInUse | Effect::ProofIfCopied => Code::DdlUnproven,
        Effect::Allow | Effect::Note | Effect::Copy | Effect::RefuseInUse | Effect::Refuse => {
            Code::DdlRefused
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddl::{Request, decide};
    use crate::sql::{Scan, read_change, read_definition, scan};

    /// libmysqlclient keeps so many bytes of a message, the closing zero included.
    const MESSAGE_BYTES_MAX: usize = 511;

    fn told(text: &str) -> ClientError {
        let table = "CREATE TABLE t (id BIGINT PRIMARY KEY, name VARCHAR(50), n INT NOT NULL)";
        let (mode, mut found) = (SqlMode::default(), Scan::default());
        scan(table.as_bytes(), mode, &mut found);
        let definition = read_definition(table.as_bytes(), &found, mode).unwrap();
        scan(text.as_bytes(), mode, &mut found);
        let change = read_change(text.as_bytes(), &found, mode).unwrap().unwrap();
        let decision = decide(&Request {
            text: text.as_bytes(),
            change: &change,
            table: Some(&definition),
            server: mode.server,
            prove: false,
            acknowledged: false,
            standing: Standing::InUse,
            must_copy: false,
        });
        refusal(&decision, Standing::InUse)
    }

    #[test]
    fn what_names_nothing_gets_the_servers_error() {
        let table = b"CREATE TABLE t (id BIGINT PRIMARY KEY, name VARCHAR(50))";
        let (mode, mut found) = (SqlMode::default(), Scan::default());
        scan(table, mode, &mut found);
        let definition = read_definition(table, &found, mode).unwrap();
        let table = Table { definition: Some(&definition), server: mode.server };
        let mut told = |text: &str| {
            let text = text.as_bytes();
            scan(text, mode, &mut found);
            let change = read_change(text, &found, mode).unwrap().unwrap();
            let error = error_of_nothing(&Asked { text, change, mode }, table);
            error.map(|error| (error.errno(), error.sqlstate().to_owned()))
        };
        assert_eq!(told("ALTER TABLE t DROP COLUMN name, MODIFY nix INT"), Some((1054, "42S22".to_owned())));
        assert_eq!(told("ALTER TABLE t ADD a INT AFTER nix"), Some((1054, "42S22".to_owned())));
        assert_eq!(told("ALTER TABLE t DROP COLUMN name, ADD KEY (nix)"), Some((1072, "42000".to_owned())));
        assert_eq!(told("ALTER TABLE t DROP COLUMN nix"), Some((1091, "42000".to_owned())));
        assert_eq!(told("ALTER TABLE t MODIFY COLUMN IF EXISTS nix INT"), None);
        assert_eq!(told("ALTER TABLE t MODIFY name INT"), None);
        assert_eq!(
            told("ALTER TABLE t MODIFY IF EXISTS nix INT, CHANGE nix a INT"),
            Some((1054, "42S22".to_owned()))
        );
    }

    #[test]
    fn the_rule_that_weighs_most_is_told_and_drivers_keep_all_of_it() {
        for (text, code, rule) in [
            ("ALTER TABLE t DROP COLUMN name", Code::DdlUnacknowledged, "D106 drop_column"),
            ("ALTER TABLE t RENAME COLUMN name TO x", Code::DdlUnacknowledged, "D107 rename_column"),
            ("ALTER TABLE t MODIFY n SMALLINT NOT NULL", Code::DdlUnproven, "D202 lossy_conversion"),
            ("ALTER TABLE t MODIFY name VARCHAR(50) NOT NULL", Code::DdlUnproven, "D111 not_null"),
            ("ALTER TABLE t FROBNICATE", Code::DdlRefused, "D501 unknown_clause"),
            ("ALTER TABLE t ADD FOREIGN KEY (n) REFERENCES u (id)", Code::DdlRefused, "D307 add_foreign_key"),
            ("ALTER TABLE t DROP COLUMN name, MODIFY n SMALLINT NOT NULL", Code::DdlUnacknowledged, "D106"),
        ] {
            let error = told(text);
            let message = error.wire_message();
            assert_eq!(error.code, code, "{text}: {message}");
            assert!(message.contains(rule), "{text}: {message}");
            assert!(message.len() <= MESSAGE_BYTES_MAX, "{} bytes: {message}", message.len());
        }
        let both = told("ALTER TABLE t DROP COLUMN name, MODIFY n SMALLINT NOT NULL");
        assert!(both.message.contains("also D202"), "{both}");
    }
}
