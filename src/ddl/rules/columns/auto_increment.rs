//! AUTO_INCREMENT comes or goes.

use crate::ddl::offer::Offer;
use crate::ddl::rules::{Check, Effect, Rule, Ruling, Subject};

pub(super) static RULE: Rule = Rule {
    id: "D113",
    name: "auto_increment",
    sentence: "a column begins or ends to count by itself",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Column Operations; MariaDB documentation, InnoDB Online \
               DDL Operations with the INSTANT Alter Algorithm",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let changed = subject.changed_column()?;
    if changed.old.auto_increment == changed.new.auto_increment {
        return None;
    }
    let name = &changed.old.name.text;
    if changed.new.auto_increment {
        return Some(Ruling::can(Offer::COPY, format!("`{name}` begins to count")));
    }
    let offer = if subject.is_mariadb() { Offer::INSTANT } else { Offer::COPY };
    let why = format!("`{name}` counts no more: INSERTs that leave it out fail");
    Some(Ruling::says(Effect::Acknowledge, why).offering(offer).breaking())
}
