//! The own database of a keyspace whose databases are workspaces': made when it is first asked for.
//!
//! It bears the keyspace's name, is on the keyspace's first shard, and holds what belongs to no workspace:
//! the tables in which Rails writes down its migrations.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{ClientError, Code};
use crate::ids::{ClusterName, Keyspace};
use crate::plan::Address;
use crate::schema::{ReadError, Reader};
use crate::topology::Snapshot;

use crate::session::Session;
use crate::session::flow::Flow;
use crate::session::query::Said;
use crate::session::run::job::Job;
use crate::session::run::place::Place;

/// Looking for the database, and making it, takes no longer each.
const MAKE_WITHIN: Duration = Duration::from_secs(5);

/// Own databases that are known to be there.
#[derive(Debug, Default)]
pub struct OwnDatabases(Mutex<BTreeSet<(ClusterName, Keyspace)>>);

impl OwnDatabases {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<(ClusterName, Keyspace)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Runs a statement in a database of the keyspace's own, or in whichever stands for all.
    pub(in crate::session) async fn run_of_keyspace(
        &mut self,
        snapshot: &Snapshot,
        address: Address,
        job: &Job<'_>,
        said: &Said,
    ) -> Flow {
        let place = self.place_of_keyspace(snapshot, address, job, said).await?;
        self.run_job(job, place).await
    }

    /// The place of such a database, which is there then.
    pub(in crate::session) async fn place_of_keyspace(
        &mut self,
        snapshot: &Snapshot,
        address: Address,
        job: &Job<'_>,
        said: &Said,
    ) -> Flow<Place> {
        self.have_own_database(snapshot, &address).await?;
        Ok(self.place_of(snapshot, &address, job, said)?)
    }

    /// Makes the own database of the address's keyspace, if that is where the address leads and it is not
    /// known to be there.
    ///
    /// # Errors
    /// `own_database_unmade`.
    pub(in crate::session) async fn have_own_database(&self, snapshot: &Snapshot, address: &Address) -> Flow {
        let keyspace = match address {
            Address::Own(keyspace) => keyspace,
            // Without any workspace the own database stands for all.
            Address::Model(keyspace) if snapshot.model(keyspace).is_ok_and(|model| model.is_none()) => {
                keyspace
            }
            _ => return Ok(()),
        };
        let shard = snapshot.any_shard(keyspace).map_err(ClientError::from)?;
        let place = (shard.cluster.clone(), keyspace.clone());
        let own = &self.services.own_databases;
        if own.lock().contains(&place) {
            return Ok(());
        }
        let cluster = snapshot.cluster(&place.0).map_err(ClientError::from)?;
        let unmade = |error: ReadError| {
            let message = format!("{}: {keyspace} on cluster {}: {error}", CODE.sentence(), place.0);
            ClientError::new(CODE, message)
        };
        let login = (&cluster.admin_login, &cluster.tls);
        let mut reader =
            Reader::open(&cluster.primary, login, keyspace.as_str(), MAKE_WITHIN).await.map_err(unmade)?;
        reader.make_database().await.map_err(unmade)?;
        reader.close().await;
        tracing::info!(target: "bulkhead::ddl", %keyspace, cluster = %place.0, "its own database is there");
        own.lock().insert(place);
        Ok(())
    }
}

const CODE: Code = Code::OwnDatabaseUnmade;
