//! A check begins to hold.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D309",
    name: "add_check",
    sentence: "every row is checked: the server would copy the table and block writes, so it is copied \
               online",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Table Operations; MariaDB documentation, ALTER TABLE",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let begins = match &subject.clause.kind {
        ClauseKind::AddCheck(_) | ClauseKind::AlterCheck { enforced: true, .. } => true,
        ClauseKind::ChangeColumn { .. } => {
            let changed = subject.changed_column()?;
            let is_old = |text: &str| changed.old.checks.iter().any(|old| old.condition.text == text);
            changed.new.checks.iter().any(|check| !is_old(&check.condition.text))
        }
        _ => false,
    };
    begins.then(|| Ruling::can(Offer::COPY, "rows that break the check make it fail".to_owned()))
}
