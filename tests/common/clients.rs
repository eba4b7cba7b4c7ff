//! Small things that tests say to a connection.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

use super::raw::{COLLATION, Login, MODERN};
use super::servers::Bulkhead;

/// Who logs in with every packet in sight.
pub fn login(bulkhead: &Bulkhead) -> Login {
    Login {
        port: bulkhead.port,
        user: "app".to_owned(),
        password: bulkhead.password.clone(),
        database: Some("app".to_owned()),
        capabilities: MODERN,
        collation: COLLATION,
    }
}

/// Runs a statement that must succeed.
pub async fn run(conn: &mut Conn, sql: &str) {
    conn.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// The errno and message of a refusal: 0 for success, 1 for a connection that is gone.
pub fn errno<T>(result: Result<T, Error>) -> (u16, String) {
    match result {
        Ok(_) => (0, String::new()),
        Err(Error::Server(error)) => (error.code, error.message),
        Err(error) => (1, error.to_string()),
    }
}

/// A statement's one number.
pub async fn value(conn: &mut Conn, sql: &str) -> i64 {
    conn.query_first(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).expect("a row")
}
