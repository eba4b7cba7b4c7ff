//! `SHOW SESSIONS`.

use super::super::super::context::AdminContext;
use super::super::super::table::{AdminTable, AdminValue, ColumnKind};

/// Every connected client, by id.
pub(in crate::admin::show) fn sessions(context: &AdminContext) -> AdminTable {
    use ColumnKind::{Fraction, Number, Text};
    let mut table = AdminTable::new([
        ("id", Number),
        ("user", Text),
        ("peer", Text),
        ("db", Text),
        ("command", Text),
        ("command_s", Fraction),
        ("connected_s", Fraction),
        ("cluster", Text),
        ("in_transaction", Text),
        ("statements", Number),
        ("digest", Text),
    ]);
    let mut sessions = context.sessions.sessions();
    sessions.sort_by_key(|session| session.id.0);
    for session in sessions {
        table.push([
            session.id.0.into(),
            AdminValue::text(&session.user),
            session.peer.into(),
            AdminValue::optional(session.database),
            session.command.into(),
            AdminValue::Fraction(session.command_time.as_secs_f64()),
            AdminValue::Fraction(session.connected.as_secs_f64()),
            AdminValue::optional(session.cluster),
            if session.in_transaction { "yes" } else { "no" }.into(),
            session.statements.into(),
            AdminValue::optional(session.digest.map(|digest| format!("{digest:016x}"))),
        ]);
    }
    table
}
