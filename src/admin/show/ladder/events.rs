//! `SHOW EVENTS [LIKE '<pattern>'] <tail>`: the log, newest first.

use super::super::super::context::AdminContext;
use super::super::super::table::{AdminTable, AdminValue, ColumnKind};
use crate::drain::{Action, Entry, Witness, utc};

/// Every event, newest first, so that a limit keeps the last ones.
pub(in crate::admin::show) fn events(context: &AdminContext) -> AdminTable {
    use ColumnKind::{Number, Text};
    let mut table = AdminTable::new([
        ("id", Number),
        ("at", Text),
        ("cluster", Text),
        ("what", Text),
        ("how", Text),
        ("by", Text),
        ("why", Text),
        ("signals", Text),
        ("actions", Text),
    ]);
    for logged in context.ladder.events().iter().rev() {
        let entry = &*logged.entry;
        table.push([
            logged.id.map_or(AdminValue::Null, AdminValue::from),
            utc(entry.at()).into(),
            AdminValue::optional(entry.cluster()),
            entry.what().into(),
            entry.how().into(),
            AdminValue::optional(entry.by()),
            entry.why().into(),
            signals(entry).into(),
            actions(entry).into(),
        ]);
    }
    table
}

fn signals(entry: &Entry) -> String {
    entry.evidence().iter().map(signal).collect::<Vec<_>>().join("; ")
}

/// A signal with its value: `heartbeat 3.50 s (from 1.00)`.
pub(super) fn signal(witness: &Witness) -> String {
    let Witness { signal, value, threshold, unit, .. } = witness;
    format!("{signal} {value:.2} {unit} (from {threshold:.2})")
}

fn actions(entry: &Entry) -> String {
    entry.actions().iter().map(Action::name).collect::<Vec<_>>().join(", ")
}

/// Keeps rows of which some column is like the pattern: `%` is anything, case does not matter.
pub(in crate::admin::show) fn keep_like(table: &mut AdminTable, pattern: &str) {
    let pattern = pattern.to_lowercase();
    let is_like = |value: &AdminValue| {
        value.printed().is_some_and(|printed| is_like(&printed.to_lowercase(), &pattern))
    };
    table.rows.retain(|row| row.iter().any(is_like));
}

/// Each part between `%` is found behind the one before it; the first and the last one at the ends.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('%') else { return text == pattern };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('%').unwrap_or(("", rest));
    for part in middle.split('%').filter(|part| !part.is_empty()) {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_mysql() {
        for (pattern, is_it) in [
            ("open → limited", true),
            ("open", false),
            ("open%", true),
            ("%limited", true),
            ("%→%", true),
            ("%", true),
            ("o%n%l%d", true),
            ("%l%l%", false),
            ("limited%", false),
            ("open → limited%limited", false),
        ] {
            assert_eq!(is_like("open → limited", pattern), is_it, "{pattern}");
        }
    }
}
