//! What a server replicates with: login and TLS, taken from the config or from a MySQL replica.

use std::fmt::Write as _;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};

use super::read::ReadError;
use crate::config::Login;
use crate::ids::ServerId;
use crate::protocol::handshake::Flavour;
use crate::redact::Secret;

/// Login and TLS of a replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    login: Login,
    /// `SOURCE_…` options as they are, but for login and address.
    options: Vec<(String, OptionValue)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum OptionValue {
    Text(String),
    Number(u64),
}

/// Columns of `mysql.slave_master_info` and the options that they come from. **Source**: MySQL 9 Reference
/// Manual, "Replica Status Logs".
const OPTIONS: &[(&str, &str, Kind)] = &[
    ("Connect_retry", "SOURCE_CONNECT_RETRY", Kind::Number),
    ("Retry_count", "SOURCE_RETRY_COUNT", Kind::Number),
    ("Enabled_ssl", "SOURCE_SSL", Kind::Number),
    ("Ssl_ca", "SOURCE_SSL_CA", Kind::Text),
    ("Ssl_capath", "SOURCE_SSL_CAPATH", Kind::Text),
    ("Ssl_cert", "SOURCE_SSL_CERT", Kind::Text),
    ("Ssl_key", "SOURCE_SSL_KEY", Kind::Text),
    ("Ssl_cipher", "SOURCE_SSL_CIPHER", Kind::Text),
    ("Ssl_crl", "SOURCE_SSL_CRL", Kind::Text),
    ("Ssl_verify_server_cert", "SOURCE_SSL_VERIFY_SERVER_CERT", Kind::Number),
    ("Tls_version", "SOURCE_TLS_VERSION", Kind::Text),
    ("Public_key_path", "SOURCE_PUBLIC_KEY_PATH", Kind::Text),
    ("Get_public_key", "GET_SOURCE_PUBLIC_KEY", Kind::Number),
];

const TLS: &str = "SOURCE_SSL";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
}

impl Link {
    /// A login of the config.
    pub(super) fn of(login: &Login, with_tls: bool) -> Self {
        // Without TLS the password needs the source's public key.
        let name = if with_tls { TLS } else { "GET_SOURCE_PUBLIC_KEY" };
        Self { login: login.clone(), options: vec![(name.to_owned(), OptionValue::Number(1))] }
    }

    /// The same with another login.
    pub(super) fn by(self, login: &Login) -> Self {
        Self { login: login.clone(), ..self }
    }

    /// What a MySQL replica uses; `None` where it does not tell.
    pub(super) async fn read(conn: &mut Conn) -> Result<Option<Self>, ReadError> {
        let table = "SELECT * FROM mysql.slave_master_info WHERE Channel_name = ''";
        let row: Option<Row> = match conn.query_first(table).await {
            Err(mysql_async::Error::Server(_)) => return Ok(None),
            row => row?,
        };
        Ok(row.as_ref().and_then(Self::of_row))
    }

    fn of_row(row: &Row) -> Option<Self> {
        let text = |name: &str| {
            let at = row.columns_ref().iter().position(|column| column.name_str() == name)?;
            match row.as_ref(at)? {
                Value::NULL => None,
                Value::Bytes(bytes) => String::from_utf8(bytes.clone()).ok(),
                other => Some(other.as_sql(true)),
            }
        };
        let user = text("User_name").filter(|user| !user.is_empty())?;
        let password = text("User_password")?;
        let options = OPTIONS.iter().filter_map(|(column, option, kind)| {
            let value = text(column).filter(|value| !value.is_empty())?;
            let value = match kind {
                Kind::Text => OptionValue::Text(value),
                Kind::Number => OptionValue::Number(value.parse().ok()?),
            };
            Some(((*option).to_owned(), value))
        });
        let options = options.collect();
        Some(Self { login: Login { user: user.into(), password: Secret::new(password) }, options })
    }
}

/// The statement that makes a server replicate from `source`: with `link`, or with what it has already. For a
/// session without `NO_BACKSLASH_ESCAPES`. It holds a password.
pub(super) fn change_source(flavour: Flavour, source: &ServerId, link: Option<&Link>) -> String {
    let prefix = if flavour == Flavour::MySql { "SOURCE" } else { "MASTER" };
    let mut sql = match flavour {
        Flavour::MySql => "CHANGE REPLICATION SOURCE TO".to_owned(),
        Flavour::MariaDb => "CHANGE MASTER TO".to_owned(),
    };
    let position = match flavour {
        Flavour::MySql => "SOURCE_AUTO_POSITION = 1",
        Flavour::MariaDb => "MASTER_USE_GTID = slave_pos",
    };
    let host = text(&source.host);
    // Writing into a String cannot fail.
    let _ = write!(sql, " {prefix}_HOST = {host}, {prefix}_PORT = {}, {position}", source.port);
    let Some(Link { login, options }) = link else { return sql };
    let (user, password) = (text(&login.user), text(login.password.reveal()));
    let _ = write!(sql, ", {prefix}_USER = {user}, {prefix}_PASSWORD = {password}");
    if flavour == Flavour::MariaDb {
        // The options are MySQL's; a source that goes away for a moment is tried again soon.
        sql.push_str(", MASTER_CONNECT_RETRY = 1");
        if options.iter().any(|(option, _)| option == TLS) {
            sql.push_str(", MASTER_SSL = 1");
        }
        return sql;
    }
    for (option, value) in options {
        let _ = match value {
            OptionValue::Text(value) => write!(sql, ", {option} = {}", text(value)),
            OptionValue::Number(value) => write!(sql, ", {option} = {value}"),
        };
    }
    sql
}

/// A literal; these options take no other form of text.
fn text(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_quoted_and_of_the_flavour() {
        let source = ServerId { host: "db'1".into(), port: 3306 };
        let sql = change_source(Flavour::MySql, &source, None);
        assert_eq!(
            sql,
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'db''1', SOURCE_PORT = 3306, SOURCE_AUTO_POSITION = 1"
        );
        let link = Link::of(&Login { user: "repl".into(), password: Secret::new("a\\'b") }, false);
        let sql = change_source(Flavour::MySql, &source, Some(&link));
        assert!(
            sql.ends_with(", SOURCE_USER = 'repl', SOURCE_PASSWORD = 'a\\\\''b', GET_SOURCE_PUBLIC_KEY = 1")
        );
        let sql = change_source(Flavour::MariaDb, &source, Some(&link));
        assert!(sql.contains("MASTER_USE_GTID = slave_pos, MASTER_USER = 'repl'"), "{sql}");
        assert!(!sql.contains("SOURCE"));
    }
}
