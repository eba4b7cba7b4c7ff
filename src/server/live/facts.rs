//! What servers say of themselves: read only or not, packet size, replication.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};

use crate::config::Config;
use crate::vschema::check::Finding;

use super::Asked;

/// Who a primary is, to its replicas.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    server_id: u64,
    /// MySQL only.
    uuid: Option<String>,
}

/// A primary takes writes and packets as large as the clients'.
pub(super) async fn check_primary(
    asked: Asked<'_>,
    config: &Config,
    connection: &mut Conn,
    findings: &mut Vec<Finding>,
) -> Option<Identity> {
    let facts: Result<Option<(i64, u64, u64)>, _> = connection
        .query_first("SELECT @@global.read_only, @@global.max_allowed_packet, @@global.server_id")
        .await;
    let (read_only, packet_bytes, server_id) = match facts {
        Ok(facts) => facts?,
        Err(error) => {
            findings.push(asked.error("primary", format!("cannot be asked: {error}")));
            return None;
        }
    };
    if read_only != 0 {
        findings.push(asked.error("primary", "it is read only: this is not the primary"));
    }
    let ours = config.listen.max_allowed_packet as u64;
    if packet_bytes < ours {
        let message = format!(
            "max_allowed_packet is {packet_bytes}, less than listen.max_allowed_packet ({ours}): \
             larger packets of clients will fail there"
        );
        findings.push(asked.warning("primary", message));
    }
    // MariaDB has no UUID: the error is the answer.
    let uuid = connection.query_first("SELECT @@global.server_uuid").await.ok().flatten();
    Some(Identity { server_id, uuid })
}

/// A replica is read only and replicates from the primary.
pub(super) async fn check_replica(
    asked: Asked<'_>,
    primary: Option<&Identity>,
    connection: &mut Conn,
    findings: &mut Vec<Finding>,
) {
    match connection.query_first::<i64, _>("SELECT @@global.read_only").await {
        Ok(Some(0)) => {
            findings.push(
                asked.warning("replica", "it is not read only: a stray write would not be seen elsewhere"),
            );
        }
        Ok(_) => {}
        Err(error) => findings.push(asked.error("replica", format!("cannot be asked: {error}"))),
    }
    let status = match replication_status(connection).await {
        Ok(status) => status,
        Err(error) => {
            let message = format!("its replication cannot be asked ({error}); grant REPLICATION CLIENT");
            findings.push(asked.warning("replica", message));
            return;
        }
    };
    let Some(status) = status else {
        findings.push(asked.error("replica", "it does not replicate from any server"));
        return;
    };
    for (thread, names) in [
        ("receives no changes", ["Replica_IO_Running", "Slave_IO_Running"]),
        ("applies no changes", ["Replica_SQL_Running", "Slave_SQL_Running"]),
    ] {
        let running = text(&status, &names);
        if running.as_deref() != Some("Yes") {
            let error = text(&status, &["Last_IO_Error"]).or_else(|| text(&status, &["Last_SQL_Error"]));
            let error = error.filter(|error| !error.is_empty()).map(|error| format!(": {error}"));
            findings.push(asked.error("replica", format!("it {thread}{}", error.unwrap_or_default())));
        }
    }
    if primary.is_some_and(|primary| !follows(&status, primary)) {
        let host = text(&status, &["Source_Host", "Master_Host"]).unwrap_or_default();
        let message =
            format!("it replicates from another server than the cluster's primary (its source is {host})");
        findings.push(asked.error("replica", message));
    }
}

/// Both spellings; servers know one or both.
async fn replication_status(connection: &mut Conn) -> Result<Option<Row>, mysql_async::Error> {
    match connection.query_first("SHOW REPLICA STATUS").await {
        Ok(status) => Ok(status),
        Err(mysql_async::Error::Server(error)) if error.code == 1064 => {
            connection.query_first("SHOW SLAVE STATUS").await
        }
        Err(error) => Err(error),
    }
}

/// Says whether the replica's source is `primary`: by UUID where there is one, else by server id.
fn follows(status: &Row, primary: &Identity) -> bool {
    let uuid = text(status, &["Source_UUID", "Master_UUID"]).filter(|uuid| !uuid.is_empty());
    match (uuid, &primary.uuid) {
        (Some(source), Some(primary)) => source == *primary,
        _ => {
            let id = text(status, &["Source_Server_Id", "Master_Server_Id"]);
            id.and_then(|id| id.parse().ok()) == Some(primary.server_id)
        }
    }
}

/// The first of the columns that the row has.
fn text(row: &Row, names: &[&str]) -> Option<String> {
    let columns = row.columns_ref();
    let at = names.iter().find_map(|name| columns.iter().position(|column| column.name_str() == *name))?;
    match row.as_ref(at)? {
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        _ => None,
    }
}
