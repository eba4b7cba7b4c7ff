//! ENGINE.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::ddl::table::is_same;
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D403",
    name: "engine",
    sentence: "ENGINE=InnoDB rebuilds an InnoDB table; any other engine is refused, because transactions and \
               online changes end there",
    remedy: "keep InnoDB",
    source: "MySQL manual, Online DDL Operations: Table Operations; MariaDB documentation, ALTER TABLE",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let ClauseKind::Option(option) = &subject.clause.kind else { return None };
    if option.name != "ENGINE" {
        return None;
    }
    if is_same(&option.value, "InnoDB") {
        return Some(Ruling::can(Offer::REBUILD, "the table is rebuilt".to_owned()));
    }
    let why = format!("the engine would be {}", option.value);
    Some(Ruling::says(Effect::Refuse, why).offering(Offer::COPY))
}
