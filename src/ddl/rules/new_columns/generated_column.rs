//! A new generated column.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Rule, Ruling, Subject};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D104",
    name: "generated_column",
    sentence: "adds a generated column: a virtual one is instant, a stored one is written into every row",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Generated Column Operations; MariaDB documentation, \
               Generated Columns",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let ClauseKind::AddColumn { column, position } = &subject.clause.kind else { return None };
    let generated = column.generated.as_ref()?;
    let is_plain = column.storage.is_empty() && column.checks.is_empty();
    let fits = position.is_none() || subject.is_mariadb() || subject.is_mysql_from(80_032);
    let offer = match !generated.stored && is_plain && fits {
        true => subject.virtual_offer(),
        false => Offer::COPY,
    };
    let offer = if column.key.is_some() { offer.and(Offer::BUILD) } else { offer };
    Some(Ruling::can(offer, format!("adds the generated column `{}`", column.name.text)))
}
