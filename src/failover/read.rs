//! Reading what a server says of itself, by the admin login.

use std::collections::HashMap;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row, Value};
use tokio::time::timeout;

use super::decide::{Identity, Receiving, Replication, Said, SemiSync, ServerView};
use crate::config::{Cluster, ClusterTls, Login};
use crate::control::{self, Refused};
use crate::gtid::{GtidFault, GtidSet, Origin};
use crate::ids::ServerId;
use crate::protocol::handshake::Flavour;

/// Variables that tell what a server is; those that it does not have are missing.
const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'server_uuid', \
     'server_id', 'read_only', 'innodb_read_only', 'gtid_mode', 'log_bin', 'log_replica_updates', \
     'log_slave_updates', 'aurora_server_id', 'rpl_semi_sync_source_enabled', \
     'rpl_semi_sync_source_timeout', 'rpl_semi_sync_master_enabled', 'rpl_semi_sync_master_timeout')";
/// Whether semi-synchronous replication is at work.
const SEMI_SYNC: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Rpl_semi_sync_source_status', \
     'Rpl_semi_sync_master_status', 'Rpl_semi_sync_replica_status', 'Rpl_semi_sync_slave_status')";

/// Why a server could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Connect(#[from] Refused),
    #[error("{0}")]
    Statement(#[from] Error),
    #[error(transparent)]
    Gtid(#[from] GtidFault),
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    #[error("it does not say its {0}")]
    Unsaid(&'static str),
}

/// How the servers of a cluster are reached.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Access {
    login: Login,
    tls: ClusterTls,
    connect_within: Duration,
}

impl Access {
    pub(super) fn of(cluster: &Cluster, connect_within: Duration) -> Self {
        Self { login: cluster.admin_login.clone(), tls: cluster.tls.clone(), connect_within }
    }

    /// Name of the account that it is by.
    pub(super) fn user(&self) -> &str {
        &self.login.user
    }

    /// Opens a connection, within `within` at most.
    pub(super) async fn open(&self, server: &ServerId, within: Duration) -> Result<Conn, ReadError> {
        let opening = control::open(server, &self.login, &self.tls, self.connect_within.min(within));
        timeout(within, opening).await.map_err(|_| ReadError::Late(within))?.map_err(ReadError::from)
    }

    /// Reads a server on a connection of its own.
    pub(super) async fn view(&self, server: &ServerId, within: Duration) -> ServerView {
        let reading = async {
            let mut conn = self.open(server, within).await?;
            let said = read(&mut conn).await?;
            // Saying goodbye in time is a courtesy.
            let _ = conn.disconnect().await;
            Ok::<_, ReadError>(said)
        };
        let said = match timeout(within, reading).await {
            Ok(said) => said.map_err(|error| error.to_string()),
            Err(_) => Err(ReadError::Late(within).to_string()),
        };
        ServerView { server: server.clone(), said }
    }
}

/// Reads everything.
pub(super) async fn read(conn: &mut Conn) -> Result<Said, ReadError> {
    let variables: Vec<(String, String)> = conn.query(VARIABLES).await?;
    let variables: HashMap<String, String> = variables.into_iter().collect();
    let version = variables.get("version").ok_or(ReadError::Unsaid("version"))?;
    let flavour = if version.contains("MariaDB") { Flavour::MariaDb } else { Flavour::MySql };
    let semi_sync: Vec<(String, String)> = conn.query(SEMI_SYNC).await?;
    let (executed, position) = read_gtids(conn, flavour).await?;
    let sources = read_replication(conn, flavour).await?;
    let aurora = match variables.get("aurora_server_id") {
        Some(own) => Some((own.clone(), read_aurora_writer(conn).await?)),
        None => None,
    };
    let is_on = |name: &str| variables.get(name).is_some_and(|value| is_on(value));
    Ok(Said {
        flavour,
        version: numbers(version),
        identity: Identity {
            uuid: variables.get("server_uuid").and_then(|uuid| Origin::parse_uuid(uuid)),
            server_id: variables.get("server_id").and_then(|id| id.parse().ok()).unwrap_or(0),
        },
        is_read_only: is_on("read_only") || is_on("innodb_read_only"),
        aurora,
        uses_gtid: flavour == Flavour::MariaDb || is_on("gtid_mode"),
        logs: is_on("log_bin"),
        logs_updates: is_on("log_replica_updates") || is_on("log_slave_updates"),
        executed,
        position,
        sources,
        semi_sync: semi_sync_of(&variables, &semi_sync),
        unbound: read_unbound(conn, flavour).await?,
    })
}

/// What may change from moment to moment: whether it is read-only, what it has executed, and whether
/// semi-synchronous replication is at work.
pub(super) async fn refresh(conn: &mut Conn, said: &mut Said) -> Result<(), ReadError> {
    let read_only = "SELECT @@global.read_only <> 0 OR @@global.innodb_read_only <> 0";
    let read_only: Option<i64> = conn.query_first(read_only).await?;
    said.is_read_only = read_only != Some(0);
    let (executed, position) = read_gtids(conn, said.flavour).await?;
    (said.executed, said.position) = (executed, position);
    if said.semi_sync.is_source {
        let status: Vec<(String, String)> = conn.query(SEMI_SYNC).await?;
        said.semi_sync.is_source = has_status(&status, &SOURCE_STATUS);
    }
    Ok(())
}

const SOURCE_STATUS: [&str; 2] = ["Rpl_semi_sync_source_status", "Rpl_semi_sync_master_status"];
const REPLICA_STATUS: [&str; 2] = ["Rpl_semi_sync_replica_status", "Rpl_semi_sync_slave_status"];

fn has_status(status: &[(String, String)], names: &[&str]) -> bool {
    status.iter().any(|(name, value)| names.contains(&name.as_str()) && is_on(value))
}

fn semi_sync_of(variables: &HashMap<String, String>, status: &[(String, String)]) -> SemiSync {
    let first = |names: [&str; 2]| names.iter().find_map(|name| variables.get(*name));
    let enabled = first(["rpl_semi_sync_source_enabled", "rpl_semi_sync_master_enabled"]);
    let timeout = first(["rpl_semi_sync_source_timeout", "rpl_semi_sync_master_timeout"]);
    SemiSync {
        can_be_source: enabled.is_some(),
        is_source: enabled.is_some_and(|value| is_on(value)) && has_status(status, &SOURCE_STATUS),
        timeout: Duration::from_millis(timeout.and_then(|ms| ms.parse().ok()).unwrap_or(0)),
        is_replica: has_status(status, &REPLICA_STATUS),
    }
}

/// What it has executed; MariaDB: and its position as a replica.
pub(super) async fn read_gtids(conn: &mut Conn, flavour: Flavour) -> Result<(GtidSet, GtidSet), ReadError> {
    match flavour {
        Flavour::MySql => {
            let executed: Option<String> = conn.query_first("SELECT @@global.gtid_executed").await?;
            Ok((GtidSet::parse_mysql(&executed.unwrap_or_default())?, GtidSet::default()))
        }
        Flavour::MariaDb => {
            let both = "SELECT @@global.gtid_binlog_state, @@global.gtid_slave_pos";
            let both: Option<(String, String)> = conn.query_first(both).await?;
            let (executed, position) = both.unwrap_or_default();
            Ok((GtidSet::parse_mariadb(&executed)?, GtidSet::parse_mariadb(&position)?))
        }
    }
}

/// Accounts that MariaDB's `read_only` does not bind. Those of the server's own and the one that asks are
/// left out. What the login may not see is not told.
async fn read_unbound(conn: &mut Conn, flavour: Flavour) -> Result<Vec<String>, ReadError> {
    if flavour == Flavour::MySql {
        return Ok(Vec::new());
    }
    let unbound = "SELECT DISTINCT grantee FROM information_schema.user_privileges \
                   WHERE privilege_type = 'READ ONLY ADMIN' AND grantee NOT LIKE '\\'mariadb.sys\\'@%' \
                   AND grantee NOT LIKE '\\'root\\'@%' \
                   AND grantee <> CONCAT('\\'', REPLACE(CURRENT_USER(), '@', '\\'@\\''), '\\'')";
    match conn.query(unbound).await {
        Err(Error::Server(_)) => Ok(Vec::new()),
        unbound => Ok(unbound?),
    }
}

async fn read_aurora_writer(conn: &mut Conn) -> Result<Option<String>, ReadError> {
    let writer = "SELECT server_id FROM information_schema.replica_host_status \
                  WHERE session_id = 'MASTER_SESSION_ID' \
                  AND last_update_timestamp > NOW() - INTERVAL 3 MINUTE";
    match conn.query_first(writer).await {
        Err(Error::Server(_)) => Ok(None),
        writer => Ok(writer?),
    }
}

async fn read_replication(conn: &mut Conn, flavour: Flavour) -> Result<Vec<Replication>, ReadError> {
    let rows: Vec<Row> = match flavour {
        // The newer word is known from 8.0.22 on.
        Flavour::MySql => match conn.query("SHOW REPLICA STATUS").await {
            Err(Error::Server(error)) if error.code == ER_PARSE_ERROR => {
                conn.query("SHOW SLAVE STATUS").await?
            }
            rows => rows?,
        },
        Flavour::MariaDb => conn.query("SHOW ALL SLAVES STATUS").await?,
    };
    rows.iter().map(replication_of).collect::<Result<_, _>>().map_err(ReadError::from)
}

const ER_PARSE_ERROR: u16 = 1064;

/// A row of SHOW REPLICA STATUS, in any of its dialects.
pub(super) fn replication_of(row: &Row) -> Result<Replication, GtidFault> {
    let text = |names: &[&str]| names.iter().find_map(|name| text_of(row, name)).unwrap_or_default();
    let is_mariadb = text_of(row, "Using_Gtid").is_some();
    let errors = |kind: &str| {
        let errno = text(&[&format!("Last_{kind}_Errno")]);
        let message = text(&[&format!("Last_{kind}_Error")]);
        if errno.is_empty() || errno == "0" { String::new() } else { format!("{errno}: {message}") }
    };
    let received = if is_mariadb {
        GtidSet::parse_mariadb(&text(&["Gtid_IO_Pos"]))?
    } else {
        GtidSet::parse_mysql(&text(&["Retrieved_Gtid_Set"]))?
    };
    let state = text(&["Replica_SQL_Running_State", "Slave_SQL_Running_State"]);
    let seconds = |names: &[&str]| text(names).parse().ok().map(Duration::from_secs);
    Ok(Replication {
        source: ServerId {
            host: text(&["Source_Host", "Master_Host"]).into(),
            port: text(&["Source_Port", "Master_Port"]).parse().unwrap_or(0),
        },
        source_identity: Identity {
            uuid: Origin::parse_uuid(&text(&["Source_UUID", "Master_UUID"])),
            server_id: text(&["Source_Server_Id", "Master_Server_Id"]).parse().unwrap_or(0),
        },
        receiving: match &*text(&["Replica_IO_Running", "Slave_IO_Running"]) {
            "Yes" => Receiving::Yes,
            "Connecting" | "Preparing" => Receiving::Connecting,
            _ => Receiving::No,
        },
        receive_error: errors("IO"),
        applies: text(&["Replica_SQL_Running", "Slave_SQL_Running"]) == "Yes",
        apply_error: errors("SQL"),
        by_gtid: if is_mariadb { text(&["Using_Gtid"]) != "No" } else { text(&["Auto_Position"]) == "1" },
        received,
        has_read_all: state.contains("has read all relay log"),
        lag: seconds(&["Seconds_Behind_Source", "Seconds_Behind_Master"]),
        delay: seconds(&["SQL_Delay"]).unwrap_or_default(),
    })
}

fn text_of(row: &Row, name: &str) -> Option<String> {
    let at = row.columns_ref().iter().position(|column| column.name_str() == name)?;
    match row.as_ref(at)? {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        other => Some(other.as_sql(true)),
    }
}

fn is_on(value: &str) -> bool {
    !matches!(value.to_ascii_uppercase().as_str(), "" | "0" | "OFF" | "NO" | "OFF_PERMISSIVE")
}

fn numbers(version: &str) -> [u16; 3] {
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    let mut part = || parts.next().unwrap_or(0);
    [part(), part(), part()]
}
