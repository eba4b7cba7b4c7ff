//! What shells and drivers send by themselves when they connect: answered as MySQL would, so that they work.

use super::super::context::AdminContext;
use super::super::table::{AdminAnswer, AdminTable, AdminValue, ColumnKind};
use super::super::words::{Word, Words};
use super::done;
use crate::error::ClientError;

/// What an admin sets, not a client by itself.
const OWN_SETS: [&str; 3] = ["WORKSPACE", "GATE", "DDL"];

/// Answers a statement of a client's own, `None` when it is an admin statement.
pub(in crate::admin) fn answer_client(
    words: &Words<'_>,
    context: &AdminContext,
) -> Option<Result<AdminAnswer, ClientError>> {
    let mut words = words.clone();
    if words.take("SET") && !OWN_SETS.iter().any(|own| words.is_next(own)) {
        return Some(done(0, ""));
    }
    let ignored = ["USE", "BEGIN", "START", "COMMIT", "ROLLBACK", "DO"];
    if ignored.iter().any(|keyword| words.is_next(keyword)) {
        return Some(done(0, ""));
    }
    if words.take("SELECT") {
        return select(&mut words, context).map(Ok);
    }
    if words.take("SHOW") {
        return show(&mut words, context).map(Ok);
    }
    None
}

/// `SELECT` without a table: variables and functions that clients ask for.
fn select(words: &mut Words<'_>, context: &AdminContext) -> Option<AdminAnswer> {
    let mut table = AdminTable::default();
    let mut row = Vec::new();
    loop {
        let (name, value) = expression(words, context)?;
        let name = if words.take("AS") { words.name("an alias").ok()? } else { name };
        table.columns.push((name, ColumnKind::Text));
        row.push(value);
        if !words.take_symbol(',') {
            break;
        }
    }
    if words.take("LIMIT") {
        words.number("a number").ok()?;
    }
    words.end().ok()?;
    table.push(row);
    Some(AdminAnswer::Rows(table))
}

fn expression(words: &mut Words<'_>, context: &AdminContext) -> Option<(String, AdminValue)> {
    let Some(Word::Plain(name)) = words.peek().cloned() else { return None };
    words.take(&name);
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some((name.clone(), name.into()));
    }
    if let Some(variable) = name.strip_prefix("@@") {
        let variable = variable.to_ascii_lowercase();
        let variable = variable.trim_start_matches("session.").trim_start_matches("global.");
        return Some((name.clone(), variable_value(variable, context)));
    }
    if !(words.take_symbol('(') && words.take_symbol(')')) {
        return None;
    }
    let value = match name.to_ascii_uppercase().as_str() {
        "VERSION" => variable_value("version", context),
        "CONNECTION_ID" => 0_u64.into(),
        "DATABASE" | "SCHEMA" | "USER" | "CURRENT_USER" => AdminValue::Null,
        _ => return None,
    };
    Some((format!("{name}()"), value))
}

fn variable_value(name: &str, context: &AdminContext) -> AdminValue {
    let snapshot = context.snapshots.load();
    let listen = &snapshot.config.listen;
    match name {
        "version" => AdminValue::text(&listen.server_version),
        "version_comment" => "Bulkhead admin".into(),
        "max_allowed_packet" => listen.max_allowed_packet.into(),
        "autocommit" => 1_u64.into(),
        "auto_increment_increment" => 1_u64.into(),
        "wait_timeout" | "interactive_timeout" | "net_write_timeout" => {
            snapshot.config.timeouts.idle.as_secs().into()
        }
        "lower_case_table_names" => 0_u64.into(),
        "character_set_client"
        | "character_set_connection"
        | "character_set_results"
        | "character_set_server" => "utf8mb4".into(),
        "collation_connection" | "collation_server" => "utf8mb4_0900_ai_ci".into(),
        "time_zone" => "SYSTEM".into(),
        "system_time_zone" => "UTC".into(),
        "transaction_isolation" | "tx_isolation" => "REPEATABLE-READ".into(),
        "license" => "Apache-2.0".into(),
        "sql_mode" | "init_connect" => "".into(),
        _ => AdminValue::Null,
    }
}

const VARIABLES: [&str; 5] = ["version", "version_comment", "max_allowed_packet", "autocommit", "time_zone"];

/// `SHOW` statements of MySQL that clients send.
fn show(words: &mut Words<'_>, context: &AdminContext) -> Option<AdminAnswer> {
    let text = ColumnKind::Text;
    let _ = words.take("SESSION") || words.take("GLOBAL");
    if words.take("WARNINGS") {
        return Some(AdminAnswer::Rows(AdminTable::new([
            ("Level", text),
            ("Code", ColumnKind::Number),
            ("Message", text),
        ])));
    }
    if words.take("VARIABLES") {
        let wanted = if words.take("LIKE") { Some(words.name("a pattern").ok()?) } else { None };
        let mut table = AdminTable::new([("Variable_name", text), ("Value", text)]);
        for name in VARIABLES.iter().filter(|name| wanted.as_deref().is_none_or(|wanted| wanted == **name)) {
            table.push([(*name).into(), variable_value(name, context)]);
        }
        return Some(AdminAnswer::Rows(table));
    }
    if words.take("DATABASES") || words.take("SCHEMAS") {
        return Some(AdminAnswer::Rows(AdminTable::new([("Database", text)])));
    }
    if words.take("TABLES") {
        let mut table = AdminTable::new([("Tables_in_admin", text)]);
        super::super::show::TABLES.iter().for_each(|name| table.push([(*name).into()]));
        return Some(AdminAnswer::Rows(table));
    }
    None
}
