//! What the client is told of a refused change.

use crate::ddl::{Decision, Effect, Finding, Level, Standing};
use crate::error::{ClientError, Code};

/// The refusal in words: the rule that weighs most, why it applies here, what to do; and which others there
/// are. Names only, no values.
pub(super) fn refusal(decision: &Decision, standing: Standing) -> ClientError {
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
pub(super) fn names_nothing(decision: &Decision) -> bool {
    let is_it = |found: &Finding| found.level == Level::Refusal && found.rule.name == "unknown_column";
    decision.all_findings().any(is_it)
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
    use crate::sql::{Scan, SqlMode, read_change, read_definition, scan};

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
