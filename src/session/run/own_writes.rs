//! Read-your-writes on replicas, where a keyspace asks for it (`reads_after_writes`).
//!
//! After the session wrote to a cluster, a read on one of its replicas first asks the primary which
//! transactions it has, and waits until the replica has them too. A replica that does not get there in time
//! is not read from: the statement goes to the primary.

use std::time::Duration;

use crate::ids::Role;
use crate::protocol::handshake::Flavour;
use crate::session::Session;
use crate::session::flow::Flow;
use crate::session::run::place::Place;
use crate::session::state::Held;

/// How long a replica may take to catch up before the primary is read instead.
const CATCH_UP_MAX: Duration = Duration::from_secs(1);

impl Session {
    /// A connection on which the session's own writes are visible: `replica`, once it has them, else the
    /// primary.
    pub(in crate::session) async fn with_own_writes(&mut self, place: &Place, replica: Held) -> Flow<Held> {
        // A connection that is held has a snapshot of its own, and stays.
        let waits = self.state.is_free()
            && replica.role == Role::Replica
            && self.state.wrote.contains(&place.cluster)
            && self.reads_after_writes(place);
        if !waits {
            return Ok(replica);
        }
        let primary_place = Place { role: Role::Primary, ..place.clone() };
        let mut primary = self.check_out(&primary_place).await?;
        let written = match primary.checkout.server_version().flavour {
            Flavour::MariaDb => "SELECT @@global.gtid_binlog_pos",
            Flavour::MySql => "SELECT @@global.gtid_executed",
        };
        let gtids = self.ask_value(&mut primary, written).await?.unwrap_or_default();
        let mut replica = replica;
        if self.has_caught_up(&mut replica, &gtids).await? {
            primary.checkout.checkin();
            return Ok(replica);
        }
        let server = replica.checkout.server();
        tracing::debug!(cluster = %place.cluster, %server, "replica behind; primary read");
        replica.checkout.checkin();
        Ok(primary)
    }

    fn reads_after_writes(&self, place: &Place) -> bool {
        let keyspace = place.shard.as_ref().map(|shard| &shard.keyspace);
        let snapshot = self.services.snapshots.peek();
        keyspace
            .and_then(|name| snapshot.config.keyspaces.get(name))
            .is_some_and(|found| found.reads_after_writes)
    }

    async fn has_caught_up(&mut self, replica: &mut Held, gtids: &str) -> Flow<bool> {
        let gtids = crate::sql::quote::string(&gtids.replace('\n', ""));
        let seconds = CATCH_UP_MAX.as_secs();
        let wait = match replica.checkout.server_version().flavour {
            Flavour::MariaDb => format!("SELECT MASTER_GTID_WAIT({gtids}, {seconds})"),
            Flavour::MySql => format!("SELECT WAIT_FOR_EXECUTED_GTID_SET({gtids}, {seconds})"),
        };
        Ok(self.ask_value(replica, &wait).await?.as_deref() == Some("0"))
    }
}
