//! `bulkhead check --live`: asks the servers whether the files are true.
//!
//! Reads only. Every cluster is asked by itself and within a bound in time. Of a `database_per_workspace`
//! keyspace one sample database for each cluster is looked at: nothing here ever reads `information_schema`
//! across databases.

mod code;
pub(super) mod connect;
mod facts;
mod tables;

use std::time::Duration;

use crate::config::{Cluster, Severity};
use crate::ids::ServerId;
use crate::vschema::check::{Checked, Finding};

/// Longest time for one cluster.
pub const CLUSTER_TIME_MAX: Duration = Duration::from_secs(20);

/// Asks every cluster; the findings in the order of clusters, none when all is well.
pub async fn check(checked: &Checked) -> Vec<Finding> {
    let mut running = Vec::new();
    for cluster in checked.config.clusters.values() {
        let (name, checked) = (cluster.name.clone(), checked.clone());
        running.push((cluster, tokio::spawn(async move { check_cluster(&checked, &name).await })));
    }
    let mut findings = Vec::new();
    for (cluster, task) in running {
        let abort = task.abort_handle();
        match tokio::time::timeout(CLUSTER_TIME_MAX, task).await {
            Ok(Ok(found)) => findings.extend(found),
            Ok(Err(_panicked)) => findings.push(of_cluster(cluster, "the check itself failed")),
            Err(_elapsed) => {
                abort.abort();
                let message = format!("no answer within {} s", CLUSTER_TIME_MAX.as_secs());
                findings.push(of_cluster(cluster, message));
            }
        }
    }
    findings
}

fn of_cluster(cluster: &Cluster, message: impl Into<String>) -> Finding {
    let asked = Asked { cluster, server: &cluster.primary };
    asked.error("cluster", message)
}

/// The server that a finding is about.
#[derive(Clone, Copy)]
struct Asked<'a> {
    cluster: &'a Cluster,
    server: &'a ServerId,
}

impl Asked<'_> {
    fn error(&self, about: impl Into<String>, message: impl Into<String>) -> Finding {
        self.finding(Severity::Error, about, message)
    }

    fn warning(&self, about: impl Into<String>, message: impl Into<String>) -> Finding {
        self.finding(Severity::Warning, about, message)
    }

    fn finding(&self, severity: Severity, about: impl Into<String>, message: impl Into<String>) -> Finding {
        let (cluster, server) = (self.cluster.name.to_string(), self.server.to_string());
        Finding { severity, cluster, server, about: about.into(), message: message.into() }
    }
}

async fn check_cluster(checked: &Checked, name: &crate::ids::ClusterName) -> Vec<Finding> {
    let Some(cluster) = checked.config.clusters.get(name) else { return Vec::new() };
    let mut findings = Vec::new();
    let connect_max = checked.config.timeouts.connect;
    let primary = Asked { cluster, server: &cluster.primary };
    let mut primary_identity = None;
    if let Some(mut connection) = connect::log_in(primary, connect_max, &mut findings).await {
        primary_identity =
            facts::check_primary(primary, &checked.config, &mut connection, &mut findings).await;
        tables::check(primary, checked, &mut connection, &mut findings).await;
        connect::close(connection).await;
    }
    for server in &cluster.replicas {
        let replica = Asked { cluster, server };
        if let Some(mut connection) = connect::log_in(replica, connect_max, &mut findings).await {
            facts::check_replica(replica, primary_identity.as_ref(), &mut connection, &mut findings).await;
            connect::close(connection).await;
        }
    }
    findings
}
