//! Stored code of one database that leaves on its connection what nobody would see.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::plan::left_behind;
use crate::sql::SqlMode;
use crate::vschema::check::Finding;

use super::Asked;

/// What runs inside of statements that do not show it; events run on threads of their own.
const BODIES: [&str; 3] = [
    "SELECT LOWER(routine_type), routine_name, routine_definition FROM information_schema.routines \
     WHERE routine_schema = ?",
    "SELECT 'trigger', trigger_name, action_statement FROM information_schema.triggers \
     WHERE trigger_schema = ?",
    "SELECT 'view', table_name, view_definition FROM information_schema.views WHERE table_schema = ?",
];

/// Warns of routines, triggers and views of the database that do what session tracking does not tell of, and
/// of those whose body the user may not see.
pub(super) async fn check(
    asked: Asked<'_>,
    database: &str,
    connection: &mut Conn,
    findings: &mut Vec<Finding>,
) -> Result<(), mysql_async::Error> {
    for query in BODIES {
        let bodies: Vec<(String, String, Option<String>)> = connection.exec(query, (database,)).await?;
        for (kind, name, body) in bodies {
            let about = format!("{kind} {database}.{name}");
            match body.filter(|body| !body.is_empty()) {
                Some(body) => {
                    if let Some(what) = left_behind(&body, SqlMode::default()) {
                        let message =
                            format!("{what}; another session may find what it leaves on the connection");
                        findings.push(asked.warning(about, message));
                    }
                }
                None => findings.push(asked.warning(
                    about,
                    "the admin user cannot see its body, so it is not known what it leaves on connections",
                )),
            }
        }
    }
    Ok(())
}
