//! Connections of the control plane: probes, checks, failovers. Never a client's.

use std::time::Duration;

use mysql_async::{ClientIdentity, Conn, OptsBuilder, SslOpts};

use crate::config::{ClusterTls, Login, TlsMode};
use crate::ids::ServerId;

/// Opens a connection.
///
/// # Errors
/// See [`Refused`]; each of at most two attempts (with TLS, and without where it is only preferred) takes
/// `bound` at most.
pub async fn open(
    server: &ServerId,
    login: &Login,
    tls: &ClusterTls,
    bound: Duration,
) -> Result<Conn, Refused> {
    let with_tls = tls.mode != TlsMode::Disabled;
    match open_once(server, login, with_tls.then_some(tls), bound).await {
        Err(Refused::OnTheWay(_) | Refused::Late(_)) if tls.mode == TlsMode::Preferred => {
            open_once(server, login, None, bound).await
        }
        opened => opened,
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The server refused it.
    #[error("the server says {} ({}): {}", .0.code, .0.state, .0.message)]
    ByServer(mysql_async::ServerError),
    /// It failed on the way to the server.
    #[error("cannot connect: {0}")]
    OnTheWay(mysql_async::Error),
    /// The server did not answer in time.
    #[error("cannot connect within {} ms", .0.as_millis())]
    Late(Duration),
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
        Ok(Err(mysql_async::Error::Server(error))) => Err(Refused::ByServer(error)),
        Ok(Err(error)) => Err(Refused::OnTheWay(error)),
        Err(_elapsed) => Err(Refused::Late(bound)),
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
