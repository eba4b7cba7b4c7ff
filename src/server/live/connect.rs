//! Connections of the check: both logins of a cluster, with the cluster's TLS.

use std::time::Duration;

use mysql_async::Conn;

use crate::config::Login;
use crate::control::{Refused, open};
use crate::vschema::check::Finding;

use super::Asked;

/// Tries both logins; gives a connection of the admin login.
pub(super) async fn log_in(asked: Asked<'_>, bound: Duration, findings: &mut Vec<Finding>) -> Option<Conn> {
    let (login, admin) = (&asked.cluster.login, &asked.cluster.admin_login);
    let tls = &asked.cluster.tls;
    let fault =
        |login: &Login, error: Refused| asked.error(format!("login of {}", login.user), error.to_string());
    let connection = open(asked.server, admin, tls, bound).await;
    if login != admin && connection.is_ok() {
        match open(asked.server, login, tls, bound).await {
            Ok(connection) => close(connection).await,
            Err(error) => findings.push(fault(login, error)),
        }
    }
    connection.map_err(|error| findings.push(fault(admin, error))).ok()
}

/// Says goodbye; an error then changes nothing.
pub(super) async fn close(connection: Conn) {
    let _gone_anyway = connection.disconnect().await;
}
