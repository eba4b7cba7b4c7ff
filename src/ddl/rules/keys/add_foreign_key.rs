//! A new foreign key.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D307",
    name: "add_foreign_key",
    sentence: "a foreign key makes writes of one table wait for locks of another, blocks writes while it is \
               added, and cannot reach across shards",
    remedy: "keep the reference in the application, or a plain index; a table that nobody uses yet may have \
             one",
    source: "MySQL manual, Online DDL Operations: Foreign Key Operations; MariaDB documentation, Foreign \
               Keys",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let is_added = match &subject.clause.kind {
        ClauseKind::AddForeignKey(_) => true,
        ClauseKind::AddColumn { column, .. } | ClauseKind::ChangeColumn { column, .. } => {
            column.references.is_some()
        }
        _ => return None,
    };
    is_added
        .then(|| Ruling::says(Effect::RefuseInUse, "a foreign key is added".to_owned()).offering(Offer::COPY))
}
