//! Values for the tests of this module.

use std::time::SystemTime;

use super::ledger::Record;
use super::request::{MigrationRequest, StatementSettings};
use crate::ids::{ClusterName, Keyspace, MigrationId, ShardName, UserName};

/// A request to change `app.t` on `c1`.
pub(super) fn request() -> MigrationRequest {
    MigrationRequest {
        keyspace: Keyspace::new("app"),
        shard: ShardName::new("-"),
        workspace: None,
        cluster: ClusterName::new("c1"),
        database: "app".to_owned(),
        table: "t".to_owned(),
        text: "ALTER TABLE t MODIFY a BIGINT".to_owned(),
        settings: StatementSettings::default(),
        prove: false,
        acknowledged: false,
        postponed: false,
        is_paced: false,
        user: UserName::new("app"),
    }
}

/// A record of it.
pub(super) fn record(id: MigrationId) -> Record {
    Record::new(id, request(), SystemTime::UNIX_EPOCH)
}
