//! What no online change can carry.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};
use crate::sql::{ClauseKind, PartitionAction};

/// Options that name files, engines or other tables.
const UNSUPPORTED: [&str; 12] = [
    "TABLESPACE",
    "DATA DIRECTORY",
    "INDEX DIRECTORY",
    "UNION",
    "CONNECTION",
    "PASSWORD",
    "SECONDARY_ENGINE",
    "SECONDARY_ENGINE_ATTRIBUTE",
    "ENGINE_ATTRIBUTE",
    "SEQUENCE",
    "IETF_QUOTES",
    "SYSTEM VERSIONING",
];

pub(super) static RULE: Rule = Rule {
    id: "D411",
    name: "unsupported",
    sentence: "is about files, engines, maintenance or versions of rows, which a change through the proxy \
               cannot carry",
    remedy: "run it on the server, by hand",
    source: "MySQL manual, Online DDL Operations: Table Operations; MariaDB documentation, ALTER TABLE",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let what = match &subject.clause.kind {
        ClauseKind::Tablespace => "the tablespace",
        ClauseKind::SecondaryEngine => "a secondary engine",
        ClauseKind::SwitchKeys => "switching keys, which InnoDB does not do",
        ClauseKind::OrderBy => "the order of stored rows, which InnoDB does not keep",
        ClauseKind::SystemVersioning => "system versioning",
        ClauseKind::Partition(
            PartitionAction::Exchange | PartitionAction::Maintain | PartitionAction::Tablespace,
        ) => "exchange and maintenance of partitions",
        ClauseKind::Option(option) if UNSUPPORTED.contains(&option.name.as_str()) => "the option",
        _ => return None,
    };
    let why = format!("{what} is not for the proxy");
    Some(Ruling::says(Effect::Refuse, why).offering(Offer::COPY))
}
