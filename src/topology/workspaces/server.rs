//! A control connection to a cluster's primary.

use std::fmt;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, SslOpts};

use super::provision::DatabaseServer;
use crate::config::{Cluster, ClusterTls, TlsMode};

/// What a server or the way to it objected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerFault {
    /// The server's error number; `None` when its answer is not known.
    pub(super) errno: Option<u16>,
    pub(super) message: String,
}

impl ServerFault {
    pub(super) fn is_one_of(&self, errnos: &[u16]) -> bool {
        self.errno.is_some_and(|errno| errnos.contains(&errno))
    }
}

impl fmt::Display for ServerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errno {
            Some(errno) => write!(f, "ERROR {errno}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl From<mysql_async::Error> for ServerFault {
    fn from(error: mysql_async::Error) -> Self {
        match error {
            mysql_async::Error::Server(error) => Self { errno: Some(error.code), message: error.message },
            other => Self { errno: None, message: other.to_string() },
        }
    }
}

/// A connection as the cluster's admin user.
pub(super) struct ControlConnection {
    conn: Conn,
}

impl ControlConnection {
    /// Logs in at the primary.
    pub(super) async fn open(cluster: &Cluster, timeout: Duration) -> Result<Self, ServerFault> {
        let with_tls = Self::connect(cluster, tls_of(&cluster.tls), timeout).await;
        let conn = match (with_tls, cluster.tls.mode) {
            // Only a server without TLS may be reached without it; any other failure stands.
            (
                Err(mysql_async::Error::Driver(mysql_async::DriverError::NoClientSslFlagFromServer)),
                TlsMode::Preferred,
            ) => Self::connect(cluster, None, timeout).await?,
            (connected, _) => connected?,
        };
        Ok(Self { conn })
    }

    async fn connect(
        cluster: &Cluster,
        tls: Option<SslOpts>,
        timeout: Duration,
    ) -> Result<Conn, mysql_async::Error> {
        let login = &cluster.admin_login;
        let options = OptsBuilder::default()
            .ip_or_hostname(cluster.primary.host.to_string())
            .tcp_port(cluster.primary.port)
            .user(Some(login.user.to_string()))
            .pass(Some(login.password.reveal().to_owned()))
            .prefer_socket(false)
            .ssl_opts(tls);
        let opening = Conn::new(Opts::from(options));
        match tokio::time::timeout(timeout, opening).await {
            Ok(opened) => opened,
            Err(_) => {
                let late =
                    std::io::Error::new(std::io::ErrorKind::TimedOut, format!("no login within {timeout:?}"));
                Err(mysql_async::Error::Io(late.into()))
            }
        }
    }

    /// Says goodbye; failing does no harm.
    pub(super) async fn close(self) {
        let _ = self.conn.disconnect().await;
    }
}

impl DatabaseServer for ControlConnection {
    async fn has_database(&mut self, database: &str) -> Result<bool, ServerFault> {
        let query = "SELECT 1 FROM information_schema.schemata WHERE schema_name = ?";
        let found: Option<u8> = self.conn.exec_first(query, (database,)).await?;
        Ok(found.is_some())
    }

    async fn run(&mut self, statement: &str) -> Result<(), ServerFault> {
        Ok(self.conn.query_drop(statement).await?)
    }
}

fn tls_of(tls: &ClusterTls) -> Option<SslOpts> {
    let verifies_chain = matches!(tls.mode, TlsMode::VerifyCa | TlsMode::VerifyIdentity);
    let verifies_name = tls.mode == TlsMode::VerifyIdentity;
    if tls.mode == TlsMode::Disabled {
        return None;
    }
    let mut options = SslOpts::default()
        .with_danger_accept_invalid_certs(!verifies_chain)
        .with_danger_skip_domain_validation(!verifies_name);
    if let Some(ca) = &tls.ca {
        options = options.with_root_certs(vec![ca.clone().into()]).with_disable_built_in_roots(true);
    }
    if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
        let identity = mysql_async::ClientIdentity::new(certificate.clone().into(), key.clone().into());
        options = options.with_client_identity(Some(identity));
    }
    Some(options)
}
