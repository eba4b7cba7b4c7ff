//! Connections of the check: both logins of a cluster, with the cluster's TLS.

use std::time::Duration;

use mysql_async::{ClientIdentity, Conn, OptsBuilder, SslOpts};

use crate::config::{ClusterTls, Login, TlsMode};
use crate::ids::ServerId;
use crate::vschema::check::Finding;

use super::Asked;

/// Tries both logins; gives a connection of the admin login.
pub(super) async fn log_in(asked: Asked<'_>, bound: Duration, findings: &mut Vec<Finding>) -> Option<Conn> {
    let (login, admin) = (&asked.cluster.login, &asked.cluster.admin_login);
    let connection = open(asked, admin, bound).await;
    if login != admin && connection.is_ok() {
        match open(asked, login, bound).await {
            Ok(connection) => close(connection).await,
            Err(error) => findings.push(asked.error(format!("login of {}", login.user), error)),
        }
    }
    connection.map_err(|error| findings.push(asked.error(format!("login of {}", admin.user), error))).ok()
}

/// Says goodbye; an error then changes nothing.
pub(super) async fn close(connection: Conn) {
    let _gone_anyway = connection.disconnect().await;
}

async fn open(asked: Asked<'_>, login: &Login, bound: Duration) -> Result<Conn, String> {
    let tls = &asked.cluster.tls;
    let with_tls = tls.mode != TlsMode::Disabled;
    match open_once(asked.server, login, with_tls.then_some(tls), bound).await {
        Err(Refused::Otherwise(_)) if tls.mode == TlsMode::Preferred => {
            open_once(asked.server, login, None, bound).await.map_err(Refused::into_text)
        }
        opened => opened.map_err(Refused::into_text),
    }
}

enum Refused {
    /// By the server, with its error.
    ByServer(String),
    /// On the way to it.
    Otherwise(String),
}

impl Refused {
    fn into_text(self) -> String {
        match self {
            Self::ByServer(text) | Self::Otherwise(text) => text,
        }
    }
}

async fn open_once(
    server: &ServerId,
    login: &Login,
    tls: Option<&ClusterTls>,
    bound: Duration,
) -> Result<Conn, Refused> {
    let options = OptsBuilder::default()
        .ip_or_hostname(&*server.host)
        .tcp_port(server.port)
        .user(Some(&*login.user))
        .pass(Some(login.password.reveal()))
        .prefer_socket(false)
        .ssl_opts(tls.map(tls_options));
    match tokio::time::timeout(bound, Conn::new(options)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(mysql_async::Error::Server(error))) => Err(Refused::ByServer(format!(
            "the server says {} ({}): {}",
            error.code, error.state, error.message
        ))),
        Ok(Err(error)) => Err(Refused::Otherwise(format!("cannot connect: {error}"))),
        Err(_elapsed) => Err(Refused::Otherwise(format!("cannot connect within {} ms", bound.as_millis()))),
    }
}

fn tls_options(tls: &ClusterTls) -> SslOpts {
    let verifies = matches!(tls.mode, TlsMode::VerifyCa | TlsMode::VerifyIdentity);
    let mut options = SslOpts::default()
        .with_danger_accept_invalid_certs(!verifies)
        .with_danger_skip_domain_validation(tls.mode != TlsMode::VerifyIdentity);
    if let (true, Some(ca)) = (verifies, &tls.ca) {
        options = options.with_root_certs(vec![ca.clone().into()]).with_disable_built_in_roots(true);
    }
    if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
        let identity = ClientIdentity::new(certificate.clone().into(), key.clone().into());
        options = options.with_client_identity(Some(identity));
    }
    options
}
